"""Sending of stored objects because an administrator wants it: as a C-MOVE, but that nobody asked for it by DICOM."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack

from dcm4py_leading.dicom.scu import StoreSCU
from dcm4py_leading.errors import (
    ArchiveUnavailable,
    DestinationUnavailable,
    EditRefused,
    MoveDestinationNotAllowed,
    MoveDestinationUnknown,
    Refusal,
)
from dcm4py_leading.log import ref, word
from dcm4py_leading.model.bounds import EXPORT_SECONDS
from dcm4py_leading.service.deliver import Delivery, deliver
from dcm4py_leading.service.retrieve import RetrieveRequest, destination, retrieve
from dcm4py_leading.service.retrieve_archive import Retrieval
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.sending.export import Export, ExportOutcome

LOG = logging.getLogger(__name__)


def export(runtime: Runtime, wanted: Export, *, clock: Callable[[], float] = time.monotonic) -> ExportOutcome:
    """Send it, within `EXPORT_SECONDS` of ``clock``.

    Raises EditRefused where there is no such AE or it may not be sent there, ConfigUnavailable, IndexUnavailable.
    """
    ae = runtime.device.application_entity(wanted.ae_title)
    if ae is None or not ae.installed:
        raise EditRefused(Refusal.UNKNOWN, f"AE {word(wanted.ae_title)} is none of device {runtime.device.device_name}")
    try:
        remote = destination(runtime, ae, wanted.destination)
    except MoveDestinationUnknown as err:
        raise EditRefused(Refusal.UNKNOWN, str(err)) from err
    except MoveDestinationNotAllowed as err:
        raise EditRefused(Refusal.CONFLICT, str(err)) from err
    ends_at = clock() + EXPORT_SECONDS
    served = next((connection.hostname for connection in ae.connections if connection.is_served), None)
    request = RetrieveRequest(
        keys=wanted.keys,
        local_ae=ae,
        sending=runtime.peer_of(ae.ae_title, served),
        receiving=runtime.peer_of(remote.ae_title),
    )
    try:
        retrieval = retrieve(runtime, request)
        if not retrieval.expected and retrieval.stream is None:
            return ExportOutcome()
        count = min(ae.settings.store_associations_to(remote.ae_title), max(retrieval.expected, 1))
        with ExitStack() as running:
            delivery = deliver(
                retrieval.objects,
                retrieval.expected,
                [running.enter_context(StoreSCU(ae, remote, retrieval.contexts)) for _ in range(count)],
                is_cancelled=lambda: clock() > ends_at,
                on_progress=lambda _: None,
                stream=retrieval.stream,
            )
    except (ArchiveUnavailable, DestinationUnavailable) as err:
        return ExportOutcome(failed=1, error=str(err))
    runtime.counts.count_transcoded(delivery.transcoded)
    outcome = _outcome(delivery)
    runtime.counts.count_objects(ae.ae_title, sent=outcome.completed + outcome.warning, failed=outcome.failed)
    LOG.info(
        "study %s was sent to %s by %s: completed=%d warning=%d failed=%d leading=%s",
        *(ref(wanted.study_instance_uid), remote.ae_title, word(wanted.author) or "-"),
        *(outcome.completed, outcome.warning, outcome.failed, _leading(retrieval)),
    )
    return outcome


def _outcome(delivery: Delivery) -> ExportOutcome:
    tally = delivery.tally
    # What was not sent in time has failed.
    failed = tally.failed + tally.remaining
    error = delivery.problem or ""
    if delivery.cancelled:
        error = f"not everything was sent within {EXPORT_SECONDS:g} s"
    return ExportOutcome(completed=tally.completed, warning=tally.warning, failed=failed, error=error)


def _leading(retrieval: Retrieval) -> str:
    return str(retrieval.coercer)
