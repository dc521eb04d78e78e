"""Settings without an attribute in the dcm4chee schema, given by ``--set`` and ``--compat``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from dcm4py_leading.model.values import AETitle, parse_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class AEOptions:
    """Options that may differ from AE to AE."""

    leading_first: bool = False
    """leading-first: a query is also asked of the leading archive, so that new names and IDs find old studies."""
    original_attributes_on_retrieve: bool = False
    """original-attributes-on-retrieve: what was changed on the way out is told in (0400,0561)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that ``--set`` and ``--compat`` can say."""

    default: AEOptions = field(default_factory=AEOptions)
    by_ae: Mapping[AETitle, AEOptions] = field(default_factory=dict)
    last_known_max_age: timedelta = timedelta(hours=24)
    """last-known-max-age: how old an answer may be that is served while the leading archive is down."""
    leading_page_size: int = 100
    """leading-page-size: studies in one C-FIND to the leading archive."""
    leading_deadline: timedelta = timedelta(seconds=15)
    """leading-deadline: how long one request waits for leading archives in all."""
    proxy_keep: int = 0
    """proxy-keep: how many bytes of studies are kept that have passed through from another archive; 0: nothing."""
    compat_5_35: bool = False
    """``--compat 5.35``: a version-2 rule that matches switches legacy rules off, as in dcm4chee-arc 5.35."""

    def of(self, ae_title: AETitle) -> AEOptions:
        """The options of one AE."""
        return self.by_ae.get(ae_title, self.default)


def parse_options(settings: Iterable[str], *, compat_5_35: bool = False) -> Options:
    """Read ``[AET:]NAME=VALUE`` texts; a setting of an AE goes before one for all. Raises ValueError."""
    options = Options(compat_5_35=compat_5_35)
    for_all: dict[str, object] = {}
    for_one: dict[AETitle, dict[str, object]] = {}
    for text in settings:
        name, separator, value = text.partition("=")
        if not separator:
            raise ValueError(f"expected [AET:]NAME=VALUE, not {text!r}")
        title, colon, name = name.rpartition(":")
        known = _AE_OPTIONS if colon else {**_OPTIONS, **_AE_OPTIONS}
        if name not in known:
            raise ValueError(f"unknown setting {name!r}: expected one of {', '.join(sorted(known))}")
        try:
            parsed = known[name](value)
            target = for_one.setdefault(AETitle(title), {}) if colon else for_all
        except ValueError as err:
            raise ValueError(f"{text!r}: {err}") from err
        target[name.replace("-", "_")] = parsed
    common = {name: value for name, value in for_all.items() if name.replace("_", "-") in _AE_OPTIONS}
    default = replace(options.default, **_any(common))
    return replace(
        options,
        default=default,
        by_ae={title: replace(default, **_any(values)) for title, values in for_one.items()},
        **_any({name: value for name, value in for_all.items() if name not in common}),
    )


def _any(values: Mapping[str, object]) -> dict[str, Any]:
    return dict(values)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("expected true or false")
    return text.lower() == "true"


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise ValueError("expected a number from 1 to 1000")
    return int(text)


def _size(text: str) -> int:
    number, factor = (text[:-1], _FACTORS[text[-1:]]) if text[-1:] in _FACTORS else (text, 1)
    if not (number.isascii() and number.isdecimal()) or int(number) * factor > _MAX_BYTES:
        raise ValueError("expected a number of bytes, or one with K, M, G or T for powers of 1024, such as 20G")
    return int(number) * factor


_FACTORS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MAX_BYTES = 1 << 60

_AE_OPTIONS: Mapping[str, Callable[[str], object]] = {
    "leading-first": _boolean,
    "original-attributes-on-retrieve": _boolean,
}
_OPTIONS: Mapping[str, Callable[[str], object]] = {
    "last-known-max-age": parse_duration,
    "leading-page-size": _count,
    "leading-deadline": parse_duration,
    "proxy-keep": _size,
}

SETTINGS = tuple(sorted({**_OPTIONS, **_AE_OPTIONS}))
"""The names of all settings."""
