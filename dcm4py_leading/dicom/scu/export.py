"""Sending of stored objects on an administrator's command, like a C-MOVE without a DICOM request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack

from dcm4py_leading.dicom.scu.store import StoreSCU
from dcm4py_leading.log import ref, word
from dcm4py_leading.model.bounds import SENT_AGAIN_OBJECTS
from dcm4py_leading.service.retrieve.request import RetrieveRequest, retrieve
from dcm4py_leading.service.retrieve.retrieve_archive import Retrieval
from dcm4py_leading.service.retrieve.sub_operations import Delivery, deliver
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.sending.export import Export, ExportOutcome, parties
from dcm4py_leading.service.sending.running_exports import RunningExport

LOG = logging.getLogger(__name__)


def export(
    runtime: Runtime,
    wanted: Export,
    sending: RunningExport,
    *,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> ExportOutcome:
    """Send the objects, within ``seconds`` of ``clock``; ``sending`` receives the progress and can cancel.

    Raises EditRefused if an AE does not exist or is not an accepted destination, ConfigUnavailable, IndexUnavailable,
    ArchiveUnavailable, DestinationUnavailable.
    """
    ae, remote = parties(runtime, wanted)
    ends_at = clock() + seconds
    served = next((connection.hostname for connection in ae.connections if connection.is_served), None)
    request = RetrieveRequest(
        keys=wanted.keys,
        local_ae=ae,
        sending=runtime.peer_of(ae.ae_title, served),
        receiving=runtime.peer_of(remote.ae_title),
    )
    retrieval = retrieve(runtime, request)
    if not retrieval.expected and retrieval.stream is None:
        return ExportOutcome()
    count = min(ae.settings.store_associations_to(remote.ae_title), max(retrieval.expected, 1))
    with ExitStack() as running:
        delivery = deliver(
            retrieval.objects,
            retrieval.expected,
            [running.enter_context(StoreSCU(ae, remote, retrieval.contexts)) for _ in range(count)],
            is_cancelled=lambda: sending.is_cancelled or clock() > ends_at,
            on_progress=sending.on_progress,
            on_failure=sending.on_failure,
            stream=retrieval.stream,
        )
    runtime.counts.count_transcoded(delivery.transcoded)
    outcome = _outcome(delivery, retrieval, sending, seconds)
    runtime.counts.count_objects(ae.ae_title, sent=outcome.completed + outcome.warning, failed=outcome.failed)
    LOG.info(
        "study %s was sent to %s by %s: completed=%d warning=%d failed=%d cancelled=%d leading=%s",
        *(ref(wanted.study_instance_uid), remote.ae_title, word(wanted.author) or "-"),
        *(outcome.completed, outcome.warning, outcome.failed, outcome.not_sent, retrieval.coercer),
    )
    return outcome


def _outcome(delivery: Delivery, retrieval: Retrieval, sending: RunningExport, seconds: float) -> ExportOutcome:
    tally = delivery.tally
    is_late = delivery.cancelled and not sending.is_cancelled
    failed = tally.failed_sop_instance_uids
    return ExportOutcome(
        completed=tally.completed,
        warning=tally.warning,
        failed=tally.failed + (tally.remaining if is_late else 0),
        error=f"not everything was sent within {seconds:g} s" if is_late else delivery.problem or "",
        not_sent=0 if is_late else tally.remaining,
        failures=sending.failures,
        failed_sop_instance_uids=failed if retrieval.stream is None and len(failed) <= SENT_AGAIN_OBJECTS else (),
    )
