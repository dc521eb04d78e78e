"""Sending of stored objects: at once, or with an ID by which any process can follow and cancel it."""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.calls.call import Call, Caller, Form, Here, Json, as_it_is
from dcm4py_leading.dicom.scu.export import export
from dcm4py_leading.errors import ArchiveUnavailable, DestinationUnavailable
from dcm4py_leading.model.bounds import EXPORT_SECONDS, SENDING_SECONDS
from dcm4py_leading.service.sending.export import Export, ExportOutcome, parties
from dcm4py_leading.service.sending.running_exports import RunningExport, SendProgress

_GRACE_SECONDS = 60.0
_CHECK_SECONDS = 60.0
_QUICK_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """An export, and the ID by which it is asked for."""

    sending_id: str
    wanted: Export


def _export(here: Here, wanted: Export) -> ExportOutcome:
    try:
        return export(here.runtime, wanted, RunningExport(), seconds=EXPORT_SECONDS)
    except (ArchiveUnavailable, DestinationUnavailable) as err:
        return ExportOutcome(failed=1, error=str(err))


def _send(here: Here, request: SendRequest) -> ExportOutcome:
    with here.sendings.begin(request.sending_id) as sending:
        return export(here.runtime, request.wanted, sending, seconds=SENDING_SECONDS)


def _check(here: Here, wanted: Export) -> None:
    parties(here.runtime, wanted)


def _reached(here: Here, sending_id: str) -> SendProgress | None:
    sending = here.sendings.get(sending_id)
    return None if sending is None else sending.reached()


def _cancel(here: Here, sending_id: str) -> bool:
    sending = here.sendings.get(sending_id)
    if sending is not None:
        sending.cancel()
    return sending is not None


def _request_to_json(request: SendRequest) -> Json:
    return {"id": request.sending_id, "wanted": request.wanted.to_json()}


def _request_from_json(value: Json) -> SendRequest:
    return SendRequest(sending_id=value["id"], wanted=Export.from_json(value["wanted"]))


_EXPORT: Form[Export] = Form(to_json=Export.to_json, from_json=Export.from_json)
_OUTCOME: Form[ExportOutcome] = Form(to_json=ExportOutcome.to_json, from_json=ExportOutcome.from_json)

EXPORT: Call[Export, ExportOutcome] = Call(
    name="export", do=_export, question=_EXPORT, answer=_OUTCOME, seconds=EXPORT_SECONDS + _GRACE_SECONDS
)
CHECK_EXPORT: Call[Export, None] = Call(
    name="check-export", do=_check, question=_EXPORT, answer=as_it_is(), seconds=_CHECK_SECONDS
)
SEND: Call[SendRequest, ExportOutcome] = Call(
    name="send",
    do=_send,
    question=Form(to_json=_request_to_json, from_json=_request_from_json),
    answer=_OUTCOME,
    seconds=SENDING_SECONDS + _GRACE_SECONDS,
    is_repeatable=False,
)
REACHED: Call[str, SendProgress | None] = Call(
    name="reached",
    do=_reached,
    question=as_it_is(),
    answer=Form(
        to_json=lambda reached: None if reached is None else reached.to_json(),
        from_json=lambda value: None if value is None else SendProgress.from_json(value),
    ),
    seconds=_QUICK_SECONDS,
)
CANCEL_SENDING: Call[str, bool] = Call(
    name="cancel-sending", do=_cancel, question=as_it_is(), answer=as_it_is(), seconds=_QUICK_SECONDS
)


class Exports(Caller):
    """Exports (see `web.rest.archive.export.ExportService`, `service.sending.job.Sender`)."""

    def export(self, wanted: Export) -> ExportOutcome:
        """Send stored objects."""
        return self.call(EXPORT, wanted)

    def check_export(self, wanted: Export) -> None:
        """Raise what `export` would raise before it sends anything. Raises EditRefused, ConfigUnavailable."""
        self.call(CHECK_EXPORT, wanted)

    def send(self, sending_id: str, wanted: Export) -> ExportOutcome:
        """Send stored objects, under an ID."""
        return self.call(SEND, SendRequest(sending_id=sending_id, wanted=wanted))

    def reached(self, sending_id: str) -> SendProgress | None:
        """Progress of the export with that ID; None if it is not under way."""
        return next((found for found in self.call_each(REACHED, sending_id) if found is not None), None)

    def cancel_sending(self, sending_id: str) -> None:
        """Cancel the export with that ID, if it is under way."""
        self.call_each(CANCEL_SENDING, sending_id)
