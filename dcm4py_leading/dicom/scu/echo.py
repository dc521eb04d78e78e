"""Verification as SCU (PS3.4 A): one C-ECHO to a peer, with the time that each step takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from datetime import timedelta

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import echo_request
from dcm4py_leading.dicom.negotiation import VERIFICATION
from dcm4py_leading.dicom.scu.leading import IMPLICIT_VR_LITTLE_ENDIAN
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.failures import AssociationFailed, AssociationRejected, NotCallable
from dcm4py_leading.model.bounds import ECHO_SECONDS
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.service.monitor.echo import EchoOutcome, EchoResult

_GRACE_SECONDS = 2.0
"""For the abort after the time is over."""


def echo(
    local_ae: ApplicationEntity,
    remote: RemoteAE,
    *,
    most_seconds: float = ECHO_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> EchoOutcome:
    """Send a C-ECHO to ``remote``; everything together takes at most ``most_seconds``.

    The lookup of the host name may take longer and cannot be stopped; it then continues in its own thread, which opens
    no connection afterwards.
    """
    told: Future[EchoOutcome] = Future()

    def work() -> None:
        try:
            told.set_result(_exchange(local_ae, remote, most_seconds, clock))
        except Exception as err:  # noqa: BLE001 - raised again in the waiting thread
            told.set_exception(err)

    threading.Thread(target=copy_context().run, args=(work,), name=f"echo to {remote.ae_title}", daemon=True).start()
    try:
        return told.result(most_seconds + _GRACE_SECONDS)
    except TimeoutError:
        error = f"{remote.ae_title}: its host name could not be looked up in time"
        return EchoOutcome(result=EchoResult.NOT_CONNECTED, error=error)


def _exchange(
    local_ae: ApplicationEntity, remote: RemoteAE, most_seconds: float, clock: Callable[[], float]
) -> EchoOutcome:
    started = clock()

    def left() -> float:
        return max(0.001, started + most_seconds - clock())

    try:
        association = RequestedAssociation(
            local_ae, remote, [(VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,))], timeout=timedelta(seconds=most_seconds)
        )
    except NotCallable as err:
        return EchoOutcome(result=EchoResult.INCOMPATIBLE, error=str(err))
    except AssociationRejected as err:
        return EchoOutcome(result=EchoResult.REJECTED, error=str(err), connection_ms=_ms(started, clock()))
    except AssociationFailed as err:
        return EchoOutcome(result=EchoResult.NOT_CONNECTED, error=str(err), connection_ms=_ms(started, clock()))
    connected = clock()
    failure = _verify(association, left)
    echoed = clock()
    is_released = association.release_within(left())
    if failure is None and not is_released:
        failure = EchoResult.NOT_RELEASED, "the association had to be aborted"
    result, error = failure or (EchoResult.SUCCESS, None)
    return EchoOutcome(
        result=result,
        error=error,
        connection_ms=_ms(started, connected),
        echo_ms=_ms(connected, echoed),
        release_ms=_ms(echoed, clock()),
    )


def _verify(association: RequestedAssociation, left: Callable[[], float]) -> tuple[EchoResult, str] | None:
    """Failure of the C-ECHO as text; None if the peer answered with success."""
    context = next(iter(association.contexts), None)
    if context is None:
        return EchoResult.REJECTED, f"{association.peer} accepts no Verification"
    message_id = association.next_message_id()
    try:
        association.send(context, echo_request(VERIFICATION, message_id))
    except AssociationFailed as err:
        return EchoResult.NOT_SENT, str(err)
    try:
        answer, _ = association.receive(left())
    except AssociationFailed as err:
        return EchoResult.NO_ANSWER, str(err)
    code = answer.number(dimse.STATUS)
    is_answer = (
        answer.number(dimse.COMMAND_FIELD) == dimse.C_ECHO_RQ | dimse.RESPONSE
        and answer.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO) == message_id
    )
    if not is_answer or code is None:
        return EchoResult.NO_ANSWER, f"{association.peer} sent another message than the answer"
    return None if code == status.SUCCESS else (EchoResult.NO_ANSWER, f"{association.peer} answers {code:04X}H")


def _ms(begin: float, end: float) -> int:
    return round((end - begin) * 1000)
