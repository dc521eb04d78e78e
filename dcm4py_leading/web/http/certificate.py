"""The certificate with which HTTP is served over TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

from dcm4py_leading.web.http.addresses import HttpUnavailable


class Certificate:
    """Certificate and key in PEM files, which may be replaced while the service runs."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """``certificate`` begins with the service's own, then those of the authorities. Raises HttpUnavailable."""
        self._certificate = certificate
        self._key = key
        self._context = self._read()

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._context

    def renew(self) -> None:
        """Read the files again; connections that are open keep the old one. Raises HttpUnavailable, and keeps it."""
        self._context = self._read()  # another one, as a handshake may be using the old one right now

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._certificate, self._key, password=self._no_password)
        except ssl.SSLError as err:
            raise HttpUnavailable(f"{self._files}: {_reason(err)}") from err
        except OSError as err:
            raise HttpUnavailable(f"{self._files}: {err.strerror or err}") from err
        return context

    @property
    def _files(self) -> str:
        return f"--http-cert {self._certificate}, --http-key {self._key}"

    def _no_password(self) -> str:
        raise HttpUnavailable(f"--http-key {self._key}: the key is encrypted: give it without a password")


def _reason(err: ssl.SSLError) -> str:
    if err.reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    return f"no certificate and key in PEM ({err.reason or err})"
