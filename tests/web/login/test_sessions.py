"""Sessions begin with a new identifier, and end: by time, by log-out, or when there are too many."""

from __future__ import annotations

from itertools import count

import pytest

from dcm4py_leading.model.bounds import (
    LOGIN_IDLE_SECONDS,
    LOGIN_SESSION_SECONDS,
    LOGIN_SESSIONS,
    LOGIN_SESSIONS_OF_A_USER,
)
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.login.sessions import Sessions
from tests.fixtures.clock import Clock

ANNA = Identity("anna", frozenset({Role.ADMINISTRATOR}))
VERA = Identity("vera", frozenset({Role.VIEWER}))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    numbers = count()
    return Sessions(clock=clock, new_id=lambda: f"identifier-{next(numbers)}")


def test_identifier_tells_whose_session_it_is(sessions: Sessions) -> None:
    first, second = sessions.begin(ANNA), sessions.begin(VERA)
    assert (sessions.identity_of(first), sessions.identity_of(second)) == (ANNA, VERA)
    assert sessions.identity_of("identifier") is None
    assert sessions.identity_of("") is None
    assert sessions.identity_of("\udcff") is None


def test_session_ends_when_it_is_idle(sessions: Sessions, clock: Clock) -> None:
    session_id = sessions.begin(ANNA)
    for _ in range(3):
        clock.now += LOGIN_IDLE_SECONDS - 1
        assert sessions.identity_of(session_id) == ANNA
    clock.now += LOGIN_IDLE_SECONDS
    assert sessions.identity_of(session_id) is None
    clock.now -= LOGIN_IDLE_SECONDS
    assert sessions.identity_of(session_id) is None


def test_session_ends_however_much_it_is_used(sessions: Sessions, clock: Clock) -> None:
    session_id = sessions.begin(ANNA)
    while clock.now + LOGIN_IDLE_SECONDS / 2 < LOGIN_SESSION_SECONDS:
        clock.now += LOGIN_IDLE_SECONDS / 2
        assert sessions.identity_of(session_id) == ANNA
    clock.now = LOGIN_SESSION_SECONDS
    assert sessions.identity_of(session_id) is None


def test_log_out_ends_one(sessions: Sessions) -> None:
    here, there = sessions.begin(ANNA), sessions.begin(ANNA)
    sessions.end(here)
    sessions.end("unknown")
    assert (sessions.identity_of(here), sessions.identity_of(there)) == (None, ANNA)


def test_all_of_a_user_can_be_ended(sessions: Sessions) -> None:
    here, there, hers = sessions.begin(ANNA), sessions.begin(Identity("ANNA", ANNA.roles)), sessions.begin(VERA)
    assert sessions.end_all("anna") == 2
    assert [sessions.identity_of(session_id) for session_id in (here, there, hers)] == [None, None, VERA]


def test_one_user_pushes_nobody_else_out(sessions: Sessions) -> None:
    hers = sessions.begin(VERA)
    mine = [sessions.begin(ANNA) for _ in range(LOGIN_SESSIONS_OF_A_USER)]
    assert sessions.identity_of(mine[0]) == ANNA
    mine.append(sessions.begin(ANNA))
    assert [number for number, one in enumerate(mine) if sessions.identity_of(one) is None] == [1]
    assert sessions.identity_of(hers) == VERA


def test_beyond_the_bound_the_one_without_a_request_for_longest_ends(sessions: Sessions) -> None:
    ids = [sessions.begin(Identity(f"user{number}", VERA.roles)) for number in range(LOGIN_SESSIONS)]
    assert sessions.identity_of(ids[0]) is not None
    sessions.begin(ANNA)
    assert sessions.identity_of(ids[1]) is None
    assert sessions.identity_of(ids[0]) is not None


def test_identifier_is_not_kept() -> None:
    sessions = Sessions(clock=Clock(), new_id=lambda: "-".join(("an", "identifier", "of", "its", "own")))
    sessions.begin(ANNA)
    held = "-".join(("an", "identifier", "of", "its", "own"))
    assert held not in repr(vars(sessions)) and held.encode() not in repr(vars(sessions)).encode()
