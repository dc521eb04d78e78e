"""Fields of an entry as a template shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dcm4py_leading.coercion.schemes import SCHEMES
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.errors import Problem
from dcm4py_leading.web.pages.entry.widgets import (
    ConditionParts,
    Widget,
    condition_of,
    naming_attributes,
    shown_values,
    widget_of,
)
from dcm4py_leading.web.pages.fields.field import Field, InputType, label_of
from dcm4py_leading.web.pages.fields.of_entry import by_task, fields_of
from dcm4py_leading.web.pages.fields.tasks import PROMINENT
from dcm4py_leading.web.pages.texts import Language

_MORE_ROWS = 2
"""Empty lines to type into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """Suggestion of a field: an option of a select or a datalist."""

    value: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView:
    """One field with its values, as it is shown."""

    field: Field
    label: str
    widget: Widget
    values: tuple[str, ...]
    words: tuple[tuple[str, str], ...]
    """Values that mean something else than they say, with what they mean."""
    default_words: str
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    options: tuple[Suggested, ...] = ()
    suggestions: str = ""
    """The id of the datalist; empty where nothing is suggested."""
    more: int = _MORE_ROWS
    is_name: bool = False
    """It names the entry, which is there already."""

    @property
    def name(self) -> str:
        """The attribute, which names the element too."""
        return self.field.attribute

    @property
    def value(self) -> str:
        """The only value; empty where there is none."""
        return self.values[0] if self.values else ""

    @property
    def rows(self) -> tuple[str, ...]:
        """The values with empty ones to type into."""
        return (*self.values, *[""] * self.more)

    @property
    def conditions(self) -> list[ConditionParts]:
        """The values as conditions, with empty ones to type into."""
        return [condition_of(value) if value else ConditionParts("", "=", "") for value in self.rows]

    @property
    def scheme(self) -> tuple[str, str]:
        """A URI in its two parts."""
        scheme, _, specific = self.value.partition(":")
        return scheme, specific

    @property
    def is_prominent(self) -> bool:
        """True if the field is shown at once; fields that are not set are folded."""
        return bool(self.values or self.errors or self.field.required) or self.name in PROMINENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults of what was typed, by attribute."""

    errors: Mapping[str, Sequence[str]]
    warnings: Mapping[str, Sequence[str]]


NO_FAULTS = Faults(errors={}, warnings={})


def faults_of(entry: Entry, problems: Iterable[Problem], found: Mapping[str, Sequence[str]]) -> Faults:
    """Those of ``problems`` about an attribute of ``entry``, and those ``found`` before."""
    errors: dict[str, list[str]] = {attribute: list(texts) for attribute, texts in found.items()}
    warnings: dict[str, list[str]] = {}
    for problem in problems:
        if problem.dn == entry.dn and problem.attribute is not None:
            told = errors if problem.severity.value == "ERROR" else warnings
            told.setdefault(problem.attribute, []).append(problem.reason)
    return Faults(errors=errors, warnings=warnings)


def widgets_of(entry: Entry, *, is_new: bool) -> Mapping[str, tuple[Field, Widget]]:
    """The fields of an entry with their widgets; of a new one those that name it can be typed."""
    names = frozenset() if is_new else naming_attributes(entry)
    return {name: (field, widget_of(field, entry, names=names)) for name, field in fields_of(entry).items()}


def tasks_view(
    entry: Entry,
    values: Mapping[str, tuple[str, ...]],
    *,
    language: Language,
    faults: Faults = NO_FAULTS,
    options: Mapping[str, Sequence[Suggested]],
    is_new: bool,
    more: int = _MORE_ROWS,
) -> list[tuple[str, list[FieldView]]]:
    """Fields by task. ``values`` win over those of the entry; ``options`` are those of attributes that have some."""
    widgets = widgets_of(entry, is_new=is_new)
    names = frozenset() if is_new else naming_attributes(entry)

    def view(field: Field) -> FieldView:
        widget = widgets[field.attribute][1]
        stored = shown_values(entry, field.attribute)
        shown = stored if widget is Widget.SHOWN else values.get(field.attribute, stored)
        return FieldView(
            field=field,
            label=label_of(field.attribute, language),
            widget=widget,
            values=tuple(shown),
            words=tuple((value, words) for value in shown if (words := field.in_words(value, language))),
            default_words=field.in_words(field.help.default, language) if field.help.default else "",
            errors=tuple(faults.errors.get(field.attribute, ())),
            warnings=tuple(faults.warnings.get(field.attribute, ())),
            options=tuple(options.get(field.attribute, ())) or _choices(field, shown),
            suggestions=_suggestions(field),
            more=more,
            is_name=field.attribute in names,
        )

    return [(task, [view(field) for field in fields]) for task, fields in by_task(fields_of(entry))]


def _choices(field: Field, shown: Iterable[str]) -> tuple[Suggested, ...]:
    """The values to choose from, and present values that are not among them."""
    if field.attribute == "dcmURI":
        return tuple(Suggested(value=scheme) for scheme in SCHEMES)
    others = [value for value in shown if value not in field.choices]
    return tuple(Suggested(value=value) for value in (*field.choices, *others)) if field.choices else ()


def _suggestions(field: Field) -> str:
    match field.shape:
        case InputType.AE_TITLE | InputType.AE_TITLES:
            return "ae-titles"
        case InputType.UID:
            return "transfer-syntaxes" if field.attribute == "dicomTransferSyntax" else "sop-classes"
    return "ae-titles" if field.attribute.endswith(("AETitle", "AET")) else ""
