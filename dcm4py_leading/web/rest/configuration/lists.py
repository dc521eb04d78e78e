"""Lists of entries with a few members each, filtered by query parameters as in dcm4chee."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.rest.configuration.failures import Refusal
from dcm4py_leading.web.rest.operations import BOOLEAN, TEXT, Parameter


@dataclass(frozen=True, slots=True)
class Member:
    """A member of each object of a list, and a query parameter."""

    name: str
    is_array: bool = False
    is_boolean: bool = False
    is_number: bool = False
    ignores_case: bool = True
    """By the attribute's matching rule."""
    object_class: str = ""
    """Where it is given, the member tells whether the entry has the class."""
    is_filter: bool = True

    def value(self, entry: Entry) -> Any:
        """Value that is told; None where there is nothing."""
        if self.object_class:
            return entry.is_a(self.object_class)
        values = entry.values(self.name)
        if self.is_array:
            return list(values) or None
        if self.is_boolean and values:
            return values[0].strip().upper() == "TRUE"
        if self.is_number and values and values[0].strip().isdecimal():
            return int(values[0])
        return values[0] if values else None

    def matches(self, entry: Entry, wanted: Sequence[str]) -> bool:
        """True if a value is one of those wanted; ``*`` stands for any characters. Raises Refusal 400."""
        if self.is_boolean:
            return self.value(entry) in [_boolean(self.name, value) for value in wanted]
        values, patterns = entry.values(self.name), wanted
        if self.ignores_case:
            values, patterns = tuple(map(str.casefold, values)), tuple(map(str.casefold, wanted))
        return any(_fits(value, pattern) for value in values for pattern in patterns)


def filters_of(members: Iterable[Member]) -> tuple[Parameter, ...]:
    """The query parameters."""
    return tuple(
        Parameter(
            name=member.name,
            meaning="true or false" if member.is_boolean else "a value; * stands for any characters",
            schema=BOOLEAN if member.is_boolean else TEXT,
            is_repeated=member.is_array,
        )
        for member in members
        if member.is_filter
    )


def listed(
    entries: Iterable[Entry], members: Sequence[Member], request: Request, *, sort_by: str
) -> list[dict[str, Any]]:
    """The objects of those entries that the query parameters want, sorted by a member. Raises Refusal 400."""
    found = [object_of(entry, members) for entry in entries if is_wanted(entry, members, request.query_params)]
    return sorted(found, key=lambda item: (str(item.get(sort_by, "")).casefold(), str(item.get(sort_by, ""))))


def object_of(entry: Entry, members: Iterable[Member]) -> dict[str, Any]:
    """The members of an entry that have a value."""
    told = {member.name: member.value(entry) for member in members}
    return {name: value for name, value in told.items() if value is not None}


def is_wanted(entry: Entry, members: Iterable[Member], parameters: QueryParams) -> bool:
    """True if no query parameter excludes the entry. Raises Refusal 400."""
    return all(
        member.matches(entry, wanted)
        for member in members
        if member.is_filter and (wanted := [value for value in parameters.getlist(member.name) if value])
    )


def _boolean(name: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise Refusal(400, f"{name}: expected true or false")
    return value == "true"


def _fits(value: str, pattern: str) -> bool:
    """True if ``value`` is the pattern, in which ``*`` stands for any characters; without backtracking."""
    first, *rest = pattern.split("*")
    if not rest:
        return value == first
    if not value.startswith(first):
        return False
    position = len(first)
    *between, last = rest
    for part in between:
        position = value.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return len(value) - len(last) >= position and value.endswith(last)
