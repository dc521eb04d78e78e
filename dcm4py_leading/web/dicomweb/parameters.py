"""Query parameters of QIDO-RS (PS3.18 8.3.4, 10.6.1), read as clients write them. Pure.

A list has commas or backslashes between its values. In a text a comma that was sent as ``%2C`` is part of a value; a
value of any other VR has no comma in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote_plus

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag

from dcm4py_leading.archive.index.keys import KEY_OF, LEVELS
from dcm4py_leading.dataset.text.text import TEXT_VRS
from dcm4py_leading.model.bounds import WEB_INCLUDED, WEB_KEYS
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.dicomweb.search import Path

_HEX = re.compile(r"[0-9A-Fa-f]{8}")
_LIMIT, _OFFSET = re.compile(r"[1-9][0-9]{0,4}", re.ASCII), re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)


class WrongParameter(ValueError):
    """A parameter that is unknown, or has a wrong value; the message begins with its name."""


@dataclass(slots=True)
class Parameters:
    """Parameters of a search."""

    keys: list[tuple[Path, tuple[str, ...]]] = field(default_factory=list)
    included: list[int] = field(default_factory=list)
    includes_all: bool = False
    includes_defaults: bool = True
    order: list[tuple[int, bool]] = field(default_factory=list)
    offset: int = 0
    limit: int | None = None
    is_fuzzy: bool = False


def read_parameters(query: str, level: Level) -> Parameters:
    """The parameters of a query string, as it was sent. Raises WrongParameter."""
    read = Parameters()
    values = 0
    for name, sent in _pairs(query):
        match name:
            case "accept":
                pass  # see `accept`
            case "limit":
                read.limit = _number(name, sent, _LIMIT, "a number from 1 to 99999")
            case "offset":
                read.offset = _number(name, sent, _OFFSET, "a number from 0 to 99999")
            case "fuzzymatching":
                read.is_fuzzy = _flag(name, sent)
            case "includedefaults":
                read.includes_defaults = _flag(name, sent)
            case "includefield":
                _include(read, sent)
            case "orderby":
                read.order += [_order(text, level) for text in _list(unquote_plus(sent))]
            case _:
                path = _path(name)
                if path is None:
                    raise WrongParameter(f"{_shown(name)}: no attribute, and no parameter of a search")
                found = _values(sent, path)
                values += len(found)
                if values > WEB_KEYS * 8 or len(read.keys) >= WEB_KEYS:
                    raise WrongParameter(f"{_shown(name)}: too many attributes or values to be matched")
                if found:
                    read.keys.append((path, found))
                elif len(path) == 1:
                    read.included.append(path[0])
    return read


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    """Names, decoded, and values as they were sent; of ``&&`` and a ``&`` at the end nothing comes."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if pair:
            yield unquote_plus(name), value


def _include(read: Parameters, sent: str) -> None:
    for text in _list(unquote_plus(sent)):
        if text.casefold() == "all":
            read.includes_all = True
            continue
        path = _path(text)
        if path is None:
            raise WrongParameter(f"includefield: {_shown(text)} is no attribute")
        if len(read.included) >= WEB_INCLUDED:
            raise WrongParameter(f"includefield: more than {WEB_INCLUDED} attributes")
        read.included.append(path[0])  # a sequence comes with all of its items


def _order(text: str, level: Level) -> tuple[int, bool]:
    name = text.removeprefix("-")
    path = _path(name)
    reached = LEVELS[: LEVELS.index(level) + 1]
    if path is None or len(path) > 1 or path[0] not in KEY_OF or KEY_OF[path[0]].level not in reached:
        raise WrongParameter(f"orderby: {_shown(name)} cannot be sorted by here")
    return path[0], text.startswith("-")


def _values(sent: str, path: Path) -> tuple[str, ...]:
    """The values of an attribute, of which one has to match; none where it is empty."""
    parts = sent.split(",") if _vr(path[-1]) in TEXT_VRS else unquote_plus(sent).replace(",", "\\").split("\\")
    texts = [unquote_plus(part) for part in parts] if _vr(path[-1]) in TEXT_VRS else parts
    found = [value.strip() for text in texts for value in text.split("\\")]
    return tuple(value for value in found if value)


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\\", ",").split(",") if part.strip()]


def _path(text: str) -> Path | None:
    """Tags of a path such as ``RequestAttributesSequence.ScheduledProcedureStepID``; None where one is unknown."""
    tags = [_tag(part) for part in text.split(".")]
    if any(tag is None for tag in tags):
        return None
    return tuple(tag for tag in tags if tag is not None)


def _tag(text: str) -> int | None:
    if _HEX.fullmatch(text):
        return int(text, 16)
    return _tags_by_keyword().get(text.casefold())


@lru_cache(maxsize=1)
def _tags_by_keyword() -> dict[str, int]:
    return {entry[4].casefold(): tag for tag, entry in DicomDictionary.items() if entry[4]}


def _vr(tag: int) -> str:
    return dictionary_VR(tag) if keyword_for_tag(tag) else "LO"


def _number(name: str, sent: str, form: re.Pattern[str], expected: str) -> int:
    if not form.fullmatch(unquote_plus(sent)):
        raise WrongParameter(f"{name}: expected {expected}")
    return int(unquote_plus(sent))


def _flag(name: str, sent: str) -> bool:
    match sent:
        case "true" | "":
            return True
        case "false":
            return False
    raise WrongParameter(f"{name}: expected true or false")


def _shown(name: str) -> str:
    """A name that a client made up, in a message: it may be a value that went astray."""
    return name if re.fullmatch(r"[\w.]{1,64}", name, re.ASCII) else "a name that is no word"
