"""Log-in by the directory: roles by membership in groups."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from dcm4py_leading.config.ldap_login import Group, LdapLogin, LoginSearch
from dcm4py_leading.config.ldap_source import LdapSource
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
    """Authenticator by an LDAP bind."""

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
        """The user, with the roles of his groups. Raises LoginRefused, LoginUnavailable."""
        if not are_possible(Credentials(user, password)):
            raise refused()
        try:
            member_of = self._login.groups_of(user, password)
        except ConfigUnavailable as err:
            self._unavailable.warning("nobody can log in: %s", err)
            raise LoginUnavailable("the directory that knows the users gives no answer") from err
        roles = frozenset(role for role, groups in self._groups.items() if groups & (member_of or frozenset()))
        if not roles:
            raise refused()
        return Identity(user, roles)
