"""The texts of the pages: one catalogue for each language, of the same keys."""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources


class Language(enum.Enum):
    """A language of the pages, by its tag (BCP 47)."""

    ENGLISH = "en"
    GERMAN = "de"


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """The texts by key, such as ``nav.devices``."""
    text = resources.files(__name__).joinpath(f"{language.value}.toml").read_text("utf-8")
    return {f"{group}.{key}": value for group, texts in tomllib.loads(text).items() for key, value in texts.items()}


def translate(language: Language, key: str, **values: object) -> str:
    """The text of ``key`` with its ``{names}`` filled in. Raises KeyError when there is none."""
    text = catalogue(language)[key]
    return text.format_map(values) if values else text
