"""Peers that speak another protocol on a DICOM port: logged once, not each time."""

from __future__ import annotations

import logging
import threading

from dcm4py_leading.model import bounds

LOG = logging.getLogger(__name__)

_BEGINNINGS = (
    (b"\x16\x03", "TLS"),
    *((method, "HTTP") for method in (b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI", b"DELE", b"CONN", b"PRI ")),
    *((prefix, "the PROXY protocol") for prefix in (b"PROXY ", b"\r\n\r\n\0\r")),
    (b"SSH-", "SSH"),
    (b"\x0bMSH", "HL7"),
)
_HINTS = {
    "TLS": "this port is plain DICOM: switch TLS off in the peer",
    "HTTP": "the web service has a port of its own, see --http",
}


def protocol_of(beginning: bytes) -> str | None:
    """Name of the protocol that begins with these six or more octets; None if not known."""
    return next((name for prefix, name in _BEGINNINGS if beginning.startswith(prefix)), None)


class ForeignPeers:
    """Counts of hosts that connected with another protocol; not a cache. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}

    def tell(self, host: str, protocol: str) -> None:
        """Log a WARNING for the first connection of this host, then for the 10th, the 100th and so on."""
        with self._lock:
            if len(self._counts) >= bounds.FOREIGN_PEERS:
                self._counts.clear()
            count = self._counts[host, protocol] = self._counts.get((host, protocol), 0) + 1
        if str(count).rstrip("0") == "1":
            hint = _HINTS.get(protocol, "this port is plain DICOM")
            LOG.warning("%s speaks %s on a DICOM port (%d so far): %s", host, protocol, count, hint)
