"""Differences between two configurations in an administrator's words: which rule, which AE, old and new value.

Objects are matched by their own RDN below the same parent, never by the whole DN, which servers spell differently.
"""

from __future__ import annotations

import enum
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from dcm4py_leading.config.converters import milliseconds
from dcm4py_leading.config.report.ldap_view import Outline, Value, outline
from dcm4py_leading.model.device import Device, DeviceDescription, RemoteAE
from dcm4py_leading.secret_text import is_secret

T = TypeVar("T", Device, DeviceDescription, RemoteAE)

_NOUNS = {
    "dicomDevice": "device",
    "dicomNetworkAE": "AE",
    "dicomNetworkConnection": "connection",
    "dicomTransferCapability": "transfer capabilities",
    "dcmArchiveAttributeCoercion": "rule",
    "dcmArchiveAttributeCoercion2": "version-2 rule",
    "dcmAttributeFilter": "attribute filter",
    "dcmAttributeSet": "attribute set",
    "dcmStorage": "storage",
    "dcmQueryRetrieveView": "query/retrieve view",
}
_COUNTED = "dicomTransferCapability"
"""The class of which only the number is told: an AE has hundreds."""
_FEW = 3
"""So many are named nevertheless."""
_ABSENT: Value = Value(None, None)
_LONGEST = 160
"""Characters of a value that are told; the directory has the rest."""
_MAX_LOOKED_AT = 4096
"""Characters in which secrets are looked for, more than are told: a password may be long."""

_SECRET = r"\w*(?:pin|password|passphrase|secret|credential|token)\b"
_SECRET_PAIR = re.compile(rf"({_SECRET}\s*=\s*)[^\s;,&]+", re.IGNORECASE)
_URI_PASSWORD = re.compile(r"(://[^/@:\s]*:)[^/@\s]*@")


class Kind(enum.Enum):
    """Kind of change of an object."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference; as text it is one line, without secrets."""

    kind: Kind
    object_class: str
    name: str
    """Of the object; of several AEs in which the same differs, of all of them."""
    place: str = ""
    """The object above, such as ``AE DCM4CHEE``; empty for what has none."""
    attribute: str | None = None
    """LDAP name of what differs; None when objects came or went."""
    detail: str = ""
    """From what to what; or what a new object is."""

    def __str__(self) -> str:
        noun = _NOUNS.get(self.object_class, self.object_class)
        subject = " ".join(filter(None, (noun, self.name, self.place and f"of {self.place}")))
        change = self.kind.value if self.attribute is None else self.attribute
        return f"{subject}: {change}" + (f" {self.detail}" if self.detail else "")


def differences(old: T, new: T) -> tuple[Difference, ...]:
    """Differences of ``new`` from ``old``. Empty exactly when they are equal.

    AEs inherit from the device: what differs alike in several of them is told once.
    """
    return () if old == new else tuple(_together(_compare(outline(old), outline(new), "")))


def change_of(old: T | None, new: T | None, object_class: str, name: str, detail: str = "") -> Iterator[Difference]:
    """The same for an object that may be absent: it is then added or removed, of which ``detail`` tells more."""
    if old is not None and new is not None:
        yield from differences(old, new)
    elif old is not new:
        kind = Kind.ADDED if old is None else Kind.REMOVED
        yield Difference(kind=kind, object_class=object_class, name=name, detail=detail)


def _compare(old: Outline, new: Outline, place: str) -> Iterator[Difference]:
    """Two states of one entry."""
    for attribute, after in new.attributes.items():
        before = old.attributes.get(attribute, _ABSENT)
        if before != after:
            yield Difference(
                kind=Kind.CHANGED,
                object_class=old.object_class,
                name=old.name,
                place=place,
                attribute=attribute,
                detail=_change(attribute, before, after),
            )
    yield from _below(old, new)


def _below(old: Outline, new: Outline) -> Iterator[Difference]:
    """Differences below one entry; an object of which only the name differs was renamed."""
    before = {(child.object_class, child.rdn): child for child in old.children}
    after = {(child.object_class, child.rdn): child for child in new.children}
    pairs = [(child, after[key]) for key, child in before.items() if key in after]
    come = {key: child for key, child in after.items() if key not in before}
    gone = []
    for child in (child for key, child in before.items() if key not in after):
        renamed = next((key for key, other in come.items() if _is_renamed(child, other)), None)
        if renamed is None:
            gone.append(child)
        else:
            pairs.append((child, come.pop(renamed)))
    place = _title(new)
    for kind, found in ((Kind.REMOVED, gone), (Kind.ADDED, list(come.values()))):
        yield from _count(kind, [child for child in found if child.object_class == _COUNTED], place)
        for child in found:
            if child.object_class != _COUNTED:
                yield from _whole(kind, child, place)
    changed = [child for other, child in pairs if child.object_class == _COUNTED and other != child]
    yield from _count(Kind.CHANGED, changed, place)
    for other, child in pairs:
        if child.object_class != _COUNTED:
            yield from _compare(other, child, place)


def _is_renamed(old: Outline, new: Outline) -> bool:
    if old.object_class != new.object_class or old.children != new.children:
        return False
    names = old.attributes.keys() | new.attributes.keys()
    different = sum(old.attributes.get(name, _ABSENT) != new.attributes.get(name, _ABSENT) for name in names)
    return different <= (0 if old.object_class == _COUNTED else 1)


def _whole(kind: Kind, child: Outline, place: str) -> Iterator[Difference]:
    """An object that was added, with its content and objects below it, or removed."""
    said = _said(child) if kind is Kind.ADDED else ""
    yield Difference(kind=kind, object_class=child.object_class, name=child.name, place=place, detail=said)
    if kind is Kind.ADDED:
        for below in child.children:
            if below.object_class != _COUNTED:
                yield from _whole(kind, below, _title(child))


def _count(kind: Kind, found: Sequence[Outline], place: str) -> Iterator[Difference]:
    if found:
        name = ", ".join(child.name for child in found) if len(found) <= _FEW else f"({len(found)})"
        yield Difference(kind=kind, object_class=_COUNTED, name=name, place=place)


def _together(found: Iterable[Difference]) -> Iterator[Difference]:
    """Differences, with the same change of several AEs as one."""
    alike: dict[Difference, list[str]] = defaultdict(list)
    for difference in found:
        is_shared = difference.object_class == "dicomNetworkAE" and difference.attribute is not None
        alike[replace(difference, name="") if is_shared else difference].append(difference.name)
    for difference, names in alike.items():
        yield replace(difference, name=", ".join(names))


# Text.


def _title(found: Outline) -> str:
    return f"{_NOUNS.get(found.object_class, found.object_class)} {found.name}"


def _said(found: Outline) -> str:
    """Content of a new object, without its name and its defaults."""
    naming = {name for name, _ in found.rdn}
    said = [
        f"{attribute} {_text(attribute, value)}"
        for attribute, value in found.attributes.items()
        if attribute.lower() not in naming and value.texts() and not value.is_default
    ]
    counted = sum(child.object_class == _COUNTED for child in found.children)
    if counted:
        said.append(f"transfer capabilities {counted}")
    return f"({'; '.join(said)})" if said else ""


def _change(attribute: str, before: Value, after: Value) -> str:
    old, new = before.texts(), after.texts()
    if isinstance(after.value, tuple | frozenset) and isinstance(before.value, tuple | frozenset):
        added, removed = [text for text in new if text not in old], [text for text in old if text not in new]
        changes = [
            f"{what} {_joined(attribute, texts)}" for what, texts in (("added", added), ("removed", removed)) if texts
        ]
        return "; ".join(changes) or f"reordered {_joined(attribute, new)}"
    if not old:
        return f"set to {_text(attribute, after)}"
    if not new:
        return f"removed, was {_text(attribute, before)}"
    return f"from {_text(attribute, before)} to {_text(attribute, after)}"


def _text(attribute: str, value: Value) -> str:
    unit = " ms" if value.row is not None and value.row.convert is milliseconds else ""
    return _joined(attribute, value.texts()) + unit


def _joined(attribute: str, texts: Sequence[str]) -> str:
    if is_secret(attribute):
        return "***"
    text = ", ".join(texts)[:_MAX_LOOKED_AT]
    text = _URI_PASSWORD.sub(r"\1***@", _SECRET_PAIR.sub(r"\1***", text))
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
