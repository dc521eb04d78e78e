"""Sessions of those who are logged in: they live in this process, and end with it.

A browser has a random identifier; here stands only its hash, so that nothing in memory or a core dump logs anybody in.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from dcm4py_leading.model.bounds import (
    LOGIN_CONFIRMED_SECONDS,
    LOGIN_IDLE_SECONDS,
    LOGIN_SESSION_SECONDS,
    LOGIN_SESSIONS,
    LOGIN_SESSIONS_OF_A_USER,
)
from dcm4py_leading.web.gate.identity import Identity
from dcm4py_leading.web.login.credentials import name_key


@dataclass(slots=True)
class _Session:
    identity: Identity
    began: float
    used: float
    confirmed: float
    """When it was last looked up what its user may do."""


class Sessions:
    """The sessions of all users, the one that was used last comes last. Safe under threads.

    No cache: each ends for a reason, and a user has a limited number of them.
    """

    def __init__(self, *, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        """``clock`` in seconds; ``new_id`` makes identifiers of 256 random bits."""
        self._clock = clock
        self._new_id = new_id
        self._lock = threading.Lock()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()

    def begin(self, identity: Identity) -> str:
        """The identifier of a new session."""
        session_id = self._new_id()
        with self._lock:
            now = self._clock()
            own = self._of(identity.name)
            for key in own[: max(0, len(own) + 1 - LOGIN_SESSIONS_OF_A_USER)]:
                del self._sessions[key]
            if len(self._sessions) >= LOGIN_SESSIONS:
                self._sessions.popitem(last=False)
            self._sessions[_key(session_id)] = _Session(identity, now, now, now)
        return session_id

    def identity_of(self, session_id: str, *, is_use: bool = True) -> Identity | None:
        """User of a session; None if it is over or unknown. Asking counts as use, unless ``is_use`` is False."""
        key = _key(session_id)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                return None
            now = self._clock()
            if now - session.used >= LOGIN_IDLE_SECONDS or now - session.began >= LOGIN_SESSION_SECONDS:
                del self._sessions[key]
                return None
            if is_use:
                session.used = now
                self._sessions.move_to_end(key)
            return session.identity

    def is_due(self, session_id: str) -> bool:
        """True if the user's roles are due to be looked up; only for the first caller."""
        with self._lock:
            session, now = self._sessions.get(_key(session_id)), self._clock()
            if session is None or now - session.confirmed < LOGIN_CONFIRMED_SECONDS:
                return False
            session.confirmed = now
            return True

    def confirm(self, session_id: str, identity: Identity | None) -> None:
        """Set the user's present roles; None ends the session."""
        key = _key(session_id)
        with self._lock:
            if identity is None:
                self._sessions.pop(key, None)
            elif key in self._sessions:
                self._sessions[key].identity = identity

    def end(self, session_id: str) -> None:
        """End the session."""
        with self._lock:
            self._sessions.pop(_key(session_id), None)

    def end_all(self, user: str) -> int:
        """End all sessions of a user, and return their number."""
        with self._lock:
            own = self._of(user)
            for key in own:
                del self._sessions[key]
            return len(own)

    def _of(self, user: str) -> list[bytes]:
        name = name_key(user)
        return [key for key, session in self._sessions.items() if name_key(session.identity.name) == name]


def _key(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode("utf-8", "surrogateescape")).digest()
