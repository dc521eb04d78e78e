"""Conditions of a rule (dcmProperty), compiled: ``key[!]=value``.

The key is that of a peer (`SendingHostname` and the like) or the path of an attribute, ``Keyword``, ``ggggeeee`` or
``Sequence.Keyword``, with the number of a value in brackets where only that one counts. The value is a regular
expression that has to match all of it; a list of codes for a code sequence; one of the named predicates; or nothing,
which holds when there is no value. ``!`` negates a condition, so it is true if there is no value.
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydicom import Dataset

from dcm4py_leading.coercion.attribute_path import is_attribute, items_of, parse_tag, values_of, vr_of
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.formats.java_regex import compile_java_regex
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.bounds import CONDITION_MATCH_SECONDS

_PEERS: dict[str, Callable[[CoercionContext], str | None]] = {
    "SendingHostname": lambda context: context.sending.host,
    "SendingApplicationEntityTitle": lambda context: context.sending.ae_title,
    "ReceivingHostname": lambda context: context.receiving.host,
    "ReceivingApplicationEntityTitle": lambda context: context.receiving.ae_title,
}

Test = Callable[[str, CoercionContext, float], bool]
"""True if one value is what the condition wants; the last argument is how many seconds that may take.

Raises CoercionFailed when it takes longer.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One compiled dcmProperty."""

    text: str
    """As it stands in the directory."""
    negated: bool
    peer: Callable[[CoercionContext], str | None] | None = None
    path: tuple[int, ...] = ()
    value_number: int | None = None
    test: Test | None = None
    """None: whether there is no value."""
    codes: tuple[Code, ...] = ()
    is_sequence: bool = field(default=False)

    @property
    def reads(self) -> frozenset[int]:
        """Tags at the top of the data set that the condition reads."""
        return frozenset(self.path[:1])

    @property
    def is_on_host(self) -> bool:
        """True if it is on SendingHostname or ReceivingHostname."""
        return self.peer is not None and "Hostname" in self.text.partition("=")[0]

    @property
    def is_timeless(self) -> bool:
        """True if the result does not depend on the current date."""
        return self.test is not _is_current_date

    def holds(self, context: CoercionContext, ds: Dataset) -> bool:
        """True if the condition is true for this message and data set.

        Raises CoercionFailed, with the condition, if the evaluation takes too long.
        """
        if self.peer is not None:
            value = self.peer(context)
            found = value is not None and self.test is not None and self.test(value, context, CONDITION_MATCH_SECONDS)
        elif self.is_sequence:
            found = self._holds_for_sequence(ds)
        else:
            values = list(self._values(ds))
            if self.test is None:
                found = not any(values)
            else:
                found = self._any_matches([value for value in values if value], context, self.test)
        return found is not self.negated

    def found_in(self, context: CoercionContext, ds: Dataset) -> str:
        """Value that the condition was compared with, for an explanation."""
        if self.peer is not None:
            return self.peer(context) or "unknown"
        if self.is_sequence:
            return f"{sum(len(items_of(item, self.path[-1])) for item in _items_at(ds, self.path[:-1]))} items"
        return "\\".join(self._values(ds)) or "absent"

    def _any_matches(self, values: Sequence[str], context: CoercionContext, test: Test) -> bool:
        ends_at = time.monotonic() + CONDITION_MATCH_SECONDS  # of all of them: there may be thousands
        return any(test(value, context, ends_at - time.monotonic()) for value in values)

    def _values(self, ds: Dataset) -> Iterator[str]:
        for item in _items_at(ds, self.path[:-1]):
            values = list(values_of(item.get(self.path[-1])))
            # dcm4chee takes a value beyond the last as matching.
            yield from values if self.value_number is None else values[self.value_number - 1 : self.value_number]

    def _holds_for_sequence(self, ds: Dataset) -> bool:
        sequences = [items_of(item, self.path[-1]) for item in _items_at(ds, self.path[:-1])]
        if not self.codes:
            return not any(sequences)
        return any(code.is_that_of(items[0]) for items in sequences if items for code in self.codes)


def _items_at(ds: Dataset, path: tuple[int, ...]) -> Iterator[Dataset]:
    if not path:
        yield ds
        return
    for item in items_of(ds, path[0]):
        yield from _items_at(item, path[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A code for comparison in conditions, without the code meaning (PS3.3 8)."""

    value: str
    scheme: str
    version: str | None = None

    def is_that_of(self, item: Dataset) -> bool:
        """True if the item of a code sequence holds this code."""
        value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
        version = item.get("CodingSchemeVersion") or None
        return (value, item.get("CodingSchemeDesignator"), version) == (self.value, self.scheme, self.version)


# No two neighbours match the same character, or long text would be very slow; blanks are stripped afterwards.
_CODE = re.compile(r'\((?P<value>[^,()"|]+),(?P<scheme>[^,()"|\[\]]+)(\[(?P<version>[^\]]+)\]\s*)?(,\s*"[^"]*"\s*)?\)')


def _parse_codes(text: str) -> tuple[Code, ...] | None:
    codes: list[Code] = []
    at = 0
    while match := _CODE.match(text, at):
        value, scheme, version = (text and text.strip() for text in match.group("value", "scheme", "version"))
        if "" in (value, scheme, version):
            return None
        codes.append(Code(value=value, scheme=scheme, version=version))
        at = match.end()
        if at == len(text):
            return tuple(codes)
        if text[at] != "|":
            return None
        at += 1
    return None


def compile_condition(text: str) -> Condition:
    """Compile one dcmProperty. Raises ValueError."""
    key, separator, wanted = text.partition("=")
    if not separator:
        raise ValueError("expected KEY=VALUE or KEY!=VALUE")
    negated = key.endswith("!")
    key, value_number = _split_value_number(key.removesuffix("!"))
    if peer := _PEERS.get(key):
        if value_number is not None:
            raise ValueError(f"{key} has one value: [{value_number}] means nothing")
        if not wanted:
            raise ValueError(f"{key} needs a value to compare with")
        return Condition(text=text, negated=negated, peer=peer, test=_compile_test(wanted))
    if meant := _meant_peer(key):
        raise ValueError(f"unknown attribute {key!r}: did you mean {meant}?")
    path = tuple(parse_tag(name) for name in key.split("."))
    for tag, name in zip(path[:-1], key.split("."), strict=False):
        if vr_of(tag) not in ("SQ", None):
            raise ValueError(f"{name} is no sequence")
    codes = _parse_codes(wanted)
    is_sequence = vr_of(path[-1]) == "SQ" or (vr_of(path[-1]) is None and codes is not None)
    if not is_sequence:
        test = _compile_test(wanted) if wanted else None
        return Condition(text=text, negated=negated, path=path, value_number=value_number, test=test)
    if value_number is not None:
        raise ValueError("the number of a value does not go with a sequence")
    if wanted and codes is None:
        raise ValueError('a sequence is compared with codes such as (113000, DCM, "Of Interest")|(113001, DCM)')
    return Condition(text=text, negated=negated, path=path, codes=codes or (), is_sequence=True)


def _meant_peer(key: str) -> str | None:
    """The valid peer key that an unknown key, such as ReceivingAETitle or CalledAET, probably means."""
    if is_attribute(key.partition(".")[0]):
        return None
    whole = re.sub(r"AE(T(itle)?)?$", "ApplicationEntityTitle", key, flags=re.IGNORECASE)
    whole = re.sub(r"^(Called|Destination)", "Receiving", re.sub(r"^(Calling|Source)", "Sending", whole))
    return next(iter(difflib.get_close_matches(whole, _PEERS, n=1, cutoff=0.85)), None)


def compile_conditions(properties: tuple[str, ...]) -> tuple[Condition, ...]:
    """Compile the conditions of a rule, in order of evaluation. Raises ValueError."""
    return tuple(compile_condition(text) for text in sorted(properties))


def _split_value_number(key: str) -> tuple[str, int | None]:
    name, bracket, number = key.partition("[")
    if not bracket:
        return key, None
    if not number.endswith("]") or not re.fullmatch(r"-?[0-9]{1,9}", number[:-1]):
        raise ValueError("expected the number of a value in brackets at the end of the key, such as ImageType[3]")
    if int(number[:-1]) <= 0:
        raise ValueError("the number of a value counts from 1")
    return name, int(number[:-1])


def _compile_test(wanted: str) -> Test:
    if wanted.startswith("§"):
        if wanted not in _PREDICATES:
            raise ValueError(f"unknown predicate {wanted}: expected one of {', '.join(sorted(_PREDICATES))}")
        return _PREDICATES[wanted]
    pattern = compile_java_regex(wanted)

    def matches(value: str, _: CoercionContext, seconds: float) -> bool:
        try:
            if seconds > 0:
                return pattern.fullmatch(value, timeout=seconds) is not None
        except TimeoutError:
            pass
        raise CoercionFailed(f"a condition takes more than {CONDITION_MATCH_SECONDS} s to match: {wanted}")

    return matches


def _is_estonian_personal_code(value: str, _: CoercionContext, __: float) -> bool:
    """Isikukood: century and sex, date of birth, serial number, check digit of EVS 585."""
    if not re.fullmatch(r"[1-6][0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{4}", value, re.ASCII):
        return False
    digits = [int(digit) for digit in value]
    for weights in ((1, 2, 3, 4, 5, 6, 7, 8, 9, 1), (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)):
        check = sum(weight * digit for weight, digit in zip(weights, digits, strict=False)) % 11
        if check < 10:
            return digits[10] == check
    return digits[10] == 0


def _is_current_date(value: str, context: CoercionContext, _: float) -> bool:
    return value == _date(context.now())


def _date(moment: datetime) -> str:
    return moment.strftime("%Y%m%d")


_PREDICATES: dict[str, Test] = {"§PATIENT_ID_EST": _is_estonian_personal_code, "§CURRENT_DATE": _is_current_date}
