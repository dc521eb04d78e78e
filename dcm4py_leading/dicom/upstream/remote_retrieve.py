"""One retrieve from another archive, from the request to the final response (PS3.7 9.1.3, 9.1.4).

With C-MOVE, a separate thread follows the responses, and the objects arrive on other associations. With C-GET, all
comes on one association, which is read by the thread that delivers the objects: so nothing is handed between threads,
and no object is received before there is room for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.dataset.normal import values_text
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.identifier import decode
from dcm4py_leading.dicom.message import cancel_request, store_response
from dcm4py_leading.dicom.scu.outbound import spawn
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.dimse_message import DimseMessage
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upstream.retrieve_methods import PendingRetrieve, RetrieveMethods
from dcm4py_leading.errors import ArchiveUnavailable, RequestError, StorageUnavailable
from dcm4py_leading.log import ref
from dcm4py_leading.service.proxy.forwarded_retrieve import ForwardedRetrieve
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves
from dcm4py_leading.service.proxy.object_check import checked_object
from dcm4py_leading.service.retrieve.encode import encoded

LOG = logging.getLogger(__name__)

_FAILED_SOP_INSTANCE_UID_LIST = 0x00080058
_LOOK = 0.5
"""Seconds between looks whether the retrieve was given up."""
_UNREACHED = frozenset({0xA801, 0xA702, 0xC000})
"""Statuses of archives that do not know or do not reach our AE: those for that, and one that says nothing."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds before what is missing is asked for again."""
_GOODBYE = 5.0
"""Seconds that the archive gets to answer a C-CANCEL."""


@dataclass(slots=True, kw_only=True)
class _Final:
    """Content of a final response (see `ForwardedRetrieve.end`)."""

    failed: Sequence[str] = ()
    failure: ArchiveUnavailable | None = None
    total: int = 0
    least: int = 0


class RemoteRetrieve:
    """One retrieve; implements `service.proxy.forwarded_retrieve.PumpedRetrieve`. For one thread at a time."""

    def __init__(
        self,
        asking: PendingRetrieve,
        ways: RetrieveMethods,
        forward: ForwardedRetrieve,
        forwards: ForwardedRetrieves,
        *,
        keys: Dataset,
        retries: int,
        expected: Callable[[], int | None],
    ) -> None:
        """``asking`` is the first of the ``ways``.

        ``retries`` is dcmFallbackCMoveSCPRetries; ``expected`` asks how many objects there must be.
        """
        self._asking = asking
        self._ways = ways
        self._forward = forward
        self._forwards = forwards
        self._keys = keys
        self._retries = retries
        self._expected = expected
        self._pause = _FIRST_PAUSE
        self._again_at: float | None = None
        self._final = _Final()
        self._earlier: tuple[PendingRetrieve, _Final] | None = None
        """The other way, and how it ended, where it can be gone again."""
        self._gives_up_at: float | None = None
        self._is_awaited = False
        self._is_over = False

    def start(self) -> None:
        """Send the request. Raises AssociationFailed."""
        self._begin()
        if self._asking.is_get:
            self._forward.carry = self
        else:
            self._follow_in_background()

    def pump(self, wait: float) -> None:
        """Carry on with the exchange (see `PumpedRetrieve`)."""
        try:
            self._step(wait)
        except (AssociationFailed, StorageUnavailable) as err:
            self._break(ArchiveUnavailable(str(err)))
        except Exception as err:
            self._break(ArchiveUnavailable(f"internal error ({type(err).__name__})"))
            raise
        if self._forward.carry is self and not self._asking.is_get:
            self._follow_in_background()

    @property
    def has_input(self) -> bool:
        """True if `pump` would not wait (see `PumpedRetrieve`)."""
        return self._again_at is None and self._asking.assoc.has_input

    def detach(self) -> None:
        """Continue the rest in the background (see `PumpedRetrieve`)."""
        self._follow_in_background()

    def _follow_in_background(self) -> None:
        self._forward.carry = None
        spawn(self._follow, f"{self._asking.name} responses of {self._forward.scp}")

    def _follow(self) -> None:
        """Receive the responses until the final one, or until the client no longer waits."""
        try:
            while not self._is_over:
                self.pump(_LOOK)
            self._asking.assoc.release()
        finally:
            self._forwards.remove(self._forward)

    def _begin(self) -> None:
        if not self._asking.is_get and not self._is_awaited:
            self._forwards.add(self._forward)  # before the request: the first object may come before we could register
            self._is_awaited = True
        assoc, context = self._asking.assoc, self._asking.context
        assoc.say_before_abort(context, cancel_request(self._forward.message_id))
        assoc.send(context, self._asking.request, encoded(self._keys, context.transfer_syntax))

    def _break(self, failure: ArchiveUnavailable) -> None:
        self._is_over = True
        self._forward.end(failure=failure)
        self._asking.assoc.abort()

    def _step(self, wait: float) -> None:
        """Handle what comes within ``wait`` seconds. Raises AssociationFailed, StorageUnavailable."""
        if self._is_over:
            return
        if self._forward.is_closed and self._gives_up_at is None:
            if self._again_at is not None:
                self._end(self._final)
                return
            self._gives_up_at = time.monotonic() + _GOODBYE
            self._asking.assoc.send(self._asking.context, cancel_request(self._forward.message_id))
            self._asking.assoc.say_before_abort(self._asking.context, None)
        if self._gives_up_at is not None and time.monotonic() > self._gives_up_at:
            raise AssociationFailed(f"{self._forward.scp} does not heed a C-CANCEL")
        if self._again_at is not None:
            self._wait_for_the_next_time(self._again_at, wait)
            return
        received = self._asking.assoc.poll(wait, self._forwards.spool.collect)
        if received is None:
            return
        response, data = received
        if response.number(dimse.COMMAND_FIELD) == dimse.C_STORE_RQ:
            self._take(response, data or b"")
            return
        if response.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO) != self._forward.message_id:
            raise AssociationFailed(f"{self._forward.scp}: a message came that is no response to our request")
        if response.number(dimse.STATUS) == status.PENDING:
            counts = _counts(response)
            self._forward.tell(sum(counts.values()), sum(counts.values()) - counts[dimse.REMAINING])
        else:
            self._ended(response, None if data is None else bytes(data))

    def _take(self, request: DimseMessage, data: Buffer) -> None:
        """Handle an object that came by C-GET."""
        uid = request.text(dimse.AFFECTED_SOP_INSTANCE_UID)
        try:
            obj = checked_object(request.text(dimse.AFFECTED_SOP_CLASS_UID), uid, request.context.transfer_syntax, data)
            is_stranger = not self._forward.wants(obj)
            if is_stranger:
                study = ref(obj.study_instance_uid)
                LOG.warning(
                    "object %s of study %s from %s is refused: nobody asked for it", ref(uid), study, self._forward.scp
                )
                self._forward.refuse_unrequested(uid)
            code = status.UNABLE_TO_PROCESS if is_stranger or not self._forward.offer(obj) else status.SUCCESS
        except RequestError as err:
            LOG.warning("object %s from %s is refused: %s", ref(uid), self._forward.scp, err)
            self._forward.refuse(uid, f"{self._forward.scp} sent what cannot be taken: {err}")
            code = err.status
        self._asking.assoc.send(request.context, store_response(request, code))

    def _ended(self, response: DimseMessage, data: bytes | None) -> None:
        """Handle the final response: objects have failed, unless requested again or by the other method."""
        code = response.number(dimse.STATUS)
        counts = _counts(response)
        final = _Final(
            failed=self._failed_uids(data), failure=self._failure(code, response), total=sum(counts.values())
        )
        is_wanted = not self._forward.is_closed and code != status.CANCEL
        if is_wanted:
            final.least = self._expected() or 0
        is_complete = final.failure is None and not final.failed and not counts[dimse.FAILED]
        if not is_wanted or (is_complete and self._forward.came >= final.least):
            self._end(final)
            return
        is_refused = code in _UNREACHED and not final.failed and not final.total
        if (self._asking.is_get or (is_refused and not self._forward.came)) and self._is_asked_otherwise(final):
            return
        if is_refused and self._earlier is not None:
            # This method brings nothing: the result of the other one counts.
            self._asking, earlier = self._earlier
            final = final if earlier.failure else earlier
        if self._retries:
            self._retries -= self._retries > 0
            self._again_at, self._final = time.monotonic() + self._pause, final
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        else:
            self._end(final)

    def _end(self, final: _Final) -> None:
        self._is_over = True
        self._forward.end(
            failed=final.failed, failure=final.failure, total=final.total, least=final.least, is_answer=True
        )

    def _failure(self, code: int | None, response: DimseMessage) -> ArchiveUnavailable | None:
        if code is not None and (code in (status.SUCCESS, status.CANCEL) or 0xB000 <= code <= 0xBFFF):
            return None
        text = "no status" if code is None else f"0x{code:04X}"
        return ArchiveUnavailable(
            f"{self._forward.scp}: {self._asking.name} ended with status {text}",
            status=code or None,
            comment=response.text(dimse.ERROR_COMMENT),
        )

    def _is_asked_otherwise(self, final: _Final) -> bool:
        """True if a C-MOVE should follow: a C-GET may lack objects that do not fit our presentation contexts.

        A C-MOVE may be refused because the archive does not know our AE, not always with the status for it.
        """
        before = self._asking
        why = final.failure or f"{self._forward.scp} did not send everything by {before.name}"
        try:
            self._asking = self._ways.other(before.assoc)
        except AssociationFailed as err:
            LOG.info("%s; no other retrieve method is possible: %s", why, err)
            return False
        LOG.info("%s: asked again by %s", why, self._asking.name)
        if self._asking.assoc is before.assoc:
            least = max(final.least, final.total)
            self._earlier = before, _Final(failed=final.failed, failure=final.failure, least=least)
        self._forward.again()
        self._begin()
        return True

    def _wait_for_the_next_time(self, at: float, wait: float) -> None:
        self._forward.restart_timeout()  # it is not silent, we are
        time.sleep(max(min(wait, at - time.monotonic()), 0))
        if time.monotonic() < at:
            return
        LOG.info("%s did not send everything: asked again", self._forward.scp)
        self._again_at = None
        self._forward.again()
        self._begin()

    def _failed_uids(self, data: bytes | None) -> list[str]:
        if data is None:
            return []
        try:
            return values_text(decode(data, self._asking.context.transfer_syntax), _FAILED_SOP_INSTANCE_UID_LIST)
        except UNREADABLE:
            return []


def _counts(response: DimseMessage) -> Mapping[int, int]:
    return {
        element: response.number(element) or 0
        for element in (dimse.REMAINING, dimse.COMPLETED, dimse.FAILED, dimse.WARNING)
    }
