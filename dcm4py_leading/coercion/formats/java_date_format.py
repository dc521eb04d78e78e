"""Dates and times as java.text.SimpleDateFormat writes them, as far as it takes digits only.

Names of months, days and eras, AM/PM, week numbers and names of time zones depend on the locale and are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

_TOKEN = re.compile(
    r"(?P<quote>'')|'(?P<quoted>(?:[^']|'')+)'|(?P<letters>(?P<letter>[A-Za-z])(?P=letter)*)|(?P<other>[^A-Za-z']+)"
)
_LOCALE_STYLES = frozenset({"", "short", "medium", "long", "full"})

_NUMBERS: dict[str, Callable[[datetime], int]] = {
    "y": lambda moment: moment.year,
    "M": lambda moment: moment.month,
    "L": lambda moment: moment.month,
    "d": lambda moment: moment.day,
    "D": lambda moment: moment.timetuple().tm_yday,
    "F": lambda moment: (moment.day - 1) // 7 + 1,
    "u": lambda moment: moment.isoweekday(),
    "H": lambda moment: moment.hour,
    "k": lambda moment: moment.hour or 24,
    "K": lambda moment: moment.hour % 12,
    "h": lambda moment: moment.hour % 12 or 12,
    "m": lambda moment: moment.minute,
    "s": lambda moment: moment.second,
    "S": lambda moment: moment.microsecond // 1000,
}


@dataclass(frozen=True, slots=True)
class DateFormat:
    """A compiled pattern."""

    pieces: tuple[str | Callable[[datetime], str], ...]

    def format(self, moment: datetime) -> str:
        """The moment as text; without a time zone it is in that of this system."""
        return "".join(piece if isinstance(piece, str) else piece(moment) for piece in self.pieces)


def compile_date_format(pattern: str) -> DateFormat:
    """Compile a pattern. Raises ValueError, which names the letters that depend on the locale."""
    if pattern.strip().lower() in _LOCALE_STYLES:
        raise ValueError(f"the date format {pattern!r} depends on the locale: expected a pattern such as yyyyMMdd")
    pieces: list[str | Callable[[datetime], str]] = []
    at = 0
    for token in _TOKEN.finditer(pattern):
        if token.start() != at:
            break
        at = token.end()
        if token["letters"] is not None:
            pieces.append(_field(token["letters"]))
        elif token["quoted"] is not None:
            pieces.append(token["quoted"].replace("''", "'"))
        else:
            pieces.append("'" if token["quote"] else token["other"])
    if at != len(pattern):
        raise ValueError(f"a quote is not closed in the date pattern {pattern!r}")
    return DateFormat(tuple(pieces))


def _field(letters: str) -> Callable[[datetime], str]:
    letter, width = letters[0], len(letters)
    if letter == "y" and width == 2:
        return lambda moment: f"{moment.year % 100:02d}"
    if letter in "GYwWEaz" or (letter in "ML" and width > 2):
        raise ValueError(f"{letters} in a date pattern depends on the locale")
    if letter == "Z" or (letter == "X" and width <= 3):
        return lambda moment: _offset(letters, moment)
    if letter not in _NUMBERS:
        raise ValueError(f"{letters} in a date pattern has no meaning: text needs quotes")
    number = _NUMBERS[letter]
    return lambda moment: f"{number(moment):0{width}d}"


def _offset(letters: str, moment: datetime) -> str:
    """Offset from UTC: ``Z`` as in RFC 822, ``X``, ``XX``, ``XXX`` as in ISO 8601."""
    if moment.tzinfo is None:
        try:
            moment = moment.astimezone()
        except OverflowError:  # the first or the last day that there is
            moment = moment.replace(tzinfo=datetime.now().astimezone().tzinfo)
    minutes = (moment.utcoffset() or timedelta()) // timedelta(minutes=1)
    if letters[0] == "X" and minutes == 0:
        return "Z"
    hours, minutes_left = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    if letters == "X":
        return f"{sign}{hours:02d}"
    return f"{sign}{hours:02d}{':' if letters == 'XXX' else ''}{minutes_left:02d}"
