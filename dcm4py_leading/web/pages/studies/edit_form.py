"""Form that edits a study or its patient: fields by VR, typed values, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dcm4py_leading.errors import DocumentInvalid
from dcm4py_leading.service.editing.amend import EditField
from dcm4py_leading.service.editing.typed import GROUPS, OF_LINES, Lines, element_of, normal
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.studies.values import name_of

Typed = Mapping[str, Lines]
"""Values by name of the attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView:
    """One field of the form, as it is shown."""

    name: str
    """The tag as eight hexadecimal digits, by which the form and its hidden values know it."""
    label: str
    keyword: str
    vr: str
    widget: str
    """``fixed``, ``name``, ``lines``, ``text`` or ``line``."""
    shown: str
    why_fixed: str
    lines: Lines
    groups: tuple[tuple[str, str, str], ...]
    """Of a person name: component group, name of its field, and value."""
    errors: tuple[str, ...]

    @property
    def value(self) -> str:
        """The only value."""
        return self.lines[0] if self.lines else ""


def key_of(field: EditField) -> str:
    """Name of the field of an attribute in the form."""
    return f"{field.tag:08X}"


def can_be_typed(fields: Sequence[EditField]) -> list[EditField]:
    """The fields that are offered."""
    return [field for field in fields if field.fixed is None]


def shown_values(fields: Sequence[EditField]) -> dict[str, Lines]:
    """Values that the form begins with."""
    return {key_of(field): field.lines for field in can_be_typed(fields)}


def typed_values(fields: Sequence[EditField], form: Form) -> dict[str, Lines]:
    """Typed values; attributes without a field keep theirs."""
    found = {}
    for field in can_be_typed(fields):
        name = key_of(field)
        groups = [f"{name}.{group}" for group in GROUPS]
        if any(group in form for group in groups):
            found[name] = normal(["=".join(one_of(form, group).strip() for group in groups)], field.vr)
        elif name in form:
            text = one_of(form, name)
            lines = text.splitlines() if field.is_multiple and field.vr not in OF_LINES else [text]
            found[name] = normal(lines, field.vr)
        else:
            found[name] = field.lines
    return found


def faults_of(changed: Typed) -> dict[str, tuple[str, ...]]:
    """Faults of values, by name; in English, whatever the language."""
    faults = {}
    for name, lines in changed.items():
        try:
            element_of(int(name, 16), lines)
        except DocumentInvalid as err:
            faults[name] = tuple(fault.reason for fault in err.faults)
    return faults


def views_of(fields: Sequence[EditField], typed: Typed, faults: Mapping[str, tuple[str, ...]]) -> tuple[FieldView, ...]:
    """The fields with what is in them."""
    return tuple(_view(field, typed.get(key_of(field), ()), faults.get(key_of(field), ())) for field in fields)


def _view(field: EditField, lines: Lines, errors: tuple[str, ...]) -> FieldView:
    name = key_of(field)
    parts = [*(lines[0] if lines else "").split("="), "", "", ""]
    return FieldView(
        name=name,
        label=name_of(name),
        keyword=field.keyword,
        vr=field.vr,
        widget=_widget(field, lines),
        shown=field.shown,
        why_fixed="" if field.fixed is None else field.fixed.value,
        lines=lines,
        groups=tuple((group, f"{name}.{group}", part) for group, part in zip(GROUPS, parts, strict=False)),
        errors=errors,
    )


def _widget(field: EditField, lines: Lines) -> str:
    if field.fixed is not None:
        return "fixed"
    if field.is_multiple or len(lines) > 1:
        return "lines"
    if field.vr in OF_LINES:
        return "text"
    # Four groups can be typed, and are refused: they stay in one line.
    return "name" if field.vr == "PN" and "".join(lines).count("=") < len(GROUPS) else "line"
