"""Connection to one directory server, from name resolution to unbind, with a time limit for every step."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.operation.search import parse_filter, search_operation
from ldap3.protocol.controls import build_control
from ldap3.utils.asn1 import decode_message_fast
from pyasn1.error import PyAsn1Error

from dcm4py_leading.config.ldap.bounded import Overrun, within
from dcm4py_leading.config.ldap.url import LdapUrl
from dcm4py_leading.errors import BindRefused, ConfigUnavailable
from dcm4py_leading.log import foreign
from dcm4py_leading.model.bounds import DIRECTORY_BYTES

T = TypeVar("T")
Scope = Literal["BASE", "LEVEL", "SUBTREE"]
Modification = tuple[str, Literal["add", "delete", "replace"], Sequence[bytes]]
"""Attribute, operation and values of one step of a modify request; to delete without values takes all away."""

LOG = logging.getLogger(__name__)

_SUCCESS = 0
_ENTRY = 4
"""SearchResultEntry, number of the protocolOp (RFC 4511 4.5.2)."""
_REFUSES_THE_NAME = {19, 32, 48, 49, 50, 53}
"""constraintViolation and unwillingToPerform are what a locked or expired account gets; noSuchObject,
inappropriateAuthentication, invalidCredentials, insufficientAccessRights."""
_OPERATIONS = {"add": ldap3.MODIFY_ADD, "delete": ldap3.MODIFY_DELETE, "replace": ldap3.MODIFY_REPLACE}
_UNDECODABLE = (RecursionError, ValueError, LookupError, TypeError, struct.error, PyAsn1Error)
"""Exceptions that ldap3 raises for messages that are not as RFC 4511 has them, such as BER nested without end."""
_decode: Callable[[bytes], Mapping[str, Any]] = decode_message_fast


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Means of access. Certificates are always verified, with host name."""

    bind_dn: str | None = None
    """None, and no SASL: anonymous."""
    password: str | bytes | None = field(default=None, repr=False)
    """Octets are sent as they are. Text is prepared first (RFC 4013), and some of it refused."""
    is_sasl_external: bool = False
    """The server knows us by the client certificate, or by the user of the Unix socket (RFC 4422 Appendix A)."""
    start_tls: bool = False
    """Ask an ldap: server for TLS before the bind (RFC 4511 4.14)."""
    ca_file: Path | None = None
    """None: the system's authorities."""
    client_cert: Path | None = None
    client_key: Path | None = None
    """None: the key is in the file of the certificate."""
    connect_timeout_seconds: float = 5.0
    receive_timeout_seconds: int = 10
    """For each answer."""

    @property
    def name(self) -> str:
        """Name of whoever binds, for messages."""
        return "SASL EXTERNAL" if self.is_sasl_external else self.bind_dn or "anonymous"


class Session:
    """A bound connection, within `bound_session`. Used by one thread."""

    def __init__(self, url: LdapUrl, access: Access, *, may_write: bool = False) -> None:
        self.url = url
        self._access = access
        self._may_write = may_write
        self._step = "begin"
        self._is_abandoned = False
        self._connection: ldap3.Connection | None = None

    @property
    def step(self) -> str:
        """Step under way, worded to follow "cannot"."""
        return self._step

    def at(self, step: str) -> None:
        """Say what comes next. Raises ConfigUnavailable when nobody waits for it any more."""
        self._step = step
        if self._is_abandoned:
            raise ConfigUnavailable(f"{self.url}: given up before it could {step}")

    def open(self) -> None:
        """Resolve, connect, make TLS, bind. Raises ConfigUnavailable, LDAPException, OSError."""
        is_tls = self.url.is_tls or (self._access.start_tls and not self.url.is_socket)
        tls = _VerifyingTls(self, _tls_context(self.url, self._access)) if is_tls else None
        self._connection = connection = self._connected(tls)
        if tls is not None and not self.url.is_tls:
            self.at("start TLS")
            if not connection.start_tls():
                raise ConfigUnavailable(f"{self.url}: the server refuses StartTLS")
        self.at("bind")
        with self._decoding():
            connection.bind()
        result = connection.result
        if result["result"] != _SUCCESS:
            message = f" ({foreign(result['message'])})" if result.get("message") else ""
            kind = BindRefused if result["result"] in _REFUSES_THE_NAME else ConfigUnavailable
            raise kind(
                f"{self.url}: the server refuses the bind as {self._access.name}: {result['description']}{message}"
            )

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except _UNDECODABLE as err:
            raise ConfigUnavailable(
                f"{self.url}: cannot {self._step}: the answer cannot be decoded ({type(err).__name__})"
            ) from err

    def _connected(self, tls: _VerifyingTls | None) -> ldap3.Connection:
        """To the first address that answers."""
        if self.url.is_socket:
            self.at("connect")
            return self._open(self.url.server, None, tls)
        self.at("resolve the host name")
        found = socket.getaddrinfo(self.url.host, self.url.port, type=socket.SOCK_STREAM)
        failures: list[Exception] = []
        for host in dict.fromkeys(str(address[0]) for *_, address in found):
            self.at("connect")
            try:
                return self._open(host, self.url.port, tls)
            except (LDAPException, OSError) as err:
                failures.append(err)
        raise failures[0]

    def _open(self, host: str, port: int | None, tls: _VerifyingTls | None) -> ldap3.Connection:
        server = ldap3.Server(
            host,
            port=port,
            use_ssl=self.url.is_tls,
            tls=tls,
            get_info=ldap3.NONE,
            connect_timeout=self._access.connect_timeout_seconds,
        )
        is_external = self._access.is_sasl_external
        self._connection = connection = ldap3.Connection(
            server,
            user=self._access.bind_dn,
            password=self._access.password,  # type: ignore[arg-type]  # the stubs know of text alone
            authentication=ldap3.SASL if is_external else None,
            sasl_mechanism=ldap3.EXTERNAL if is_external else None,
            sasl_credentials="" if is_external else None,
            # Not SAFE_SYNC, which copies all answers, and takes twice as long: a session is used by one thread.
            client_strategy=ldap3.SYNC,
            auto_referrals=False,
            check_names=False,
            return_empty_attributes=False,
            read_only=not self._may_write,
            receive_timeout=self._access.receive_timeout_seconds,
        )
        try:
            _let_values_be_octets(connection.strategy)
            connection.open()
            connection.socket = _Metered(connection.socket)
        except BaseException:  # cleans up and raises on, whatever it was
            _shut(connection)
            raise
        return connection

    def search(self, base: str, search_filter: str, scope: Scope = "SUBTREE", **options: Any) -> tuple[Any, Any]:
        """Result and response of one search request. Raises LDAPException, OSError."""
        self.at(f"search below {base}")
        assert self._connection is not None
        with self._decoding():
            self._connection.search(base, search_filter, scope, dereference_aliases=ldap3.DEREF_NEVER, **options)
        return self._connection.result, self._connection.response

    def add(self, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> Mapping[str, Any]:
        """The result of adding an entry (RFC 4511 4.7). Raises LDAPException, OSError."""
        return self._change(f"add {dn}", lambda connection: connection.add(dn, attributes=dict(attributes)))

    def modify(self, dn: str, modifications: Sequence[Modification]) -> Mapping[str, Any]:
        """The result of modifying an entry, by all modifications or none (RFC 4511 4.6).

        Raises LDAPException, OSError.
        """
        changes: dict[str, list[tuple[str, list[bytes]]]] = {}
        for attribute, operation, values in modifications:
            changes.setdefault(attribute, []).append((_OPERATIONS[operation], list(values)))
        return self._change(f"modify {dn}", lambda connection: connection.modify(dn, changes))

    def delete(self, dn: str) -> Mapping[str, Any]:
        """The result of deleting an entry without children (RFC 4511 4.8). Raises LDAPException, OSError."""
        return self._change(f"delete {dn}", lambda connection: connection.delete(dn))

    def _change(self, step: str, send: Callable[[Any], Any]) -> Mapping[str, Any]:
        self.at(step)
        assert self._connection is not None
        with self._decoding():
            send(self._connection)
        return self._connection.result  # type: ignore[no-any-return]

    def changes(self, base: str, control: tuple[str, bytes]) -> Iterator[int]:
        """Ask for what changes below ``base`` by a control, OID and value, that makes a search last.

        Yields what kind each message is (RFC 4511 4.1.1, number of the protocolOp) as it comes, for as long as the
        connection lasts. Raises LDAPException, OSError.
        """
        self.at(f"listen for changes below {base}")
        connection = self._connection
        assert connection is not None
        # The answers to what was asked before had bounds; silence is what is expected here, for as long as it lasts.
        if isinstance(connection.socket, _Metered):
            connection.socket = connection.socket.plain
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        request = search_operation(
            base, "(objectClass=*)", ldap3.SUBTREE, ldap3.DEREF_NEVER, [ldap3.NO_ATTRIBUTES], 0, 0, False, True, True
        )
        oid, value = control
        connection.strategy.send(
            "searchRequest", request, [build_control(oid, True, value, encode_control_value=False)]
        )
        while messages := connection.strategy.receiving():
            self.at("listen for changes")
            for message in messages:
                yield int(_decode(message)["protocolOp"])

    def close(self) -> None:
        """Unbind, which has no response, and close the socket."""
        self._step = "unbind"
        connection = self._connection
        if connection is not None:
            with suppress(LDAPException, OSError):
                connection.unbind()
            _shut(connection)

    def abandon(self) -> None:
        """End the thread that waits for the server. Called from another thread."""
        self._is_abandoned = True
        connection = self._connection
        if connection is not None and (sock := connection.socket) is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def opened_session(url: LdapUrl, access: Access, seconds: float) -> Session:
    """A bound session; whoever gets it closes it.

    Raises ConfigUnavailable with URL and step: when a step fails, and when all of them together take too long.
    """
    session = Session(url, access)

    def run() -> None:
        try:
            with reported(session):
                session.open()
        except BaseException:  # cleans up and raises on, whatever it was
            session.close()
            raise

    try:
        within(seconds, run)
    except Overrun:
        step = session.step
        session.abandon()
        raise ConfigUnavailable(f"{url}: cannot {step}: gave up after {seconds:.3g} s") from None
    return session


def with_session(
    url: LdapUrl, access: Access, seconds: float, use: Callable[[Session], T], *, may_write: bool = False
) -> T:
    """Result of ``use`` with a bound session, which ends with it.

    Raises ConfigUnavailable with URL and step: when a step fails, and when all of them together take too long.
    """
    session = Session(url, access, may_write=may_write)

    def run() -> T:
        try:
            with reported(session):
                session.open()
                return use(session)
        finally:
            session.close()

    try:
        return within(seconds, run)
    except Overrun:
        step = session.step
        session.abandon()
        raise ConfigUnavailable(f"{url}: cannot {step}: gave up after {seconds:.3g} s") from None


@contextmanager
def reported(session: Session) -> Iterator[None]:
    """ldap3's exceptions as ConfigUnavailable, with the server's name and the step."""
    try:
        yield
    except (LDAPException, OSError) as err:
        reason = _reason(err)
        raise ConfigUnavailable(f"{session.url}: cannot {session.step}: {reason}") from err


def is_filter(text: str) -> bool:
    """True if the text is a search filter (RFC 4515)."""
    try:
        parse_filter(text, None, False, False, None, False)  # type: ignore[no-untyped-call]
    except (LDAPException, *_UNDECODABLE):
        return False
    return True


def _shut(connection: ldap3.Connection) -> None:
    if connection.socket is not None:
        with suppress(OSError):
            connection.socket.close()


def _let_values_be_octets(strategy: Any) -> None:
    """Keep values as octets, which is all that is read: ldap3 would also decode each to text."""
    decode = strategy.decode_response_fast

    def decode_entry(message: Mapping[str, Any]) -> Any:
        if message["protocolOp"] != _ENTRY or message["controls"]:
            return decode(message)
        name, attributes = message["payload"]
        try:
            found = {part[3][0][3].decode(): [value[3] for value in part[3][1][3]] for part in attributes[3]}
            dn = name[3].decode()
        except UnicodeDecodeError:
            return decode(message)
        if any(";range=" in attribute for attribute in found):
            return decode(message)  # ldap3 asks for the rest
        return {"type": "searchResEntry", "dn": dn, "raw_attributes": found}

    strategy.decode_response_fast = decode_entry


class _Metered:
    """A socket that limits what a directory may send: ldap3 accepts any announced length."""

    def __init__(self, sock: socket.socket) -> None:
        self.plain = sock
        self._left = DIRECTORY_BYTES

    def recv(self, size: int) -> bytes:
        """Raises OSError beyond the bound."""
        data = self.plain.recv(size)
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"the server tells more than {DIRECTORY_BYTES} bytes")
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


class _VerifyingTls(ldap3.Tls):
    """Certificate and host name verified by the standard library, in the handshake; ldap3's own check is a later
    step of its own, and leaves the socket open when it fails."""

    def __init__(self, session: Session, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._session = session
        self._context = context

    def wrap_socket(self, connection: ldap3.Connection, do_handshake: bool = False) -> None:
        self._session.at("make TLS")
        is_metered = isinstance(connection.socket, _Metered)
        made = self._context.wrap_socket(
            connection.socket.plain if is_metered else connection.socket,
            do_handshake_on_connect=do_handshake,
            server_hostname=self._session.url.host,
        )
        connection.socket = _Metered(made) if is_metered else made


def _tls_context(url: LdapUrl, access: Access) -> ssl.SSLContext:
    """Raises ConfigUnavailable when a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=access.ca_file)
    except OSError as err:
        raise ConfigUnavailable(f"{url}: cannot read CA certificates from {access.ca_file}: {err}") from err
    if access.client_cert is not None:
        try:
            # Without the function OpenSSL asks for the password of an encrypted key on the terminal.
            context.load_cert_chain(access.client_cert, access.client_key, password=lambda: "")
        except OSError as err:
            files = ", ".join(str(path) for path in (access.client_cert, access.client_key) if path is not None)
            raise ConfigUnavailable(
                f"{url}: cannot use the client certificate and key, which must not be encrypted, in {files}: {err}"
            ) from err
    return context


_TUPLE = re.compile(r"\(([\"'])(?P<text>.*)\1,\)", re.DOTALL)
_WRAPPING = re.compile(r"socket (ssl wrapping error|connection error while opening): ")
_NO_TLS = "WRONG_VERSION_NUMBER"


def _reason(err: BaseException) -> str:
    """Reason of a failure, in words, unpacked from ldap3's nested tuples."""
    text = _WRAPPING.sub("", str(err))
    while (match := _TUPLE.fullmatch(text)) is not None:
        text = _WRAPPING.sub("", match["text"])
    if _NO_TLS in text:
        text = "the port does not speak TLS: is it one for ldap:, with or without --start-tls?"
    return foreign(text) or type(err).__name__
