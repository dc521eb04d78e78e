"""Acceptance of an association of an admitted peer; cached for identical requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dcm4py_leading.bounded_cache import BoundedCache
from dcm4py_leading.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dcm4py_leading.dicom.negotiation import Capabilities, KnownCapabilities, negotiate, relational_queries
from dcm4py_leading.dicom.upper import window
from dcm4py_leading.dicom.upper.dimse_message import PresentationContext
from dcm4py_leading.dicom.upper.pdu import AssociateAccept, AssociateRequest, UserInformation
from dcm4py_leading.dicom.upper.pdu_codec import encode
from dcm4py_leading.dicom.upper.window import Window
from dcm4py_leading.model import bounds
from dcm4py_leading.model.device import ApplicationEntity, Connection, Device
from dcm4py_leading.model.values import AETitle


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Outcome of the negotiation, and the A-ASSOCIATE-AC."""

    contexts: tuple[PresentationContext, ...]
    extended: Mapping[str, bytes]
    """Answer to SOP Class Extended Negotiation."""
    answer: AssociateAccept
    window: Window


_Key = tuple[bytes, AETitle, tuple[int, int, int | None]]
"""The request, the AE, and what of the connection decides."""
_Known = BoundedCache[_Key, Acceptance]


class Acceptances:
    """Acceptances by the AEs of the device in force. Safe under threads."""

    def __init__(self) -> None:
        self._capabilities = KnownCapabilities()
        # Device and answers in one reference, as a reload replaces the device.
        self._known: tuple[Device | None, _Known] = (None, _nothing())

    def of(
        self, request: AssociateRequest, device: Device, ae: ApplicationEntity, connection: Connection
    ) -> Acceptance:
        """Acceptance of a request by ``ae``, which is one of ``device``, on this connection."""
        if self._known[0] is not device:
            self._known = (device, _nothing())
        remembered = self._known[1]
        decisive = connection.receive_pdu_length, connection.max_ops_invoked, connection.max_ops_performed
        key = request.encoded, ae.ae_title, decisive
        known = remembered.get(key) if request.encoded else None
        if known is None:
            known = _negotiated(request, self._capabilities.of(device, ae), ae, connection)
            if request.encoded:
                encoded = encode(known.answer)
                known = replace(known, answer=replace(known.answer, encoded=encoded))
                remembered.put(key, known, len(request.encoded) + 2 * len(encoded))
        return known


def _nothing() -> _Known:
    return BoundedCache(bounds.REMEMBERED_REQUESTS_BYTES, max_value_size=3 * bounds.REMEMBERED_REQUEST_BYTES)


def _negotiated(
    request: AssociateRequest, capabilities: Capabilities, ae: ApplicationEntity, connection: Connection
) -> Acceptance:
    user = request.user
    negotiated = negotiate(capabilities, user, request.contexts)
    extended = relational_queries(ae, user.extended)
    operations = window.answer(connection, user.asynchronous_operations)
    answer = AssociateAccept(
        called_ae_title=request.called_ae_title,
        calling_ae_title=request.calling_ae_title,
        contexts=negotiated.results,
        user=UserInformation(
            maximum_length=connection.receive_pdu_length,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            asynchronous_operations=operations,
            roles=negotiated.roles,
            extended=extended,
            # A response to User Identity would claim that we verified it (PS3.7 D.3.3.7).
        ),
        reserved=request.reserved,
    )
    return Acceptance(negotiated.contexts, extended, answer, window.answered(operations))
