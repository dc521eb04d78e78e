"""One field of a page: an attribute, the values that may be typed, and their meaning."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from dcm4py_leading.config.binding import Convert, Row
from dcm4py_leading.config.converters import ae_titles, any_integer, boolean, distinguished_name, interval, milliseconds
from dcm4py_leading.config.ldif.schema import AttributeType, Syntax, attribute_types
from dcm4py_leading.model.values import UID, AETitle, Tag, parse_duration
from dcm4py_leading.web.pages.fields.helping import Help
from dcm4py_leading.web.pages.fields.words import duration_in_words, tag_in_words, uid_in_words
from dcm4py_leading.web.pages.texts import Language, translate


class InputType(enum.Enum):
    """Form in which a value is typed."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    DURATION = "duration"
    MILLISECONDS = "milliseconds"
    AE_TITLE = "ae_title"
    AE_TITLES = "ae_titles"
    """Several in one value, with a backslash between them."""
    UID = "uid"
    TAG = "tag"
    DN = "dn"


_SHAPES: dict[object, InputType] = {
    parse_duration: InputType.DURATION,
    interval: InputType.DURATION,
    milliseconds: InputType.MILLISECONDS,
    AETitle: InputType.AE_TITLE,
    ae_titles: InputType.AE_TITLES,
    UID: InputType.UID,
    Tag.parse: InputType.TAG,
    distinguished_name: InputType.DN,
    boolean: InputType.CHOICE,
    any_integer: InputType.NUMBER,
}
_OF_SYNTAX = {
    Syntax.BOOLEAN: InputType.CHOICE,
    Syntax.INTEGER: InputType.NUMBER,
    Syntax.OID: InputType.UID,
    Syntax.DN: InputType.DN,
}
_ONE_OF = "expected one of "
_NUMBER = "expected a whole number"
_EXAMPLES = {
    InputType.DURATION: "PT5M",
    InputType.MILLISECONDS: "5000",
    InputType.AE_TITLE: "ARCHIVE",
    InputType.AE_TITLES: "PACS1\\PACS2",
    InputType.UID: "1.2.840.10008.5.1.4.1.1.2",
    InputType.TAG: "00100010",
    InputType.NUMBER: "10",
}
_PLACEHOLDER = "${"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One attribute as an object class has it."""

    attribute: str
    object_class: str
    task: str
    shape: InputType
    single: bool
    required: bool
    choices: tuple[str, ...] = ()
    help: Help
    convert: Convert
    """Raises ValueError with what was expected."""
    expands: bool = False
    """True if ``${...}`` is a placeholder in it."""

    @property
    def example(self) -> str:
        """A value as it may look; empty where the choices say it."""
        return _EXAMPLES.get(self.shape, "")

    def fault(self, value: str) -> str | None:
        """Fault of one value; None when it can be read, as far as that can be told here."""
        if self.expands and _PLACEHOLDER in value:
            return None
        known = attribute_types().get(self.attribute.lower())
        try:
            self.convert(value)
        except ValueError as err:
            return str(err)
        return known.syntax.fault(value) if known else None

    def in_words(self, value: str, language: Language) -> str:
        """Meaning of a value; empty where it says so itself, or is wrong."""
        try:
            meant = self.convert(value)
        except ValueError:
            return ""
        match self.shape:
            case InputType.DURATION | InputType.MILLISECONDS:
                if isinstance(meant, timedelta):
                    return duration_in_words(meant, language)
                return translate(language, "words.never")
            case InputType.UID:
                return uid_in_words(value.strip())
            case InputType.TAG if isinstance(meant, Tag):
                return tag_in_words(meant)
        return ""


def field_of_row(row: Row, object_class: str, task: str, help_text: Help) -> Field:
    """The field of an attribute that this service reads."""
    choices = _choices(row.convert)
    return Field(
        attribute=row.attribute,
        object_class=object_class,
        task=task,
        shape=InputType.CHOICE if choices else _shape(row.convert),
        single=row.single,
        required=row.required,
        choices=choices,
        help=help_text,
        convert=row.convert,
        expands=row.expand,
    )


def field_of_type(known: AttributeType, object_class: str, task: str, required: bool, help_text: Help) -> Field:
    """The field of an attribute that the schema has, and of which this service reads no value."""
    return Field(
        attribute=known.name,
        object_class=object_class,
        task=task,
        shape=_OF_SYNTAX.get(known.syntax, InputType.TEXT),
        single=known.single,
        required=required,
        choices=("TRUE", "FALSE") if known.syntax is Syntax.BOOLEAN else (),
        help=help_text,
        convert=str,
    )


def _shape(convert: Convert) -> InputType:
    if convert in _SHAPES:
        return _SHAPES[convert]
    return InputType.NUMBER if _refusal(convert).startswith(_NUMBER) else InputType.TEXT


def _choices(convert: Callable[[str], object]) -> tuple[str, ...]:
    """The values that a converter lets pass, which it names when it refuses one."""
    if convert is boolean:
        return ("TRUE", "FALSE")
    refusal = _refusal(convert)
    return tuple(refusal.removeprefix(_ONE_OF).split(", ")) if refusal.startswith(_ONE_OF) else ()


def _refusal(convert: Callable[[str], object]) -> str:
    try:
        convert("")
    except ValueError as err:
        return str(err)
    return ""


_PREFIX = re.compile(r"^(dicom|dcm|hl7)(?=[A-Z])")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z]|$|\d)|[A-Z]?[a-z]+|[A-Z]+|\d+")


def label_of(attribute: str, language: Language) -> str:
    """The label of an attribute; where there is none, its name without the prefix, in words."""
    try:
        return translate(language, f"label.{attribute}")
    except KeyError:
        return " ".join(_WORD.findall(_PREFIX.sub("", attribute))) or attribute
