"""Path of a file from its attributes (dcmStoragePathFormat; see `coercion.formats.attributes_format`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from dcm4py_leading.coercion.formats.attributes_format import (
    Attributes,
    AttributesFormat,
    compile_format,
    random_digits,
)
from dcm4py_leading.dataset.text.text import storable

__all__ = ["PathFormat", "compile_path_format", "random_digits"]

_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")
_MAX_ELEMENT_BYTES = 255
_HARMLESS = re.compile(r"[\w-][\w.-]{0,63}(?:/[\w-][\w.-]{0,63})*", re.ASCII).fullmatch
"""Matches a path that nothing has to be changed in."""


@dataclass(frozen=True, slots=True)
class PathFormat:
    """A compiled dcmStoragePathFormat. Values cannot add elements to the path nor climb out of it."""

    format: AttributesFormat

    def path(self, attributes: Attributes, now: datetime) -> str:
        """The relative path, elements parted by ``/``; none of them is empty or begins with a dot.

        What begins with a dot is hidden, leads upwards, or is where a storage has its files in flight.
        """
        whole = self.format.render(attributes, now, clean=_clean)
        if _HARMLESS(whole) is not None:
            return whole
        elements = [_element(text) for text in whole.split("/") if text]
        return "/".join(elements) or "_"


def compile_path_format(text: str) -> PathFormat:
    """Read a dcmStoragePathFormat. Raises ValueError, which names the part that is wrong or not supported."""
    form = compile_format(text)
    if any(element in (".", "..") for element in "{}".join(form.literals).split("/")):
        raise ValueError("the path must not contain the elements . and ..")
    return PathFormat(form)


def _clean(value: str) -> str:
    return _UNSAFE.sub("_", storable(value))


def _element(text: str) -> str:
    shown = text.lstrip(".")
    visible = "_" * (len(text) - len(shown)) + shown
    return visible.replace("\0", "_").encode()[:_MAX_ELEMENT_BYTES].decode(errors="ignore")
