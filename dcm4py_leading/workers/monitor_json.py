"""JSON forms of associations, between supervisor and worker."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from dcm4py_leading.service.monitor.associations import MessageCounts, OpenAssociation
from dcm4py_leading.workers.control import Json


def association_to_json(association: OpenAssociation) -> Json:
    """JSON of an association under way."""
    return {
        "serialNumber": association.serial_number,
        "connectedAt": association.connected_at.isoformat(),
        "isInitiated": association.is_initiated,
        "local": association.local_ae_title,
        "remote": association.remote_ae_title,
        "host": association.remote_host,
        "pid": association.pid,
        "isBusy": association.is_busy,
        "performed": _counts_to_json(association.performed),
        "invoked": _counts_to_json(association.invoked),
        "study": association.study,
    }


def association_from_json(value: Json) -> OpenAssociation:
    """Parse the JSON of `association_to_json`."""
    return OpenAssociation(
        serial_number=value["serialNumber"],
        connected_at=datetime.fromisoformat(value["connectedAt"]),
        is_initiated=value["isInitiated"],
        local_ae_title=value["local"],
        remote_ae_title=value["remote"],
        remote_host=value["host"],
        pid=value["pid"],
        is_busy=value["isBusy"],
        performed=_counts_from_json(value["performed"]),
        invoked=_counts_from_json(value["invoked"]),
        study=value["study"],
    )


def _counts_to_json(counts: Mapping[str, MessageCounts]) -> Json:
    return {service: [of.requests, of.responses] for service, of in counts.items()}


def _counts_from_json(value: Json) -> dict[str, MessageCounts]:
    return {service: MessageCounts(requests, responses) for service, (requests, responses) in value.items()}
