"""States that were told, and the conflicts of whoever comes too late."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.rest.configuration.failures import Conflict, PreconditionFailed
from dcm4py_leading.web.rest.configuration.states import ToldStates

DN = "dicomDeviceName=ct,cn=Devices,dc=example"


def entry(number: int, dn: str = DN, **more: str) -> Entry:
    return Entry.of(dn, {"dicomDescription": [f"text {number}"], **{name: [value] for name, value in more.items()}})


def asking(*tags: str) -> Request:
    return Request({"type": "http", "headers": [(b"if-match", ", ".join(tags).encode())] if tags else []})


def conflicts(states: ToldStates, tag: str, *now: Entry) -> tuple[Conflict, ...]:
    with pytest.raises(PreconditionFailed) as caught:
        states.check(asking(tag), now)
    return caught.value.conflicts


def test_the_present_state_any_state_and_no_condition_pass() -> None:
    states, now = ToldStates(), [entry(1)]
    tag = states.tag(now)
    for tags in ((tag,), ('"another"', tag), ("*",), ()):
        states.check(asking(*tags), now)


def test_whoever_comes_too_late_is_told_both_values() -> None:
    states = ToldStates()
    tag = states.tag([entry(1)])
    assert conflicts(states, tag, entry(2)) == (Conflict(DN, "dicomDescription", ("text 1",), ("text 2",)),)


def test_an_entry_that_is_gone_or_new_is_a_conflict_without_values() -> None:
    states, other = ToldStates(), f"cn=dicom,{DN}"
    tag = states.tag([entry(1), entry(1, other)])
    assert conflicts(states, tag, entry(1)) == (Conflict(other, None),)
    assert conflicts(states, states.tag([entry(1)]), entry(1), entry(1, other)) == (Conflict(other, None),)


def test_a_secret_is_no_conflict() -> None:
    states = ToldStates()
    tag = states.tag([entry(1, dcmKeyStorePin="one")])
    assert [told.attribute for told in conflicts(states, tag, entry(2, dcmKeyStorePin="two"))] == ["dicomDescription"]


def test_a_conflict_with_an_unknown_state_has_no_values() -> None:
    assert conflicts(ToldStates(), '"never told"', entry(1)) == ()


def test_the_state_told_longest_ago_is_forgotten_when_there_are_too_many_entries() -> None:
    states = ToldStates(most_entries=2)
    first, second = states.tag([entry(1)]), states.tag([entry(2)])
    states.tag([entry(1)])  # told again
    states.tag([entry(3)])
    assert conflicts(states, first, entry(9)) != ()
    assert conflicts(states, second, entry(9)) == ()


def test_a_state_of_more_entries_than_that_is_known_alone() -> None:
    states = ToldStates(most_entries=2)
    first = states.tag([entry(1)])
    large = states.tag([entry(number, f"cn={number},{DN}") for number in range(3)])
    assert conflicts(states, first, entry(9)) == ()
    assert len(conflicts(states, large, entry(9))) == 4
    states.tag([entry(2)])
    assert conflicts(states, large, entry(9)) == ()
