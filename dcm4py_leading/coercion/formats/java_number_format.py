"""Numbers as java.text.DecimalFormat writes them, in the symbols of English.

Of its patterns ``0``, ``#``, ``.``, ``,``, ``%``, ``‰``, quotes and a second pattern for negative numbers after ``;``
are known; exponents and the currency sign are refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

_NAMED_PATTERNS = {"": "#,##0.###", "integer": "#,##0", "percent": "#,##0%"}
_MULTIPLIERS = {"%": 100, "‰": 1000}
_DIGITS = "#0,."
_EXACT = Context(prec=1200, rounding=ROUND_HALF_EVEN)  # a float has up to 309 digits before the point, 1074 behind


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFormat:
    """A compiled pattern."""

    prefix: str
    suffix: str
    negative_prefix: str
    negative_suffix: str
    multiplier: int
    min_integer_digits: int
    min_fraction_digits: int
    max_fraction_digits: int
    grouping: int
    """Digits between two commas; 0: no commas."""
    point_always: bool

    def format(self, value: float) -> str:
        """The number as text, rounded half to even."""
        if math.isnan(value):
            return "NaN"
        digits = self._digits(abs(value * self.multiplier))
        if math.copysign(1, value) < 0:  # Java keeps the sign of what is rounded to zero
            return f"{self.negative_prefix}{digits}{self.negative_suffix}"
        return f"{self.prefix}{digits}{self.suffix}"

    def _digits(self, value: float) -> str:
        if math.isinf(value):
            return "∞"
        integer, _, fraction = f"{self._rounded(value):f}".partition(".")
        integer = integer.lstrip("0").rjust(self.min_integer_digits, "0")
        fraction = fraction.rstrip("0").ljust(self.min_fraction_digits, "0")
        if not integer and not fraction:
            integer = "0"
        return _grouped(integer, self.grouping) + ("." if fraction or self.point_always else "") + fraction

    def _rounded(self, value: float) -> Decimal:
        shortest = Decimal(repr(value))
        exponent = shortest.as_tuple().exponent
        if isinstance(exponent, int) and -exponent <= self.max_fraction_digits:
            return shortest
        return Decimal(value).quantize(Decimal(1).scaleb(-self.max_fraction_digits), context=_EXACT)


def compile_number_format(pattern: str) -> NumberFormat:
    """Compile what follows ``number`` in java.text.MessageFormat: a pattern, ``integer``, ``percent`` or nothing.

    Raises ValueError.
    """
    name = pattern.strip().lower()
    if name == "currency":
        raise ValueError("the number format 'currency' depends on the locale")
    scan = _Scan(_NAMED_PATTERNS.get(name, pattern))
    prefix, suffix, multiplier, number = scan.sub_pattern()
    negative_prefix, negative_suffix = "-" + prefix, suffix
    if scan.take(";"):
        other_prefix, other_suffix, _, _ = scan.sub_pattern()
        if (other_prefix, other_suffix) != (prefix, suffix):
            negative_prefix, negative_suffix = other_prefix, other_suffix
    scan.expect_end()
    return _compile_digits(number, prefix, suffix, negative_prefix, negative_suffix, multiplier)


def _compile_digits(
    number: str, prefix: str, suffix: str, negative_prefix: str, negative_suffix: str, multiplier: int
) -> NumberFormat:
    integer, point, fraction = number.partition(".")
    grouping = len(integer.rpartition(",")[2]) if "," in integer else 0
    places = integer.replace(",", "")
    malformed = (
        "," in fraction
        or "." in fraction
        or (integer.endswith(",") and integer)
        or not places + fraction
        or "0#" in places
        or "#0" in fraction
    )
    if malformed:
        raise ValueError(f"malformed number pattern {number!r}")
    min_integer = places.count("0")
    min_fraction = fraction.count("0")
    if point and "0" not in number:
        # Java keeps one digit: before the point if there is one at all, else behind it.
        min_integer, min_fraction = (1, 0) if places else (0, 1)
    return NumberFormat(
        prefix=prefix,
        suffix=suffix,
        negative_prefix=negative_prefix,
        negative_suffix=negative_suffix,
        multiplier=multiplier,
        min_integer_digits=min_integer,
        min_fraction_digits=min_fraction,
        max_fraction_digits=len(fraction),
        grouping=grouping,
        point_always=bool(point) and not (places and fraction),
    )


def _grouped(digits: str, size: int) -> str:
    if not size:
        return digits
    first = len(digits) % size
    groups = [digits[:first], *(digits[at : at + size] for at in range(first, len(digits), size))]
    return ",".join(group for group in groups if group)


class _Scan:
    """One pass over a pattern."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def take(self, char: str) -> bool:
        if self._text.startswith(char, self._at):
            self._at += 1
            return True
        return False

    def expect_end(self) -> None:
        if self._at < len(self._text):
            raise ValueError(f"unexpected {self._text[self._at]!r} in the number pattern {self._text!r}")

    def sub_pattern(self) -> tuple[str, str, int, str]:
        """Prefix, suffix, multiplier and digits."""
        prefix, before = self._affix()
        start = self._at
        while self._at < len(self._text) and self._text[self._at] in _DIGITS:
            self._at += 1
        number = self._text[start : self._at]
        if self._text.startswith("E", self._at):
            raise ValueError(f"exponents are not supported in a number pattern: {self._text!r}")
        suffix, behind = self._affix()
        if not number:
            raise ValueError(f"no digits in the number pattern {self._text!r}")
        if before != 1 and behind != 1:
            raise ValueError(f"more than one percent or per mille sign in the number pattern {self._text!r}")
        return prefix, suffix, before * behind, number

    def _affix(self) -> tuple[str, int]:
        affix = ""
        multiplier = 1
        quoted = False
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "'":
                self._at += 1
                if self.take("'"):
                    affix += "'"
                else:
                    quoted = not quoted
                continue
            if not quoted:
                if char in _DIGITS or char == ";":
                    break
                if char == "¤":
                    raise ValueError(f"the currency sign in the number pattern {self._text!r} depends on the locale")
                if char in _MULTIPLIERS:
                    if multiplier != 1:
                        raise ValueError(
                            f"more than one percent or per mille sign in the number pattern {self._text!r}"
                        )
                    multiplier = _MULTIPLIERS[char]
            affix += char
            self._at += 1
        if quoted:
            raise ValueError(f"a quote is not closed in the number pattern {self._text!r}")
        return affix, multiplier
