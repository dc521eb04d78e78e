"""Job that sends stored objects to another AE."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from dcm4py_leading.service.jobs.job import Progress
from dcm4py_leading.service.jobs.jobs import Handle, JobFailed, Jobs
from dcm4py_leading.service.sending.export import Export, ExportOutcome
from dcm4py_leading.service.sending.running_exports import SendProgress

KIND = "send"
_ASK_SECONDS = 0.5
"""Between two looks at how far it is."""
_ID_BYTES = 9


class Sender(Protocol):
    """Port to the process that sends."""

    def send(self, sending_id: str, wanted: Export) -> ExportOutcome:
        """Send stored objects and wait. Raises EditRefused, ConfigUnavailable, StatusError."""
        ...

    def reached(self, sending_id: str) -> SendProgress | None:
        """Progress of an export; None if not running."""
        ...

    def cancel_sending(self, sending_id: str) -> None:
        """Cancel an export, if running."""
        ...


def start_sending(jobs: Jobs, sender: Sender, wanted: Export) -> str:
    """Start a job for an export and return its ID. Raises TooManyJobs."""
    return jobs.start(KIND, _subject(wanted), wanted.author, lambda handle: _send(sender, wanted, handle))


def _subject(wanted: Export) -> Mapping[str, str]:
    told = {
        "ae": wanted.ae_title,
        "destination": wanted.destination,
        "study": wanted.study_instance_uid,
        "series": wanted.series_instance_uid or "",
        "instance": wanted.sop_instance_uids[0] if len(wanted.sop_instance_uids) == 1 else "",
        "instances": str(len(wanted.sop_instance_uids)) if len(wanted.sop_instance_uids) > 1 else "",
    }
    return {name: value for name, value in told.items() if value}


def _send(sender: Sender, wanted: Export, handle: Handle) -> Mapping[str, Any]:
    outcome = _outcome(sender, wanted, handle)
    sent = outcome.completed + outcome.warning
    result = {
        "completed": outcome.completed,
        "warning": outcome.warning,
        "failed": outcome.failed,
        "notSent": outcome.not_sent,
        "failedSOPInstanceUIDs": list(outcome.failed_sop_instance_uids),
    }
    of = sent + outcome.failed + outcome.not_sent
    handle.report(Progress(done=sent + outcome.failed, of=of, failed=outcome.failed))
    if handle.is_cancelled:
        return result
    if not of:
        raise JobFailed("there is nothing of it to be sent")
    if not sent:
        raise JobFailed(outcome.error or "the destination took no object", result=result)
    return result


def _outcome(sender: Sender, wanted: Export, handle: Handle) -> ExportOutcome:
    """Send in another thread, and report progress."""
    sending_id = secrets.token_urlsafe(_ID_BYTES)
    outcome: Future[ExportOutcome] = Future()

    def send() -> None:
        try:
            outcome.set_result(sender.send(sending_id, wanted))
        except BaseException as err:  # noqa: BLE001 - raised again by the thread that waits
            outcome.set_exception(err)

    threading.Thread(target=send, name=f"sending to {wanted.destination}", daemon=True).start()
    told = 0
    while not _is_done(outcome):
        if handle.is_cancelled:
            sender.cancel_sending(sending_id)
        reached = sender.reached(sending_id)
        if reached is not None:
            handle.report(Progress(done=reached.done, of=reached.of, failed=reached.failed))
            told = _tell(handle, reached.failures, told)
    _tell(handle, outcome.result().failures, told)
    return outcome.result()


def _is_done(outcome: Future[ExportOutcome]) -> bool:
    """Wait for the end until the next progress check; True if ended."""
    try:
        outcome.exception(_ASK_SECONDS)
    except TimeoutError:
        return False
    return True


def _tell(handle: Handle, failures: Sequence[str], told: int) -> int:
    """Report new problems; return the number of all reported problems."""
    for text in failures[told:]:
        handle.problem(text)
    return max(told, len(failures))
