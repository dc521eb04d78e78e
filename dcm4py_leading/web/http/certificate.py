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
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.renew()

    def renew(self) -> None:
        """Read the files again; connections that are open keep the old one. Raises HttpUnavailable, and keeps it."""
        # First for nothing: a failure half way would leave a certificate with another key.
        probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for context in (probe, self.context):
            try:
                context.load_cert_chain(self._certificate, self._key, password=self._no_password)
            except ssl.SSLError as err:
                raise HttpUnavailable(
                    f"--http-cert {self._certificate}, --http-key {self._key}: {_reason(err)}"
                ) from err
            except OSError as err:
                raise HttpUnavailable(
                    f"--http-cert {self._certificate}, --http-key {self._key}: {err.strerror or err}"
                ) from err

    def _no_password(self) -> str:
        raise HttpUnavailable(f"--http-key {self._key}: the key is encrypted: give it without a password")


def _reason(err: ssl.SSLError) -> str:
    if err.reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    return f"no certificate and key in PEM ({err.reason or err})"
