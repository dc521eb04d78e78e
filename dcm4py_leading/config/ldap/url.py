"""Address of a directory: an LDAP URL (RFC 4516) with the base DN, or a Unix socket on this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import quote, unquote

from dcm4py_leading.config.dn import dn_key

_SCHEMES = ("ldap", "ldaps", "ldapi")


@dataclass(frozen=True, slots=True)
class LdapUrl:
    """``ldap[s]://host[:port]/base_dn``, or ``ldapi://path/base_dn`` with the path of the socket percent-encoded."""

    scheme: str
    host: str
    """Of ldapi: the path of the socket."""
    port: int
    """0 of ldapi."""
    base_dn: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises ValueError with what was expected. (ldap3 itself takes no base DN in a URL.)"""
        expected = f"expected ldap[s]://HOST[:PORT]/BASE_DN or ldapi://%2FPATH%2FOF%2FSOCKET/BASE_DN, not {url!r}"
        scheme, separator, rest = url.strip().partition("://")
        scheme = scheme.lower()
        address, _, base_dn = rest.partition("/")
        if not separator or scheme not in _SCHEMES or "?" in base_dn or "@" in address:
            raise ValueError(expected)
        base_dn = unquote(base_dn)
        if base_dn:
            dn_key(base_dn)
        if scheme == "ldapi":
            path = unquote(address)
            if not path.startswith("/"):
                raise ValueError(expected)
            return cls(scheme, path, 0, base_dn)
        host, bracket, port_text = address.removeprefix("[").partition("]")
        if not bracket:
            host, _, port_text = address.partition(":")
        else:
            port_text = port_text.removeprefix(":")
        port = 636 if scheme == "ldaps" else 389
        if port_text:
            if not (port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < 65536):
                raise ValueError(expected)
            port = int(port_text)
        return cls(scheme, host or "localhost", port, base_dn)

    @property
    def is_tls(self) -> bool:
        """True if TLS starts with the connection."""
        return self.scheme == "ldaps"

    @property
    def is_socket(self) -> bool:
        """True if it is a Unix socket."""
        return self.scheme == "ldapi"

    @property
    def is_local(self) -> bool:
        """True if nothing leaves this machine."""
        if self.is_socket:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def server(self) -> str:
        """The URL without the base DN."""
        if self.is_socket:
            return f"ldapi://{quote(self.host, safe='')}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.server}/{self.base_dn}"


def parse_urls(urls: Sequence[str]) -> tuple[LdapUrl, ...]:
    """All URLs of one directory. One without a base DN takes that of the last one, as in dcm4che's ldap.properties.

    Raises ValueError for a URL that cannot be read, and when the last one has no base DN.
    """
    parsed = [LdapUrl.parse(url) for url in urls]
    if not parsed or not parsed[-1].base_dn:
        shown = parsed[-1] if parsed else "ldap://localhost/"
        raise ValueError(f"expected an LDAP URL with a base DN, such as {shown}dc=dcm4che,dc=org")
    return tuple(url if url.base_dn else replace(url, base_dn=parsed[-1].base_dn) for url in parsed)
