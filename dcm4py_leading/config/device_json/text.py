"""JSON text of a request, within bounds (RFC 8259)."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from dcm4py_leading.config.device_json.values import Json
from dcm4py_leading.errors import DocumentFault, DocumentInvalid
from dcm4py_leading.model.bounds import JSON_DEPTH

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Without backtracking, and also one that never ends: each character is looked at once."""
_BRACKET = re.compile(r"[\[\]{}]")

_ON_FAILURE = "dcmCoercionOnFailure"
_ON_FAILURE_OF_DCM4CHEE = "dcmCoercionSufficient"
"""dcm4chee writes dcmCoercionOnFailure, a text, under this name, beside the true or false that is called so."""


def parse(body: bytes, *, may_have_fractions: bool = False) -> dict[str, Json]:
    """The object that ``body`` is. Raises DocumentInvalid."""
    fraction = float if may_have_fractions else _no_number
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise DocumentInvalid([DocumentFault("", f"expected UTF-8; octet {err.start + 1} is not")]) from None
    if _is_deeper(text, JSON_DEPTH):
        raise DocumentInvalid([DocumentFault("", f"expected objects and arrays at most {JSON_DEPTH} deep")])
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=fraction)
    except json.JSONDecodeError as err:
        reason = f"expected JSON: {err.msg} at line {err.lineno}, column {err.colno}"
        raise DocumentInvalid([DocumentFault("", reason)]) from None
    except ValueError:  # a whole number of thousands of digits
        raise DocumentInvalid([DocumentFault("", "expected a number of fewer digits")]) from None
    if not isinstance(found, dict):
        raise DocumentInvalid([DocumentFault("", "expected an object, in braces")])
    return found


def _is_deeper(text: str, most: int) -> bool:
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > most:
            return True
    return False


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    given = {name for name, _ in pairs}
    for name, value in pairs:
        if name == _ON_FAILURE_OF_DCM4CHEE and isinstance(value, str):
            if _ON_FAILURE in given:
                continue
            name = _ON_FAILURE
        if name in found:
            raise DocumentInvalid([DocumentFault("", f"expected each member once, not {name[:80]!r} twice")])
        found[name] = value
    return found


def _no_number(text: str) -> NoReturn:
    raise DocumentInvalid([DocumentFault("", f"expected a whole number, not {text[:40]}")])
