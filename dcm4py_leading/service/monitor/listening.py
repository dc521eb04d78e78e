"""Where a device is to listen for DICOM, and whether it does."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from dcm4py_leading.model.device import Connection, Device


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningPort:
    """One dicomNetworkConnection on which AEs of the device accept associations."""

    name: str
    """Its cn; where it has none, its DN."""
    host: str
    port: int
    ae_titles: tuple[str, ...]
    """The installed AEs that accept associations on it."""
    is_bound: bool
    """True if somebody who connects there now is served."""
    why_not: str | None = None
    """Why it is not bound, in words."""


def listeners_of(device: Device, bound: Container[tuple[str, int]]) -> tuple[ListeningPort, ...]:
    """Every connection with a port on which AEs of ``device`` accept associations, whether it can be served or not.

    ``bound`` are the addresses on which the service listens.
    """
    titles: dict[Connection, list[str]] = {}
    for ae in device.application_entities:
        if ae.installed and ae.association_acceptor:
            for connection in ae.connections:
                if connection.port is not None:
                    titles.setdefault(connection, []).append(ae.ae_title)
    return tuple(_listener(connection, tuple(found), bound) for connection, found in titles.items())


def _listener(connection: Connection, ae_titles: tuple[str, ...], bound: Container[tuple[str, int]]) -> ListeningPort:
    host, port = connection.listen_address
    is_bound = connection.is_served and (host, port) in bound
    return ListeningPort(
        name=connection.cn or connection.dn,
        host=host,
        port=port,
        ae_titles=ae_titles,
        is_bound=is_bound,
        why_not=None if is_bound else _why_not(connection),
    )


def _why_not(connection: Connection) -> str:
    if not connection.installed:
        return "not installed"
    if connection.is_tls:
        return "TLS is not served"
    return "stopped by an administrator" if connection.is_served else f"{connection.protocol.value} is not served"
