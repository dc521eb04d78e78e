"""Recognition of whoever asks, by the cookie of a session, HTTP Basic or a bearer token; and logging in and out."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from cachetools import TTLCache
from starlette.requests import Request

from dcm4py_leading.errors import LoginRefused, LoginUnavailable, TokenRefused
from dcm4py_leading.log import word
from dcm4py_leading.model.bounds import HTTP_THREADS, LOGIN_REMEMBERED, LOGIN_REMEMBERED_SECONDS
from dcm4py_leading.web.gate.identity import Authenticator, Identity
from dcm4py_leading.web.login.bearer import BearerTokens, bearer_token
from dcm4py_leading.web.login.cookie import session_id_of
from dcm4py_leading.web.login.credentials import Credentials, basic_credentials
from dcm4py_leading.web.login.sessions import Sessions
from dcm4py_leading.web.login.throttle import Throttle

LOG = logging.getLogger(__name__)

T = TypeVar("T")

BY_ITSELF = "Dcm4py-By-Itself"
"""Header of requests that a page makes without anybody doing anything: they keep no session alive."""
_ID_BYTES = 32


class Users(Authenticator, Protocol):
    """Authenticator that also knows what has become of somebody."""

    def confirmed(self, identity: Identity) -> Identity | None:
        """The same user with the roles that he has now; None if there is no such user, or he has none.

        Raises LoginUnavailable.
        """
        ...


class LoginDoorkeeper:
    """Doorkeeper where a log-in is configured. Its coroutines run in one event loop."""

    def __init__(
        self,
        users: Users,
        *,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: secrets.token_urlsafe(_ID_BYTES),
        key: bytes | None = None,
        tokens: BearerTokens | None = None,
    ) -> None:
        """``key`` of the hashes under which right passwords are remembered for a short time; random if None.

        ``tokens`` are accepted besides; without them, a bearer token counts for nothing.
        """
        self._users = users
        self._tokens = tokens
        self._throttle = Throttle(clock=clock)
        self.sessions = Sessions(clock=clock, new_id=new_id)
        self._key = key or secrets.token_bytes(_ID_BYTES)
        self._right: TTLCache[bytes, Identity] = TTLCache(LOGIN_REMEMBERED, LOGIN_REMEMBERED_SECONDS, timer=clock)
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._limiter: CapacityLimiter | None = None

    @property
    def takes_tokens(self) -> bool:
        """True where an issuer of tokens is configured."""
        return self._tokens is not None

    async def identify(self, request: Request) -> Identity | None:
        """By Authorization, if it is HTTP Basic or a token; by the cookie of a session otherwise.

        Raises LoginRefused, LoginThrottled, LoginUnavailable for an Authorization that does not do.
        """
        authorization = request.headers.get("authorization")
        credentials = None if authorization is None else basic_credentials(authorization)
        if credentials is not None:
            return await self._remembered(credentials, address_of(request))
        token = None if authorization is None else bearer_token(authorization)
        if token is not None and self._tokens is not None:
            return await self._of_token(self._tokens, token, address_of(request))
        session_id = session_id_of(request)
        if session_id is None:
            return None
        return await self._confirmed(session_id, is_use=BY_ITSELF not in request.headers)

    async def log_in(self, credentials: Credentials, address: str) -> str:
        """The identifier of a new session. Raises LoginRefused, LoginThrottled, LoginUnavailable."""
        identity = await self._checked(credentials, address)
        LOG.info("log-in of %s (%s) from %s", word(identity.name), ", ".join(sorted(identity.roles)), address)
        return self.sessions.begin(identity)

    async def _confirmed(self, session_id: str, *, is_use: bool) -> Identity | None:
        """Whose session that is, who from time to time is looked up again."""
        identity = self.sessions.identity_of(session_id, is_use=is_use)
        if identity is None or not self.sessions.is_due(session_id):
            return identity
        try:
            confirmed = await self._asked(partial(self._users.confirmed, identity))
        except LoginUnavailable:
            return identity  # nobody is thrown out because a directory is down
        self.sessions.confirm(session_id, confirmed)
        return confirmed

    async def _asked(self, ask: Callable[[], T]) -> T:
        """On a thread, one of a bounded number."""
        if self._limiter is None:  # it belongs to the event loop, which is there now
            self._limiter = CapacityLimiter(HTTP_THREADS)
        return await run_sync(ask, limiter=self._limiter)

    async def _remembered(self, credentials: Credentials, address: str) -> Identity:
        """Of many requests with the same credentials one is checked; the others wait for it."""
        key = self._hash(credentials)
        async with self._locks.setdefault(key, asyncio.Lock()):
            self._throttle.check(credentials.user, address)
            identity = self._right.get(key)
            if identity is None:
                identity = self._right[key] = await self._checked(credentials, address)
            return identity

    async def _of_token(self, tokens: BearerTokens, token: str, address: str) -> Identity:
        """The user of a token. One that has merely expired is no attempt to guess: viewers send many at once."""
        self._throttle.check_address(address)
        try:
            return await tokens.identity_of(token)
        except TokenRefused as err:
            if err.is_forged:
                self._throttle.wrong(address)
            LOG.info("a bearer token from %s was refused: %s", address, err)
            raise

    async def _checked(self, credentials: Credentials, address: str) -> Identity:
        attempt = self._throttle.begin(credentials.user, address)
        try:
            identity = await self._asked(partial(self._users.authenticate, *credentials))
        except LoginRefused:
            LOG.info("a log-in from %s was refused: wrong user name or password, or no role", address)
            raise
        except LoginUnavailable:
            self._throttle.void(attempt)
            raise
        self._throttle.right(attempt)
        return identity

    def _hash(self, credentials: Credentials) -> bytes:
        user, password = (text.encode("utf-8", "surrogatepass") for text in credentials)
        return hmac.digest(self._key, hashlib.sha256(user).digest() + hashlib.sha256(password).digest(), "sha256")


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return "-" if request.client is None else request.client.host
