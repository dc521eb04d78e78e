"""Where HTTP listens, as it is written on a command line, and by which URL others know it."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from dcm4py_leading.errors import Dcm4pyError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class HttpUnavailable(Dcm4pyError):
    """The HTTP listener cannot be bound, or has no certificate."""


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """Host and port to listen on; port 0 takes one that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``HOST:PORT``, ``ADDRESS:PORT`` or ``[IPv6]:PORT`` (RFC 3986 3.2). Raises ValueError."""
        host, separator, port = text.rpartition(":")
        is_bracketed = host.startswith("[") and host.endswith("]")
        is_port = port.isascii() and port.isdecimal() and int(port) <= 65535
        if not separator or not host or not is_port or (":" in host and not is_bracketed):
            raise ValueError(f"expected HOST:PORT or [IPv6 address]:PORT with a port from 0 to 65535, not {text}")
        return cls(host[1:-1] if is_bracketed else host, int(port))

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def is_loopback(self) -> bool:
        """True if nobody on another machine can connect."""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host.casefold().rstrip(".") == "localhost"

    def bind(self) -> socket.socket:
        """A listening socket; of a name's addresses the first, an IPv4 one if there is any. Raises HttpUnavailable."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
            return socket.create_server(address[:2], family=family)
        except (OSError, OverflowError, UnicodeError) as err:
            is_told = isinstance(err, OSError) and err.errno is not None and not isinstance(err, socket.gaierror)
            reason = os.strerror(err.errno) if isinstance(err, OSError) and is_told and err.errno else err
            raise HttpUnavailable(f"cannot listen on {self} for HTTP: {reason}: choose another with --http") from err


def bind_all(addresses: Iterable[HttpAddress]) -> list[socket.socket]:
    """Listening sockets, all or none. Raises HttpUnavailable."""
    with contextlib.ExitStack() as on_failure:
        sockets = []
        for address in addresses:
            sockets.append(address.bind())
            on_failure.callback(sockets[-1].close)
        on_failure.pop_all()
    return sockets


def refuse_exposure(addresses: Iterable[HttpAddress], *, has_tls: bool, has_login: bool, is_insecure: bool) -> None:
    """Raise HttpUnavailable where passwords and patient data could be read on the way, or by everybody."""
    for address in addresses:
        if address.is_loopback():
            continue
        if not has_login:
            raise HttpUnavailable(
                f"--http {address}: without a log-in only this machine may connect: "
                "give --login or --login-file, or listen on 127.0.0.1"
            )
        if not (has_tls or is_insecure):
            raise HttpUnavailable(
                f"--http {address}: without TLS only this machine may connect: give --http-cert and --http-key, "
                "or --http-insecure where the network is trusted"
            )


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """The URL by which people and programs know the service, where a proxy stands before it."""

    scheme: str
    authority: str
    """Host, and port where it is not the scheme's own; in lower case."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """``https://HOST[:PORT]``. Raises ValueError."""
        parts = urlsplit(text)
        try:
            port, host = parts.port, parts.hostname
        except ValueError:
            port = host = None
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise ValueError(f"expected https://HOST or https://HOST:PORT, not {text}")
        if parts.path.rstrip("/") or parts.query or parts.fragment:
            raise ValueError(f"expected a URL without a path, not {text}: the service's own paths begin at /")
        bare = f"[{host}]" if ":" in host else host
        is_usual = port is None or port == {"http": 80, "https": 443}[parts.scheme]
        return cls(parts.scheme, bare if is_usual else f"{bare}:{port}")

    @property
    def host(self) -> str:
        """The name alone."""
        return urlsplit(f"//{self.authority}").hostname or ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_network(text: str) -> Network:
    """An address, or a network such as ``10.0.0.0/8``. Raises ValueError."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as err:
        raise ValueError(f"expected an IP address or a network such as 10.0.0.0/8, not {text}: {err}") from err


def is_among(host: str, networks: Sequence[Network]) -> bool:
    """True if the address is in one of the networks; a name never is."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
