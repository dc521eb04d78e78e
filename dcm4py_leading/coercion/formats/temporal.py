"""Values of DA, TM and DT (PS3.5 6.2) as moments, and ISO 8601 offsets from them."""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Callable
from datetime import datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal

_DA = re.compile(r"(\d{4})(\.?)(\d\d)\2(\d\d)", re.ASCII)
_TM = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d+))?)?)?(?:[+-]\d{4})?", re.ASCII)
_DT = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d+))?)?)?)?)?)?([+-]\d{4})?",
    re.ASCII,
)
_PERIOD = re.compile(
    r"([+-]?)P(?:([+-]?\d{1,9})Y)?(?:([+-]?\d{1,9})M)?(?:([+-]?\d{1,8})W)?(?:([+-]?\d{1,9})D)?",
    re.ASCII | re.IGNORECASE,
)
_DURATION = re.compile(
    r"([+-]?)P(?:([+-]?\d{1,9})D)?"
    r"(?:T(?:([+-]?\d{1,9})H)?(?:([+-]?\d{1,9})M)?(?:([+-]?\d{1,9}(?:[.,]\d{0,9})?)S)?)?",
    re.ASCII | re.IGNORECASE,
)

Offset = Callable[[datetime], datetime]
"""Moves a moment. Raises OverflowError or ValueError beyond the years 1 to 9999."""


def parse_moment(vr: str, text: str, *, zone: str | None, local: tzinfo | None) -> datetime | None:
    """The moment that a value means, in local time; None if it is no date or time.

    A DA is the start of the day, a TM is on 1 January 1970. A DT without an offset of its own is in ``zone``, the
    Timezone Offset From UTC, if given. ``local`` None: the time zone of this system.
    """
    try:
        if vr == "DA" and (match := _DA.fullmatch(text)):
            return datetime(int(match[1]), int(match[3]), int(match[4]))
        if vr == "TM" and (match := _TM.fullmatch(text)):
            return _at(datetime(1970, 1, 1), match.groups()[:3], match[4])
        if vr == "DT" and (match := _DT.fullmatch(text)):
            day = datetime(int(match[1]), int(match[2] or 1), int(match[3] or 1))
            moment = _at(day, match.groups()[3:6], match[7])
            return _to_local(moment, match[8] or zone, local)
    except (ValueError, OverflowError):
        return None
    return None


def _at(day: datetime, clock: tuple[str | None, ...], fraction: str | None) -> datetime:
    hour, minute, second = (int(part or 0) for part in clock)
    millis = (int((fraction or "").ljust(4, "0")[:4]) + 5) // 10
    return datetime.combine(day, time(hour, minute, second)) + timedelta(milliseconds=millis)


def _to_local(moment: datetime, zone: str | None, local: tzinfo | None) -> datetime:
    if zone is None or not re.fullmatch(r"[+-]\d{4}", zone, re.ASCII):
        return moment
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
    return moment.replace(tzinfo=timezone(-offset if zone[0] == "-" else offset)).astimezone(local)


def parse_period(text: str) -> Offset:
    """A calendar offset such as ``-P1M`` (java.time.Period). Raises ValueError."""
    match = _PERIOD.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        raise ValueError(f"expected an offset of days such as -P1M, not {text!r}")
    sign = -1 if match[1] == "-" else 1
    years, months, weeks, days = (sign * int(part or 0) for part in match.groups()[1:])

    def moved(moment: datetime) -> datetime:
        moment = _add_months(_add_months(moment, 12 * years), months)
        return moment + timedelta(days=7 * weeks + days)

    return moved


def parse_duration(text: str) -> Offset:
    """An offset in time such as ``+PT30M`` (java.time.Duration), in whole seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()[1:]) or text[-1] in "Tt":
        raise ValueError(f"expected an offset of time such as +PT30M, not {text!r}")
    sign = -1 if match[1] == "-" else 1
    days, hours, minutes, seconds = (Decimal((part or "0").replace(",", ".")) for part in match.groups()[1:])
    try:
        delta = timedelta(seconds=math.floor(sign * (86400 * days + 3600 * hours + 60 * minutes + seconds)))
    except OverflowError as err:
        raise ValueError(f"offset of time out of range: {text!r}") from err
    return lambda moment: moment + delta


def _add_months(moment: datetime, months: int) -> datetime:
    """The same day of another month, or the last day that it has."""
    year, month0 = divmod(12 * moment.year + moment.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError("year out of range")
    return moment.replace(year=year, month=month0 + 1, day=min(moment.day, monthrange(year, month0 + 1)[1]))
