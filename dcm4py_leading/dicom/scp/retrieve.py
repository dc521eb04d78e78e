"""Retrieve as SCP: C-MOVE (PS3.4 C.4.2) and C-GET (PS3.4 C.4.3)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Self

from pydicom import Dataset
from pydicom.uid import UID

from dcm4py_leading.archive.index.querying.query import parse_retrieve
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.identifier import decode_identifier, encode_identifier
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.dicom.negotiation import GET, MOVE
from dcm4py_leading.dicom.scp.acceptor import AcceptedAssociation, Outcome
from dcm4py_leading.dicom.scu.store import StoreSCU
from dcm4py_leading.dicom.scu.stores_under_way import StoresUnderWay
from dcm4py_leading.dicom.upper.dimse_message import MoveOriginator
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.errors import DestinationUnavailable, SubOperationFailed
from dcm4py_leading.log import foreign, ref
from dcm4py_leading.model.values import InformationModel
from dcm4py_leading.service.retrieve.encode import PreparedObject
from dcm4py_leading.service.retrieve.request import RetrieveRequest, destination, retrieve
from dcm4py_leading.service.retrieve.retrieve_archive import Retrieval
from dcm4py_leading.service.retrieve.sub_operations import Delivery, Ending, deliver
from dcm4py_leading.service.retrieve.tally import SubOperationTally

_MAX_REFERENCES = 5
_ENDED = {True: "has asked to release", False: "ended"}


def move(assoc: AcceptedAssociation, request: Request) -> Outcome:
    """Serve a C-MOVE: its sub-operations use an association that we open to the move destination."""
    remote = destination(assoc.runtime, assoc.local_ae, request.move_destination)
    studies, retrieval = _retrieval(assoc, request, MOVE[request.abstract_syntax], destination_of=remote.ae_title)
    originator = MoveOriginator(assoc.calling_ae_title, request.message_id)
    interval = assoc.local_ae.settings.send_pending_cmove_interval
    count = min(assoc.local_ae.settings.store_associations_to(remote.ae_title), max(retrieval.expected, 1))
    with ExitStack() as running:
        to = [
            running.enter_context(StoreSCU(assoc.local_ae, remote, retrieval.contexts, originator))
            for _ in range(count)
        ]
        pending = running.enter_context(_PendingByTime(assoc, request, interval, retrieval))
        delivery = deliver(
            retrieval.objects,
            retrieval.expected,
            to,
            is_cancelled=lambda: assoc.is_over(request),
            on_progress=pending.update,
            stream=retrieval.stream,
        )
    return _finish(assoc, request, delivery, retrieval, {"dest": remote.ae_title, **studies})


def get(assoc: AcceptedAssociation, request: Request) -> Outcome:
    """Serve a C-GET: its sub-operations use the association of the request."""
    studies, retrieval = _retrieval(assoc, request, GET[request.abstract_syntax], destination_of=None)
    sends_pending = assoc.local_ae.settings.send_pending_cget

    def on_progress(tally: SubOperationTally) -> None:
        if sends_pending and tally.remaining:
            assoc.tell_progress(request, tally)

    delivery = deliver(
        retrieval.objects,
        retrieval.expected,
        [_SameAssociation(assoc)],
        is_cancelled=lambda: assoc.is_over(request),
        on_progress=on_progress,
        stream=retrieval.stream,
    )
    return _finish(assoc, request, delivery, retrieval, studies)


def _retrieval(
    assoc: AcceptedAssociation, request: Request, model: InformationModel, destination_of: str | None
) -> tuple[Mapping[str, str], Retrieval]:
    """The retrieval to deliver, and its studies for the log."""
    settings = assoc.local_ae.settings
    lenient = settings.relational_retrieve_negotiation_lenient
    keys = parse_retrieve(
        decode_identifier(request), model, relational=lenient or assoc.is_relational(request.abstract_syntax)
    )
    receiving = assoc.remote_peer if destination_of is None else assoc.runtime.peer_of(destination_of)
    retrieval = retrieve(
        assoc.runtime,
        RetrieveRequest(keys=keys, local_ae=assoc.local_ae, sending=assoc.local_peer, receiving=receiving),
    )
    studies = _references(keys.study_instance_uids or retrieval.study_instance_uids)
    assoc.study = studies.get("study")
    return studies, retrieval


def _references(studies: Sequence[str]) -> Mapping[str, str]:
    """The studies as the log refers to them; of many, only the first few."""
    if not studies:
        return {}
    more = [f"+{len(studies) - _MAX_REFERENCES}"] if len(studies) > _MAX_REFERENCES else []
    return {"study": ",".join([*map(ref, studies[:_MAX_REFERENCES]), *more])}


def _finish(
    assoc: AcceptedAssociation,
    request: Request,
    delivery: Delivery,
    retrieval: Retrieval,
    details: Mapping[str, object],
) -> Outcome:
    tally = delivery.tally
    assoc.runtime.counts.count_transcoded(delivery.transcoded)
    sent = tally.completed + tally.warning
    assoc.runtime.counts.count_objects(assoc.local_ae.ae_title, sent=sent, failed=tally.failed)
    # FE00 answers only a C-CANCEL; a peer that has gone gets no answer.
    is_cancelled = delivery.cancelled and assoc.is_cancelled(request)
    code = tally.final_status()
    if delivery.cancelled:
        code = status.CANCEL if is_cancelled else status.UNABLE_TO_PROCESS
    failed = None
    if tally.failed_sop_instance_uids:
        # PS3.4 C.4.2.1.4.2, C.4.3.1.3.2
        identifier = Dataset()
        identifier.FailedSOPInstanceUIDList = list(tally.failed_sop_instance_uids)
        failed = encode_identifier(identifier, request.transfer_syntax)
    counts: dict[str, object] = {
        "matches": retrieval.expected if retrieval.stream is None else tally.ended + tally.remaining,
        "completed": tally.completed,
        "failed": tally.failed,
        "warning": tally.warning,
        "transcoded": delivery.transcoded,
        "leading": retrieval.coercer,
    }
    try:
        assoc.respond(request, code, tally=tally, remaining=is_cancelled, data=failed, error_comment=delivery.problem)
    except AssociationFailed:
        counts["ended"] = assoc.ended_by(request)
    if delivery.cancelled or (request.command == "C-GET" and assoc.is_releasing and tally.failed):
        counts["ended"] = assoc.ended_by(request)
    return code, {**details, **counts}


class _SameAssociation:
    """The C-GET SCU as destination."""

    def __init__(self, assoc: AcceptedAssociation) -> None:
        self._assoc = assoc
        self._under_way = StoresUnderWay()
        self.window = assoc.window

    def accepted_transfer_syntaxes(self, sop_class_uid: str, transfer_syntax_uid: str) -> tuple[str, ...]:
        # The outstanding responses will show if the peer is still connected.
        if (not self._under_way.due or self._assoc.lost_by) and not self._assoc.is_open:
            raise DestinationUnavailable(f"{self._assoc.name} {_ENDED[self._assoc.is_releasing]} the association")
        accepted = self._assoc.accepted_transfer_syntaxes(sop_class_uid)
        if not accepted:
            raise SubOperationFailed(
                f"{self._assoc.name} takes no objects of SOP class {foreign(UID(sop_class_uid).name)}"
            )
        return accepted

    def begin_store(self, obj: PreparedObject, message_id: int) -> None:
        try:
            self._assoc.begin_store(obj, message_id)
        except AssociationFailed as err:
            raise DestinationUnavailable(f"{self._assoc.name}: {err}") from err
        self._under_way.due.add(message_id)

    def end_store(self) -> Ending:
        if not self._under_way.ended and not self._under_way.take(self._assoc.store_response()):
            failure = None
            if self._assoc.is_open:
                # A late response would be taken for the response to another object.
                self._assoc.give_up()
            else:
                failure = SubOperationFailed(f"{self._assoc.name}: {self._assoc.lost_by}")
            self._under_way.fail(failure)
        return self._under_way.ended.popleft()


class _PendingByTime:
    """Sender of pending C-MOVE responses every dcmSendPendingCMoveInterval, also during a long sub-operation."""

    def __init__(
        self, assoc: AcceptedAssociation, request: Request, interval: timedelta | None, retrieval: Retrieval
    ) -> None:
        self._assoc = assoc
        self._request = request
        self._interval = interval
        self._stream = retrieval.stream
        self._tally = SubOperationTally(remaining=retrieval.expected)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pending C-MOVE responses", daemon=True)

    def update(self, tally: SubOperationTally) -> None:
        """Set the tally for the next pending response."""
        self._tally = tally

    def _run(self) -> None:
        assert self._interval is not None
        try:
            while not self._stop.wait(self._interval.total_seconds()):
                tally = self._tally
                if self._stream is not None:
                    tally = replace(tally, remaining=self._stream.remaining(tally.ended))
                self._assoc.respond(self._request, status.PENDING, tally=tally, remaining=True)
        except AssociationFailed:
            return  # the delivering thread notices a lost peer

    def __enter__(self) -> Self:
        if self._interval is not None:
            self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._interval is not None:
            self._thread.join()  # no pending response may follow the final one
