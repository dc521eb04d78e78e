"""Log-in by LDAP: two searches with the service account for user and groups, and a bind with the user's password.

The bind has a connection of its own (RFC 4513 5.2.1 would let it change who the searches are made as). An unknown user
costs the same questions as a wrong password: the bind is then tried as an entry that does not exist.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass

from dcm4py_leading.config.dn import dn_key, rdn_assertions
from dcm4py_leading.config.ldap.session import is_filter
from dcm4py_leading.config.ldap.source import DirectorySession, LdapSource
from dcm4py_leading.config.ldap.url import LdapUrl
from dcm4py_leading.errors import BindRefused, ConfigUnavailable

LOG = logging.getLogger(__name__)

USERS_RDN = "ou=users"
"""Where dcm4chee's tree has its users and their groups, below the base DN."""
_NAME = "{}"
USER_FILTER = f"(uid={_NAME})"
GROUP_FILTER = f"(|(member={_NAME})(uniqueMember={_NAME}))"
_SPECIAL = re.compile(r"[\\*()\0]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSearch:
    """Bases and filters that find users and groups. Raises ValueError for a filter that is not valid."""

    base_dn: str | None = None
    """None: `USERS_RDN` below the base DN of the server."""
    user_filter: str = USER_FILTER
    """``{}`` stands for the name that was typed."""
    group_filter: str = GROUP_FILTER
    """``{}`` stands for the DN of the user."""

    def __post_init__(self) -> None:
        for name, text in (("user", self.user_filter), ("group", self.group_filter)):
            if _NAME not in text or not is_filter(_filled(text, "x")):
                raise ValueError(f"expected an LDAP filter with {{}} for the {name} filter, not {text!r}")
        if self.base_dn is not None:
            dn_key(self.base_dn)

    def base(self, url: LdapUrl) -> str:
        """Search base at that server."""
        return f"{USERS_RDN},{url.base_dn}" if self.base_dn is None else self.base_dn


@dataclass(frozen=True, slots=True)
class Group:
    """A group that grants a role: by cn, anywhere below the base, or by DN."""

    text: str
    """As an administrator writes it: ``admin``, ``cn=admin``, or a whole DN."""

    @property
    def cn(self) -> str | None:
        """Its name; None of one that is given by its DN. Raises ValueError for text that is neither."""
        if "=" not in self.text:
            return self.text
        if len(dn_key(self.text)) > 1:
            return None
        [(attribute, value), *_] = rdn_assertions(self.text)
        if attribute.lower() != "cn":
            raise ValueError(f"expected a group as NAME, cn=NAME or a DN, not {self.text!r}")
        return value


@dataclass(frozen=True, slots=True)
class _Found:
    """The answers of the two searches."""

    url: LdapUrl
    dn: str | None
    groups: frozenset[Group]


class LdapLogin:
    """Checks names and passwords against the servers of ``source``. Safe under threads."""

    def __init__(
        self,
        source: LdapSource,
        search: LoginSearch,
        groups: Collection[Group],
        *,
        new_name: Callable[[], str] = secrets.token_hex,
    ) -> None:
        """``groups`` are those that count. ``new_name`` makes names that no entry has.

        Raises ValueError where a password would go over the network without TLS.
        """
        if source.unprotected:
            named = ", ".join(str(url) for url in source.unprotected)
            raise ValueError(f"passwords of users would go to {named} without TLS: use ldaps:, ldapi: or --start-tls")
        self._source = source
        self._search = search
        self._groups = tuple(groups)
        self._new_name = new_name

    def groups_of(self, user: str, password: str) -> frozenset[Group] | None:
        """Those of the groups that the user is in; None for an unknown user, or a wrong password.

        Raises ConfigUnavailable.
        """
        if not user or not password:
            return None
        found = self._looked_up(user)
        try:
            self._source.bind_as(found.url, found.dn or self._nobody(found.url), password.encode())
        except BindRefused:
            return None
        return None if found.dn is None else found.groups

    def present_groups_of(self, user: str) -> frozenset[Group] | None:
        """The same of somebody whose password was right before; None if he is not found any more.

        Raises ConfigUnavailable.
        """
        found = self._looked_up(user)
        return None if found.dn is None else found.groups

    def _looked_up(self, user: str) -> _Found:
        return self._source.first_answer(lambda directory: self._found(directory, user))

    def _nobody(self, url: LdapUrl) -> str:
        return f"cn={self._new_name()},{self._search.base(url)}"

    def _found(self, directory: DirectorySession, user: str) -> _Found:
        base = self._search.base(directory.url)
        users = directory.first_matches(base, _filled(self._search.user_filter, user), (), most=2)
        if users is None:
            raise ConfigUnavailable(f"{directory.url}: users are looked for below {base}, which is not to be seen")
        if len(users) > 1:
            LOG.warning(
                "%s: a log-in fails, since several entries below %s match --login-user-filter: let it tell users apart",
                directory.url,
                base,
            )
        dn = users[0].dn if len(users) == 1 else None
        return _Found(directory.url, dn, self._memberships(directory, dn or self._nobody(directory.url)))

    def _memberships(self, directory: DirectorySession, dn: str) -> frozenset[Group]:
        member = _filled(self._search.group_filter, dn)
        by_name = {group.cn.casefold(): group for group in self._groups if group.cn is not None}
        found: set[Group] = set()
        if by_name:
            names = "".join(_filled("(cn={})", name) for name in by_name)
            wanted = f"(&{member}(|{names}))"
            base = self._search.base(directory.url)
            for entry in directory.first_matches(base, wanted, ("cn",), most=_most(by_name)) or ():
                found |= {by_name[name.casefold()] for name in entry.values("cn") if name.casefold() in by_name}
        found |= {group for group in self._groups if group.cn is None and _holds(directory, group.text, member)}
        return frozenset(found)


def _most(names: Collection[str]) -> int:
    """Of each name there may be more than one group below the base."""
    return 20 * len(names)


def _holds(directory: DirectorySession, group_dn: str, member: str) -> bool:
    return bool(directory.first_matches(group_dn, member, (), most=1, scope="BASE"))


def _filled(template: str, value: str) -> str:
    """A filter with a value filled in, its special characters escaped (RFC 4515 3)."""
    return template.replace(_NAME, _SPECIAL.sub(lambda found: f"\\{ord(found[0]):02x}", value))
