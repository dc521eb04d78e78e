"""Values in words: durations, SOP classes, attributes."""

from __future__ import annotations

from datetime import timedelta

from pydicom.datadict import dictionary_description
from pydicom.uid import UID

from dcm4py_leading.web.pages.texts import Language, translate

_UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
    ("millisecond", timedelta(milliseconds=1)),
)


def duration_in_words(duration: timedelta, language: Language) -> str:
    """Such as ``1 day 12 hours``; what is less than a millisecond is left out."""
    parts = []
    for unit, length in _UNITS:
        count, duration = divmod(duration, length)
        if count:
            key = f"words.{unit}" if count == 1 else f"words.{unit}s"
            parts.append(translate(language, key, count=count))
    return " ".join(parts) or translate(language, "words.seconds", count=0)


def age_in_words(age: timedelta, language: Language) -> str:
    """The same without what does not matter: of hours no seconds, of days no minutes."""
    for unit, rest in ((timedelta(days=1), timedelta(hours=1)), (timedelta(hours=1), timedelta(minutes=1))):
        if age >= unit:
            return duration_in_words(age - age % rest, language)
    return duration_in_words(age - age % timedelta(seconds=1), language)


def uid_in_words(uid: str) -> str:
    """The name of a registered UID (PS3.6 Annex A); empty for another one."""
    name = UID(uid).name
    return "" if name == uid else name


def tag_in_words(tag: int) -> str:
    """The name of an attribute (PS3.6); empty for one that is not in the standard."""
    try:
        return dictionary_description(tag)
    except KeyError:
        return ""
