"""Log-in by the directory: roles by membership in groups."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dcm4py_leading.config.ldap.login import Group, LdapLogin, LoginSearch
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.errors import ConfigUnavailable, LoginUnavailable
from dcm4py_leading.log import Repeated
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.login.credentials import Credentials, are_possible, refused

LOG = logging.getLogger(__name__)

DEFAULT_GROUPS: Mapping[Role, tuple[str, ...]] = {
    Role.VIEWER: ("user",),
    Role.ADMINISTRATOR: ("admin", "root"),
    Role.SERVICE: (),
}
"""The groups of dcm4chee's tree; it has none for programs."""


class DirectoryUsers:
    """Users by an LDAP bind."""

    def __init__(self, source: LdapSource, search: LoginSearch, groups: Mapping[Role, tuple[str, ...]]) -> None:
        """``groups`` of each role, as `Group` has them.

        Raises ValueError for a group that is none, and where passwords would go over the network without TLS.
        """
        self._groups = {role: frozenset(map(Group, texts)) for role, texts in groups.items()}
        counting = frozenset().union(*self._groups.values())
        for group in counting:
            _ = group.cn  # raises where it can be neither
        self._login = LdapLogin(source, search, counting)
        self._unavailable = Repeated(LOG)

    def authenticate(self, user: str, password: str) -> Identity:
        """The user, with the roles of the user's groups. Raises LoginRefused, LoginUnavailable."""
        if not are_possible(Credentials(user, password)):
            raise refused()
        with self._told():
            groups = self._login.groups_of(user, password)
        if (identity := self._identity(user, groups)) is None:
            raise refused()
        return identity

    def confirmed(self, identity: Identity) -> Identity | None:
        """The same user with the roles that he has now; None if he has none. Raises LoginUnavailable."""
        with self._told():
            groups = self._login.present_groups_of(identity.name)
        return self._identity(identity.name, groups)

    def _identity(self, user: str, member_of: frozenset[Group] | None) -> Identity | None:
        roles = frozenset(role for role, groups in self._groups.items() if groups & (member_of or frozenset()))
        names = frozenset(group.cn or group.text for group in member_of or ())
        return Identity(user, roles, names) if roles else None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ConfigUnavailable as err:
            self._unavailable.warning("nobody can log in: %s", err)
            raise LoginUnavailable("the directory that knows the users gives no answer") from err
