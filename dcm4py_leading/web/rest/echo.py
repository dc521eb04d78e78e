"""``POST /dcm4chee-arc/aets/{aet}/dimse/{remote}``: whether a peer answers a C-ECHO."""

from __future__ import annotations

from typing import Protocol

from dcm4py_leading.service.monitor.echo import EchoOutcome


class Echoing(Protocol):
    """What pages and routes may do with the service. Called from a worker thread."""

    def echo(self, ae_title: str, remote_ae_title: str, *, address: tuple[str, int] | None = None) -> EchoOutcome:
        """One C-ECHO of an AE of ours to an AE of the directory, or to whoever is at ``address``.

        Raises UnknownAE, ConfigUnavailable, StatusError when no process answers.
        """
        ...
