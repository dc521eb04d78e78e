"""The configuration of a live directory (RFC 4511), read over a short connection for each load.

A connection that is opened for one read and closed needs no watching; a bind costs milliseconds. The only module that
knows ldap3, which is told to trust nothing by itself: no schema fetched, no referrals chased, no alias followed.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars

from dcm4py_leading.config.dn import dn_key, escape_rdn_value, parent_dn
from dcm4py_leading.config.entry import CONFIGURATION_CN, DEVICES_RDN, Entry, text_of
from dcm4py_leading.config.ldap_properties import parse_ldap_properties
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable, Problem

__all__ = ["LdapSource", "LdapUrl", "parse_ldap_properties"]

_log = logging.getLogger(__name__)

_PAGED_RESULTS = "1.2.840.113556.1.4.319"
_PAGE_SIZE = 250
_SUCCESS, _SIZE_LIMIT_EXCEEDED, _REFERRAL, _NO_SUCH_OBJECT = 0, 4, 10, 32

_ROOT_FILTER = f"(&(objectClass=dicomConfigurationRoot)(cn={CONFIGURATION_CN}))"
_AE_PARTS_FILTER = "(|(objectClass=dicomDevice)(objectClass=dicomNetworkConnection)(objectClass=dicomNetworkAE))"


@dataclass(frozen=True, slots=True)
class LdapUrl:
    """``ldap[s]://host[:port]/base_dn``."""

    scheme: str
    host: str
    port: int
    base_dn: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises ValueError with what was expected. (ldap3 itself takes no base DN in a URL.)"""
        expected = f"expected ldap[s]://HOST[:PORT]/BASE_DN, not {url!r}"
        scheme, separator, rest = url.strip().partition("://")
        address, _, base_dn = rest.partition("/")
        if not separator or scheme.lower() not in ("ldap", "ldaps") or "?" in base_dn or "@" in address:
            raise ValueError(expected)
        host, bracket, port_text = address.removeprefix("[").partition("]")
        if not bracket:
            host, _, port_text = address.partition(":")
        else:
            port_text = port_text.removeprefix(":")
        port = 636 if scheme.lower() == "ldaps" else 389
        if port_text:
            if not (port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < 65536):
                raise ValueError(expected)
            port = int(port_text)
        base_dn = unquote(base_dn)
        if base_dn:
            dn_key(base_dn)
        return cls(scheme.lower(), host or "localhost", port, base_dn)

    @property
    def is_tls(self) -> bool:
        """Whether TLS starts with the connection."""
        return self.scheme == "ldaps"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/{self.base_dn}"


class LdapSource:
    """ConfigSource over one or more servers that hold the same tree, tried in order.

    Safe under threads: nothing is shared between reads.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        bind_dn: str | None = None,
        password: str | None = None,
        start_tls: bool = False,
        ca_file: Path | None = None,
        connect_timeout_seconds: float = 5.0,
        receive_timeout_seconds: int = 10,
    ) -> None:
        """``bind_dn`` None binds anonymously. ``start_tls`` asks an ldap: server for TLS before the bind.

        Certificates are always verified, with host name, against ``ca_file``, else the system's authorities. A URL
        without a base DN takes that of the last one, as in dcm4che's ldap.properties. Raises ValueError for a URL
        that cannot be read and for a bind DN without password.
        """
        self._urls = _parse_urls(urls)
        if bind_dn and not password:
            # RFC 4513 5.1.2: a name without a password binds anonymously, and looks as if it did not.
            raise ValueError(f"expected a password for the bind DN {bind_dn}")
        self._bind_dn = bind_dn or None
        self._password = password if bind_dn else None
        self._start_tls = start_tls
        self._ca_file = ca_file
        self._connect_timeout_seconds = connect_timeout_seconds
        self._receive_timeout_seconds = receive_timeout_seconds
        for url in self._urls:
            if bind_dn and not (url.is_tls or start_tls or _is_loopback(url.host)):
                _log.warning("the bind password goes to %s without TLS: use ldaps: or StartTLS", url)

    def __repr__(self) -> str:
        return f"LdapSource({self.describe()!r})"

    def describe(self) -> str:
        """The URLs, in the order in which they are tried."""
        return ", ".join(str(url) for url in self._urls)

    def read_device(self, device_name: str) -> tuple[Entry, ...]:
        """The device and everything below it."""

        def read(directory: _Directory) -> tuple[Entry, ...]:
            dn = f"dicomDeviceName={escape_rdn_value(device_name)},{DEVICES_RDN},{directory.root()}"
            return directory.search(dn, "(objectClass=*)")

        return self._first_answer(read)

    def read_ae(self, ae_title: str) -> tuple[Entry, ...]:
        """The device of the AE, with its connections and AEs."""
        wanted = f"(&(objectClass=dicomNetworkAE)(dicomAETitle={escape_filter_chars(ae_title)}))"

        def read(directory: _Directory) -> tuple[Entry, ...]:
            for ae in directory.search(f"{DEVICES_RDN},{directory.root()}", wanted):
                # dicomAETitle is caseExact, but not every server compares so.
                if ae_title in (title.strip() for title in ae.values("dicomAETitle")):
                    return directory.search(parent_dn(ae.dn), _AE_PARTS_FILTER)
            return ()

        return self._first_answer(read)

    def _first_answer(self, read: Callable[[_Directory], tuple[Entry, ...]]) -> tuple[Entry, ...]:
        reasons = []
        for url in self._urls:
            try:
                with _reported(url), self._bound(url) as connection:
                    return read(_Directory(url, connection))
            except ConfigUnavailable as err:
                reasons.append(str(err))
                if len(self._urls) > 1:
                    _log.warning("%s", err)
        raise ConfigUnavailable("; ".join(reasons))

    @contextmanager
    def _bound(self, url: LdapUrl) -> Iterator[ldap3.Connection]:
        tls = _VerifyingTls(self._ca_file) if url.is_tls or self._start_tls else None
        server = ldap3.Server(
            url.host,
            port=url.port,
            use_ssl=url.is_tls,
            tls=tls,
            get_info=ldap3.NONE,
            connect_timeout=self._connect_timeout_seconds,
        )
        connection = ldap3.Connection(
            server,
            user=self._bind_dn,
            password=self._password,
            client_strategy=ldap3.SAFE_SYNC,
            auto_referrals=False,
            check_names=False,
            read_only=True,
            receive_timeout=self._receive_timeout_seconds,
        )
        try:
            connection.open()
            if self._start_tls and not url.is_tls and not connection.start_tls():
                raise ConfigUnavailable(f"{url}: the server refuses StartTLS")
            # The fourth member holds the request, with the password: left alone.
            _, result, *_ = connection.bind()
            _check(url, result, f"refuses the bind as {self._bind_dn or 'anonymous'}")
            yield connection
        finally:
            with suppress(LDAPException, OSError):
                connection.unbind()
            if connection.socket is not None:
                with suppress(OSError):
                    connection.socket.close()


class _VerifyingTls(ldap3.Tls):
    """Certificate and host name verified by the standard library, in the handshake; ldap3's own check is a later
    step of its own, and leaves the socket open when it fails."""

    def __init__(self, ca_file: Path | None) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        try:
            self._context = ssl.create_default_context(cafile=ca_file)
        except OSError as err:
            raise ConfigUnavailable(f"cannot read CA certificates from {ca_file}: {err}") from err

    def wrap_socket(self, connection: ldap3.Connection, do_handshake: bool = False) -> None:
        connection.socket = self._context.wrap_socket(
            connection.socket, do_handshake_on_connect=do_handshake, server_hostname=connection.server.host
        )


class _Directory:
    """Searches over one bound connection."""

    def __init__(self, url: LdapUrl, connection: ldap3.Connection) -> None:
        self._url = url
        self._connection = connection

    def root(self) -> str:
        """DN of the dicomConfigurationRoot. Raises ConfigInvalid when there is none to be seen."""
        roots = self.search(self._url.base_dn, _ROOT_FILTER)
        if not roots:
            reason = (
                f"there is no dicomConfigurationRoot 'cn={CONFIGURATION_CN}' to be seen at or below this base DN of"
                f" {self._url.scheme}://{self._url.host}:{self._url.port}: is it the right one, and may we read it?"
            )
            raise ConfigInvalid([Problem(dn=self._url.base_dn, reason=reason)])
        return roots[0].dn

    def search(self, base: str, search_filter: str) -> tuple[Entry, ...]:
        """All entries of the subtree that match; none if there is no base."""
        entries: list[Entry] = []
        cookie: bytes | None = None
        while True:
            _, result, response, _ = self._connection.search(
                base,
                search_filter,
                ldap3.SUBTREE,
                dereference_aliases=ldap3.DEREF_NEVER,
                attributes=[ldap3.ALL_ATTRIBUTES],
                paged_size=_PAGE_SIZE,
                paged_cookie=cookie,
            )
            if result["result"] == _NO_SUCH_OBJECT:
                return ()
            _check(self._url, result, f"refuses the search below {base}")
            entries.extend(self._entry(found) for found in response)
            cookie = result.get("controls", {}).get(_PAGED_RESULTS, {}).get("value", {}).get("cookie")
            if not cookie:
                return tuple(entries)

    def _entry(self, found: Mapping[str, Any]) -> Entry:
        if found["type"] != "searchResEntry":
            uris = ", ".join(found.get("uri", ()))
            raise ConfigUnavailable(
                f"{self._url}: a part of the tree is on another server ({uris}), and referrals are not followed"
            )
        values = {name: map(text_of, octets) for name, octets in found["raw_attributes"].items()}
        return Entry.of(found["dn"], values)


@contextmanager
def _reported(url: LdapUrl) -> Iterator[None]:
    """ldap3's exceptions as ConfigUnavailable, with the server's name."""
    try:
        yield
    except (LDAPException, OSError) as err:
        raise ConfigUnavailable(f"{url}: {str(err) or type(err).__name__}") from err


def _check(url: LdapUrl, result: Mapping[str, Any], refusal: str) -> None:
    """Raise ConfigUnavailable unless the result code is success (RFC 4511 A.1)."""
    code = result["result"]
    if code == _SUCCESS:
        return
    if code == _REFERRAL:
        others = ", ".join(result.get("referrals") or ())
        raise ConfigUnavailable(f"{url}: the server refers to {others}: name that one, referrals are not followed")
    if code == _SIZE_LIMIT_EXCEEDED:
        raise ConfigUnavailable(
            f"{url}: the server's size limit cuts off the answer: raise it for this bind DN, or bind with another"
        )
    message = f" ({result['message']})" if result.get("message") else ""
    raise ConfigUnavailable(f"{url}: the server {refusal}: {result['description']}{message}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _parse_urls(urls: Sequence[str]) -> tuple[LdapUrl, ...]:
    parsed = [LdapUrl.parse(url) for url in urls]
    if not parsed or not parsed[-1].base_dn:
        shown = parsed[-1] if parsed else "ldap://localhost/"
        raise ValueError(f"expected an LDAP URL with a base DN, such as {shown}dc=dcm4che,dc=org")
    return tuple(url if url.base_dn else replace(url, base_dn=parsed[-1].base_dn) for url in parsed)
