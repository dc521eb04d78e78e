"""Identity of whoever asks over HTTP, and the role in which he asks."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request

from dcm4py_leading.errors import LoginRefused


class Role(enum.StrEnum):
    """Role of a user. An administrator may do everything."""

    VIEWER = "viewer"
    """Reads."""
    ADMINISTRATOR = "administrator"
    """Changes the configuration, starts, stops, aborts."""
    SERVICE = "service"
    """A program that watches: metrics, details of health, reload."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user by name, with roles."""

    name: str
    roles: frozenset[Role]
    groups: frozenset[str] = field(default=frozenset(), compare=False)
    """Names of groups, or of roles in a token, by which AEs may be limited (dcmAcceptedUserRole)."""

    def may(self, role: Role) -> bool:
        """True if the user has the role, or is an administrator."""
        return role in self.roles or Role.ADMINISTRATOR in self.roles

    def may_ask(self, accepted_user_roles: Collection[str]) -> bool:
        """True if an AE with these dcmAcceptedUserRole is for the user."""
        if not accepted_user_roles or self.may(Role.ADMINISTRATOR):
            return True
        return not (self.groups | self.roles).isdisjoint(accepted_user_roles)


ANONYMOUS = Identity("", frozenset())
"""Whoever has not logged in."""

LOOPBACK = Identity("loopback", frozenset(Role))
"""Everybody on this machine, where no log-in is configured; nobody else can connect then."""


_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


class Authenticator(Protocol):
    """Check of names and passwords. Called from a worker thread."""

    def authenticate(self, user: str, password: str) -> Identity:
        """The identity of a user.

        Raises LoginRefused (wrong user, wrong password, no role: one message for all), LoginUnavailable.
        """
        ...


class Doorkeeper(Protocol):
    """Recognition of the user by the cookie or the Authorization of a request."""

    async def identify(self, request: Request) -> Identity | None:
        """The identity; None for a request without credentials, or whose session is over.

        Raises LoginRefused, LoginThrottled, LoginUnavailable for credentials that come with the request itself.
        """
        ...


class NoDoor:
    """The doorkeeper where no log-in is configured: the service listens on loopback alone."""

    async def identify(self, request: Request) -> Identity:
        """Everybody on this machine is `LOOPBACK`. Raises LoginRefused for a request that a proxy passes on."""
        if any(name in request.headers for name in _OF_PROXIES):
            raise LoginRefused("the request comes through a proxy, and no log-in is configured: see --login")
        return LOOPBACK
