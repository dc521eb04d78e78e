"""Requests by DICOMweb to an AE of ours: who asks, as conditions of rules see it, and the line of the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from dcm4py_leading.coercion.context import Peer
from dcm4py_leading.log import word
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.service.monitor.echo import AENotForUser, UnknownAE
from dcm4py_leading.service.runtime import Runtime

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """Request to the AE of a URL."""

    ae_title: str
    """As it stands in the URL: dicomAETitle or a dcmOtherAETitle."""
    client: str
    """Address of whoever asks."""
    user: str
    """Name that it has logged in with; empty without a log-in."""
    base_url: str
    """Public URL of the AE, which ends with ``/rs``."""
    roles: Sequence[str] = ()
    """Names of the user's roles and groups, as dcmAcceptedUserRole may list them."""
    is_administrator: bool = False
    """May ask every AE."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Request out of what `dataclasses.asdict` made."""
        return cls(**value)

    @property
    def client_peer(self) -> Peer:
        """The client as conditions see it: by its address, as it has no AE title."""
        return Peer(host=self.client)

    def own_peer(self, ae: ApplicationEntity) -> Peer:
        """This side as conditions see it: under the AE title of the URL."""
        host = ae.connections[0].hostname if ae.connections else None
        return Peer(host=host, ae_title=self.ae_title)


def asked_ae(runtime: Runtime, request: WebRequest) -> ApplicationEntity:
    """The AE of a URL.

    Raises UnknownAE where it is none of the device, or is not installed, and AENotForUser.
    """
    ae = runtime.device.application_entity(request.ae_title)
    if ae is None or not ae.installed:
        raise UnknownAE(f"AE {word(request.ae_title)} is none of device {runtime.device.device_name}")
    accepted = ae.settings.accepted_user_roles
    if accepted and not request.is_administrator and accepted.isdisjoint(request.roles):
        told = "AE %s: user %s from %s has no role of dcmAcceptedUserRole"
        LOG.info(told, word(ae.ae_title), word(request.user or "-"), word(request.client))
        raise AENotForUser(f"AE {word(ae.ae_title)} is for users with a role that its dcmAcceptedUserRole lists")
    return ae


class Ended:
    """The end of a request: counted and told in one line, as that of a DIMSE request; once."""

    def __init__(self, service: str, runtime: Runtime, request: WebRequest, ae: ApplicationEntity) -> None:
        self._service = service
        self._runtime = runtime
        self.request = request
        self._ae = ae
        self._started = time.monotonic()
        self._is_told = False

    def tell(self, status: int, details: Mapping[str, object]) -> None:
        """``status`` is the DIMSE status that an equal DIMSE request would have had."""
        if self._is_told:
            return
        self._is_told = True
        self._runtime.counts.count_request(self._service, self._ae.ae_title, status)
        LOG.info(
            "%s from=%s user=%s to=%s status=0x%04X%s ms=%d",
            self._service,
            word(self.request.client),
            word(self.request.user or "-"),
            word(self._ae.ae_title),
            status,
            "".join(f" {name}={word(str(value))}" for name, value in details.items()),
            (time.monotonic() - self._started) * 1000,
        )
