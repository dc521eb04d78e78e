"""The catalogues: the same keys in every language, every key used, every used key there."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from dcm4py_leading.web.pages.texts import Language, catalogue, translate

PAGES = Path(str(resources.files("dcm4py_leading.web.pages")))
_KEY = re.compile(r"""["']([a-z_]+\.[A-Za-z0-9_]+)["']""")
_PREFIX = re.compile(r"""["']([a-z_]+\.[a-z_]*)(?:["']\s*~|\{)""")


def _sources() -> str:
    files = [*PAGES.rglob("*.html"), *PAGES.rglob("*.py"), *PAGES.parent.joinpath("login").rglob("*.py")]
    return "\n".join(file.read_text("utf-8") for file in files)


def test_languages_have_the_same_keys() -> None:
    english, german = (set(catalogue(language)) for language in (Language.ENGLISH, Language.GERMAN))
    assert english == german


def test_every_key_is_used() -> None:
    sources = _sources()
    used, prefixes = set(_KEY.findall(sources)), tuple(_PREFIX.findall(sources))
    unused = [key for key in catalogue(Language.ENGLISH) if key not in used and not key.startswith(prefixes)]
    assert not unused


def test_every_used_key_is_there() -> None:
    groups = {key.partition(".")[0] for key in catalogue(Language.ENGLISH)}
    used = set(re.findall(r"""\bt\(\s*["']([^"']+)["']\s*[,)]""", _sources()))
    assert used
    assert not used - set(catalogue(Language.ENGLISH))
    assert groups


@pytest.mark.parametrize("language", Language)
def test_texts_of_one_key_have_the_same_names_to_fill_in(language: Language) -> None:
    for key, text in catalogue(language).items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", catalogue(Language.ENGLISH)[key])), (
            key
        )


def test_names_are_filled_in() -> None:
    assert translate(Language.GERMAN, "nav.logged_in", name="anna") == "Angemeldet als anna"


def test_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        translate(Language.ENGLISH, "nav.nothing")
