"""The help of a field, made by scripts/field_help.py from the texts of docs/configuration.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """Help on one attribute of an object class."""

    meaning: str
    values: str = ""
    """Number and form of its values."""
    default: str = ""
    """Default where it is absent: a value or words."""
    remark: str = ""
    """Difference of dcm4che or dcm4chee in that."""
    status: str = "no"
    """``yes`` if it is acted on, ``partial: ...`` with what is missing, ``no``."""

    @property
    def is_read(self) -> bool:
        """True if this service reads it at all."""
        return self.status != "no"


@cache
def help_of() -> Mapping[str, Mapping[str, Help]]:
    """By object class and attribute."""
    told = json.loads(resources.files(__package__).joinpath("help.json").read_text("utf-8"))
    return {name: {attribute: Help(**texts) for attribute, texts in found.items()} for name, found in told.items()}
