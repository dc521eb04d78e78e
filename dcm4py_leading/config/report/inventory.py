"""Inventory of a tree: for each attribute and kind of entry, whether it is acted on: yes, partial or no."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dcm4py_leading.config.attributes import OBJECT_CLASSES, archive
from dcm4py_leading.config.attributes.coercion import NO_LONGER_READ
from dcm4py_leading.config.attributes.known import GENERAL_ATTRIBUTES
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.report.status import READ_BY_LOADER, shortcoming


class Status(enum.Enum):
    """Extent to which something in the directory has an effect here."""

    NO = "no"
    PARTIAL = "partial"
    YES = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """An attribute of one kind of entry, or a kind of entry that is ignored as a whole."""

    status: Status
    object_class: str
    """The kind of entry: the class that we read it by, else all its classes."""
    attribute: str | None
    """None: entries of that kind are passed over."""
    entries: int
    remark: str = ""
    """Missing part, or what does it instead."""

    def __str__(self) -> str:
        what = f"{self.object_class} {self.attribute}" if self.attribute else self.object_class
        times = "1 entry" if self.entries == 1 else f"{self.entries} entries"
        return f"{self.status.value}: {what}, {times}" + (f": {self.remark}" if self.remark else "")


_ROWS = {
    name: {row.attribute.lower(): row.attribute for found in OBJECT_CLASSES if found.name == name for row in found.rows}
    | {attribute.lower(): attribute for attribute in READ_BY_LOADER.get(name, ())}
    for name in dict.fromkeys(found.name for found in OBJECT_CLASSES)
}
"""By object class, the attributes that are read, as we spell them by lower-case name."""
_AUXILIARY = {"dcmDevice", "dcmNetworkConnection", "dcmNetworkAE", "dcmTransferCapability"}
_KINDS = tuple(name for name in _ROWS if name not in {*_AUXILIARY, "dcmArchiveDevice", "dcmArchiveNetworkAE"})
_RULES = ("dcmArchiveAttributeCoercion", "dcmArchiveAttributeCoercion2")
_OF_OTHER_SERVICES = (
    ("dcmAttributeFilter", "dcmEntity", archive.OTHER_ENTITIES),
    ("dcmAttributeSet", "dcmAttributeSetType", archive.OTHER_ATTRIBUTE_SET_TYPES),
)


def inventory(entries: Iterable[Entry]) -> tuple[Present, ...]:
    """Everything that stands in the entries of a device: no first, then partial, then yes, each by name.

    What a service that is not built would read is ``no`` as a kind of entry, its attributes are not listed one by one.
    """
    counted = Counter(found for entry in entries for found in _of_entry(entry))
    listed = (
        Present(status=status, object_class=object_class, attribute=attribute, entries=count, remark=remark)
        for (status, object_class, attribute, remark), count in counted.items()
    )
    order = list(Status)
    return tuple(sorted(listed, key=lambda found: (order.index(found.status), str(found).casefold())))


_SHOWN = 3


def some(names: Sequence[str], *, is_full: bool) -> str:
    """Names as text: the first few and the number of the others, or all if ``is_full``."""
    if is_full or len(names) <= _SHOWN + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_SHOWN])} and {len(names) - _SHOWN} more"


def shortcomings(present: Iterable[Present], *, is_full: bool = False) -> Iterator[str]:
    """Lines that name the attributes not acted on, or only in part; one line for each kind of entry (see `some`)."""
    attributes: dict[str, list[str]] = {}
    kinds: list[str] = []
    partial: list[str] = []
    for found in present:
        if found.status is Status.PARTIAL:
            partial.append(str(found))
        elif found.status is Status.NO and found.attribute is None:
            kinds.append(f"{found.object_class} ({found.entries})")
        elif found.status is Status.NO and found.attribute is not None:
            attributes.setdefault(found.object_class, []).append(found.attribute)
    yield from partial
    if kinds:
        yield f"not acted on, entries of: {some(kinds, is_full=is_full)}"
    for object_class, names in attributes.items():
        yield f"not acted on, attributes of {object_class}: {some(names, is_full=is_full)}"


def _of_entry(entry: Entry) -> Iterator[tuple[Status, str, str | None, str]]:
    kind = next((name for name in _KINDS if entry.is_a(name)), None)
    if kind is None:
        classes = sorted(value.strip() for value in entry.values("objectClass") if value.strip().lower() != "top")
        yield Status.NO, " ".join(classes), None, ""
        return
    for name, attribute, others in _OF_OTHER_SERVICES:
        found = others.intersection(value.strip() for value in entry.values(attribute)) if name == kind else ()
        for value in found:
            yield Status.NO, f"{kind} {attribute}={value}", None, ""
        if found:
            return
    for attribute in {name.partition(";")[0] for name in entry}:
        readers = [name for name, rows in _ROWS.items() if attribute in rows and entry.is_a(name)]
        if readers:
            spelt = _ROWS[readers[0]][attribute]
            missing = next((reason for name in readers if (reason := shortcoming(name, spelt))), None)
            yield Status.PARTIAL if missing else Status.YES, kind, spelt, missing or ""
        elif attribute not in GENERAL_ATTRIBUTES:
            spelt = entry.spell(attribute)
            yield Status.NO, kind, spelt, NO_LONGER_READ.get(spelt, "") if kind in _RULES else ""
