"""Configuration in a live directory (RFC 4511), read over a short connection for each load.

A connection that is opened for one read and closed needs no watching; a bind costs milliseconds. ldap3 is told to trust
nothing by itself: no schema fetched, no referrals chased, no alias followed.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import ldap3
from ldap3.utils.conv import escape_filter_chars

from dcm4py_leading.config.dn import escape_rdn_value, parent_dn
from dcm4py_leading.config.entry import CONFIGURATION_CN, DEVICES_RDN, Entry, dns_by_title, names_of_devices, text_of
from dcm4py_leading.config.ldap.failover import Failover
from dcm4py_leading.config.ldap.session import Access, Scope, Session, opened_session, with_session
from dcm4py_leading.config.ldap.url import LdapUrl, parse_urls
from dcm4py_leading.config.sources.hints import DirectoryHints
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable, Problem
from dcm4py_leading.log import foreign
from dcm4py_leading.model.bounds import DIRECTORY_ENTRIES, LISTED_AES

T = TypeVar("T")

LOG = logging.getLogger(__name__)

_PAGED_RESULTS = "1.2.840.113556.1.4.319"
_PAGE_SIZE = 250
_SUCCESS, _SIZE_LIMIT_EXCEEDED, _REFERRAL, _NO_SUCH_OBJECT = 0, 4, 10, 32
_TIME_OR_ADMIN_LIMIT_EXCEEDED = (3, 11)

_ROOT_FILTER = f"(&(objectClass=dicomConfigurationRoot)(cn={CONFIGURATION_CN}))"
_AE_PARTS_FILTER = "(|(objectClass=dicomDevice)(objectClass=dicomNetworkConnection)(objectClass=dicomNetworkAE))"
_SCHEMA = {"dicomConfigurationRoot": "dicom", "dcmDevice": "dcm4che", "dcmArchiveDevice": "dcm4chee-archive"}
"""Of each part of the schema one class, and the file that has it."""
_CLASS_NAMES = re.compile(r"\bNAME\s+(?:'([^']*)'|\(([^)]*)\))")


class LdapSource(ConfigSource):
    """ConfigSource over one or more servers that hold the same tree, tried in order; one that has just failed comes
    last for a while.

    Safe under threads: reads share nothing but which servers failed.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        bind_dn: str | None = None,
        password: str | None = None,
        sasl_external: bool = False,
        start_tls: bool = False,
        ca_file: Path | None = None,
        client_cert: Path | None = None,
        client_key: Path | None = None,
        connect_timeout_seconds: float = 5.0,
        receive_timeout_seconds: int = 10,
        read_timeout_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without ``bind_dn`` and ``sasl_external`` the bind is anonymous; the other arguments are those of `Access`.

        ``read_timeout_seconds`` is for one read from all servers together, whatever they do; what is left of it is
        shared among those that have not been asked. A URL without a base DN takes that of the last one. Raises
        ValueError for a URL that cannot be read, for a bind DN without password, and for SASL EXTERNAL where the
        server cannot know us.
        """
        self._urls = parse_urls(urls)
        if bind_dn and not password:
            # RFC 4513 5.1.2: a name without a password binds anonymously, and looks as if it did not.
            raise ValueError(f"expected a password for the bind DN {bind_dn}")
        if client_key is not None and client_cert is None:
            raise ValueError("expected a client certificate for the client key")
        if sasl_external:
            _check_external(self._urls, bind_dn, start_tls=start_tls, has_certificate=client_cert is not None)
        self._access = Access(
            bind_dn=bind_dn or None,
            password=password if bind_dn else None,
            is_sasl_external=sasl_external,
            start_tls=start_tls,
            ca_file=ca_file,
            client_cert=client_cert,
            client_key=client_key,
            connect_timeout_seconds=connect_timeout_seconds,
            receive_timeout_seconds=receive_timeout_seconds,
        )
        self._read_timeout_seconds = read_timeout_seconds
        self._clock = clock
        self._failover = Failover(self._urls, clock=clock)
        for url in self.unprotected if bind_dn else ():
            LOG.warning("the bind password goes to %s without TLS: use ldaps: or StartTLS", url)

    def __repr__(self) -> str:
        return f"LdapSource({self.describe()!r})"

    @property
    def urls(self) -> tuple[LdapUrl, ...]:
        """The servers, in order of preference."""
        return self._urls

    @property
    def unprotected(self) -> tuple[LdapUrl, ...]:
        """The servers to which a password would go over the network without TLS."""
        return tuple(url for url in self._urls if not (url.is_tls or self._access.start_tls or url.is_local))

    def describe(self) -> str:
        """The URLs, in the order in which they are tried."""
        return ", ".join(str(url) for url in self._urls)

    def probe(self) -> None:
        """Ask whether it can be read: the least that tells. Raises ConfigUnavailable, ConfigInvalid."""
        self.first_answer(lambda directory: directory.root())

    def read_device(self, device_name: str) -> tuple[Entry, ...]:
        """The device and everything below it."""

        def read(directory: DirectorySession) -> tuple[Entry, ...]:
            dn = directory.device_dn(device_name)
            entries = directory.search(dn, "(objectClass=*)")
            if not any(entry.is_a("dcmArchiveDevice") for entry in entries):
                directory.check_schema(dn)
            return entries

        return self.first_answer(read)

    def read_ae(self, ae_title: str) -> tuple[Entry, ...]:
        """The device of the AE, with its connections and AEs."""
        return self.first_answer(lambda directory: directory.ae_parts(ae_title))

    def ae_dns(self, ae_titles: Collection[str] | None) -> Mapping[str, tuple[str, ...]]:
        """The DNs of the AEs of these titles, or of all."""
        return self.first_answer(lambda directory: dns_by_title(directory.aes(ae_titles), ae_titles))

    def device_names(self) -> tuple[str, ...]:
        """The names of the devices."""
        return self.first_answer(lambda directory: names_of_devices(directory.devices()))

    def open_session(self) -> Session:
        """A session with the first server that takes one; whoever asks for it closes it. Raises ConfigUnavailable."""
        reasons = []
        for url in self._failover.order():
            try:
                return opened_session(url, self._access, self._read_timeout_seconds)
            except ConfigUnavailable as err:
                reasons.append(str(err))
        raise ConfigUnavailable("; ".join(reasons))

    def bind_as(self, url: LdapUrl, dn: str, password: bytes) -> None:
        """Bind to one of the servers under another name, on a connection of its own, and let go again.

        Raises BindRefused, ConfigUnavailable, and ValueError without a password: that would bind anonymously, and
        look as if it did not (RFC 4513 5.1.2).
        """
        if not (dn and password):
            raise ValueError("expected a name and a password to bind as")
        access = replace(self._access, bind_dn=dn, password=password, is_sasl_external=False)
        with_session(url, access, self._read_timeout_seconds, lambda _: None)

    def read_entries(self, dn: str, *, with_below: bool) -> tuple[Entry, ...]:
        """The entry at ``dn``, and what is below it if wanted; empty if there is none."""
        scope: Scope = "SUBTREE" if with_below else "BASE"
        return self.first_answer(lambda directory: directory.search(dn, "(objectClass=*)", scope=scope))

    @property
    def servers(self) -> tuple[str, ...]:
        """The URLs of the servers."""
        return tuple(map(str, self._urls))

    @property
    def hints(self) -> DirectoryHints:
        """Hints that the servers give."""
        from dcm4py_leading.config.ldap.hints import LdapHints  # which asks a source

        return LdapHints(self)

    def first_answer(self, read: Callable[[DirectorySession], T]) -> T:
        """Result of ``read`` with the first server that answers. Raises ConfigUnavailable, ConfigInvalid."""
        reasons: dict[LdapUrl, str] = {}
        for turn in self.turns():
            try:
                return turn.use(read)
            except ConfigUnavailable as err:
                reasons[turn.url] = str(err)
        raise ConfigUnavailable("; ".join(reasons[url] for url in self._urls))

    def turns(self) -> Iterator[Turn]:
        """The servers in the order in which to ask them, each with its share of the total time."""
        end = self._clock() + self._read_timeout_seconds
        order = self._failover.order()
        for number, url in enumerate(order):
            seconds = max(0.0, end - self._clock()) / (len(order) - number)
            yield Turn(url, seconds, self._access, self._failover)


class Turn:
    """One server, asked in its turn."""

    def __init__(self, url: LdapUrl, seconds: float, access: Access, failover: Failover[LdapUrl]) -> None:
        self.url = url
        self._seconds = seconds
        self._access = access
        self._failover = failover

    def use(self, use: Callable[[DirectorySession], T], *, may_write: bool = False) -> T:
        """Result of ``use`` with the server. Raises ConfigUnavailable when it does not answer, and whatever ``use``
        raises."""
        try:
            answer = with_session(
                self.url,
                self._access,
                self._seconds,
                lambda session: use(DirectorySession(session)),
                may_write=may_write,
            )
        except ConfigUnavailable as err:
            self._failover.failed(self.url)
            if self._failover.has_others:
                LOG.warning("%s", err)
            raise
        self._failover.answered(self.url)
        return answer


def _check_external(urls: Sequence[LdapUrl], bind_dn: str | None, *, start_tls: bool, has_certificate: bool) -> None:
    """Raise ValueError where SASL EXTERNAL would have nothing to show."""
    if bind_dn:
        raise ValueError("expected either a bind DN or SASL EXTERNAL")
    for url in urls:
        if not url.is_socket and not (has_certificate and (url.is_tls or start_tls)):
            raise ValueError(f"expected a client certificate and TLS, or an ldapi: URL, for SASL EXTERNAL at {url}")


class DirectorySession:
    """Searches in one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.url = session.url

    def device_dn(self, device_name: str) -> str:
        """Where the device of that name is, if it is. Raises ConfigInvalid when there is no root."""
        return f"dicomDeviceName={escape_rdn_value(device_name)},{DEVICES_RDN},{self.root()}"

    def ae_parts(self, ae_title: str) -> tuple[Entry, ...]:
        """The devices of the dicomNetworkAEs of that title, with their connections and AEs; none if there is none."""
        found: list[Entry] = []
        for dns in dns_by_title(self.aes([ae_title]), [ae_title]).values():
            for dn in dns:
                found += self.search(parent_dn(dn), _AE_PARTS_FILTER)
        return tuple(found)

    def aes(self, ae_titles: Collection[str] | None) -> tuple[Entry, ...]:
        """The dicomNetworkAEs of these titles, by title alone; of all where ``ae_titles`` is None.

        A server that compares without case may add others.
        """
        titles = "".join(f"(dicomAETitle={escape_filter_chars(title)})" for title in ae_titles or ())
        wanted = "(objectClass=dicomNetworkAE)" if ae_titles is None else f"(&(objectClass=dicomNetworkAE)(|{titles}))"
        if ae_titles is not None and not titles:
            return ()
        most = LISTED_AES if ae_titles is None else None
        return self.search(f"{DEVICES_RDN},{self.root()}", wanted, ("objectClass", "dicomAETitle"), most=most)

    def devices(self) -> tuple[Entry, ...]:
        """The dicomDevice entries, by name alone; of a large directory not all."""
        wanted, attributes = "(objectClass=dicomDevice)", ("objectClass", "dicomDeviceName")
        base = f"{DEVICES_RDN},{self.root()}"
        return self.search(base, wanted, attributes, scope="LEVEL", most=LISTED_AES)

    def root(self) -> str:
        """DN of the dicomConfigurationRoot. Raises ConfigInvalid when there is none to be seen."""
        roots = self.search(self.url.base_dn, _ROOT_FILTER)
        if not roots:
            self.check_schema(self.url.base_dn)
            reason = (
                f"there is no dicomConfigurationRoot 'cn={CONFIGURATION_CN}' to be seen at or below this base DN of"
                f" {self.url.server}: is it the right one, and may we read it?"
            )
            raise ConfigInvalid([Problem(dn=self.url.base_dn, reason=reason)])
        return roots[0].dn

    def check_schema(self, dn: str) -> None:
        """Raise ConfigInvalid when the server says that it lacks a part of the schema; ``dn`` is where we miss it."""
        found = self.values("", "subschemaSubentry")
        classes = [text for subschema in found for text in self.values(subschema, "objectClasses")]
        known = {name.lower() for text in classes for name in _names(text)}
        missing = [f"{name} (schema/{part}.schema)" for name, part in _SCHEMA.items() if name.lower() not in known]
        if known and missing:
            reason = f"the schema of {self.url.server} has no {', no '.join(missing)}: load it into the server first"
            raise ConfigInvalid([Problem(dn=dn, reason=reason)])

    def values(self, dn: str, attribute: str) -> list[str]:
        """The values of an attribute of one entry; none where it is not to be seen."""
        result, response = self.session.search(dn, "(objectClass=*)", "BASE", attributes=[attribute])
        if result["result"] != _SUCCESS:
            return []
        return [
            text_of(octets)
            for found in response
            for name, values in found.get("raw_attributes", {}).items()
            if name.lower() == attribute.lower()
            for octets in values
        ]

    def search(
        self,
        base: str,
        search_filter: str,
        attributes: Sequence[str] = (ldap3.ALL_ATTRIBUTES,),
        *,
        scope: Scope = "SUBTREE",
        most: int | None = None,
        page_size: int = _PAGE_SIZE,
    ) -> tuple[Entry, ...]:
        """All entries of the subtree that match; none if there is no base. After more than ``most`` no more pages."""
        entries: list[Entry] = []
        cookie: bytes | None = None
        while True:
            result, response = self.session.search(
                base,
                search_filter,
                scope,
                attributes=list(attributes),
                paged_size=page_size,
                paged_cookie=cookie,
            )
            if result["result"] == _NO_SUCH_OBJECT:
                return ()
            _check(self.url, result, f"refuses the search below {base}")
            entries.extend(self._entry(found) for found in response)
            if len(entries) > DIRECTORY_ENTRIES:
                raise ConfigUnavailable(f"{self.url}: more than {DIRECTORY_ENTRIES} entries below {base}")
            cookie = result.get("controls", {}).get(_PAGED_RESULTS, {}).get("value", {}).get("cookie")
            if not cookie or (most is not None and len(entries) > most):
                return tuple(entries)

    def first_matches(
        self, base: str, search_filter: str, attributes: Sequence[str], *, most: int, scope: Scope = "SUBTREE"
    ) -> tuple[Entry, ...] | None:
        """Some of the entries that match, no more than ``most``; None if there is no base.

        Parts of the tree on other servers are passed over: Active Directory names some below each of its roots.
        """
        result, response = self.session.search(
            base, search_filter, scope, attributes=list(attributes) or [ldap3.NO_ATTRIBUTES], size_limit=most
        )
        if result["result"] == _NO_SUCH_OBJECT:
            return None
        if result["result"] != _SIZE_LIMIT_EXCEEDED:
            _check(self.url, result, f"refuses the search below {base}")
        return tuple(self._entry(found) for found in response if found["type"] == "searchResEntry")[:most]

    def _entry(self, found: Mapping[str, Any]) -> Entry:
        if found["type"] != "searchResEntry":
            uris = foreign(", ".join(found.get("uri", ())))
            raise ConfigUnavailable(
                f"{self.url}: a part of the tree is on another server ({uris}), and referrals are not followed"
            )
        values = {name: map(text_of, octets) for name, octets in found["raw_attributes"].items()}
        return Entry.of(found["dn"], values)


def _names(object_class: str) -> list[str]:
    """The names in the description of an object class (RFC 4512 4.1.1)."""
    match = _CLASS_NAMES.search(object_class)
    return [] if match is None else [match[1]] if match[1] is not None else match[2].replace("'", " ").split()


def _check(url: LdapUrl, result: Mapping[str, Any], refusal: str) -> None:
    """Raise ConfigUnavailable unless the result code is success (RFC 4511 A.1)."""
    code = result["result"]
    if code == _SUCCESS:
        return
    if code == _REFERRAL:
        others = foreign(", ".join(result.get("referrals") or ()))
        raise ConfigUnavailable(f"{url}: the server refers to {others}: name that one, referrals are not followed")
    if code == _SIZE_LIMIT_EXCEEDED:
        raise ConfigUnavailable(
            f"{url}: the server's size limit cuts off the answer: raise it for this bind DN, or bind with another"
        )
    if code in _TIME_OR_ADMIN_LIMIT_EXCEEDED:
        # 389 gives up a search without index after 5000 entries, which the AEs of a large site are more than.
        raise ConfigUnavailable(
            f"{url}: the server {refusal}: {result['description']}: let it index dicomAETitle for equality, or raise"
            " its limits for this bind DN"
        )
    message = f" ({foreign(result['message'])})" if result.get("message") else ""
    raise ConfigUnavailable(f"{url}: the server {refusal}: {result['description']}{message}")
