"""Another archive, asked by C-MOVE to send to an AE of ours; implements `service.upstream.Upstream`.

dcm4chee lets the archive send straight to the client where dcmFallbackCMoveSCPDestination is absent, and then nothing
is coerced. Here it sends to the AE that was asked. An archive that does no C-MOVE, or refuses it, as one does that
does not know our AE as a move destination, is asked by C-GET: second, because there it is we who have to know what it
will send.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

from pydicom import Dataset

from dcm4py_leading.archive.normal import values_text
from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.coercion.scan import Buffer
from dcm4py_leading.coercion.unreadable import UNREADABLE
from dcm4py_leading.dicom import command as dimse
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.association import AssociationFailed, Message, seconds
from dcm4py_leading.dicom.command import Command
from dcm4py_leading.dicom.identifier import decode
from dcm4py_leading.dicom.message import COMMANDS, cancel_request, get_request, move_request, store_response
from dcm4py_leading.dicom.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, Resolve
from dcm4py_leading.dicom.upstream_content import studies_of
from dcm4py_leading.dicom.upstream_count import instances_of_study
from dcm4py_leading.dicom.upstream_find import upstream_ae
from dcm4py_leading.dicom.upstream_get import open_for_get
from dcm4py_leading.errors import ArchiveUnavailable, StorageUnavailable
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.encode import encoded
from dcm4py_leading.service.forwards import Arrived, Forward, Forwards
from dcm4py_leading.service.upstream import InstanceCount, retrieve_identifier

LOG = logging.getLogger(__name__)

PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.2.2"
PATIENT_ROOT_GET, STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.1.3", "1.2.840.10008.5.1.4.1.2.2.3"
_FAILED_SOP_INSTANCE_UID_LIST = 0x00080058
_LOOK = 0.5
"""Seconds between looks whether the retrieve was given up."""
_UNREACHED = frozenset({0xA801, 0xA702, 0xC000})
"""What archives answer that do not know or do not reach our AE: the statuses for that, and one that says nothing."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds before what is missing is asked for again."""
_GOODBYE = 5.0
"""Seconds that the archive gets to answer a C-CANCEL."""
_NO_PATIENCE = timedelta(seconds=60)


class UpstreamRetrieve:
    """One other archive, for the clients of one AE of ours."""

    def __init__(
        self,
        scp: AETitle,
        ae: ApplicationEntity,
        resolve: Resolve,
        forwards: Forwards,
        count: InstanceCount | None = None,
    ) -> None:
        """``count`` asks dcmFallbackCMoveSCPLeadingCFindSCP, where the AE has it."""
        self._scp = scp
        self._count = count
        self._retries = ae.settings.fallback_cmove_scp_retries
        self._resolve = resolve
        self._forwards = forwards
        self._destination = ae.settings.fallback_cmove_scp_destination or ae.ae_title
        self._calling = ae.settings.fallback_cmove_scp_calling_aet

    @property
    def scps(self) -> tuple[AETitle, ...]:
        """See `Upstream`."""
        return (self._scp,)

    def count_at(self, scp: AETitle, local_ae: ApplicationEntity, study_instance_uid: str) -> int | None:
        """See `Upstream`. Raises ArchiveUnavailable."""
        remote = upstream_ae(scp, self._resolve)
        calling = self._calling or local_ae.calling_ae_title_for(remote.ae_title)
        return instances_of_study(local_ae, remote, study_instance_uid, calling)

    def fetch(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> Forward:
        """See `Upstream`. Raises ArchiveUnavailable."""
        remote = upstream_ae(self._scp, self._resolve)
        is_of_patient = keys.level is Level.PATIENT
        sop_class_uid = PATIENT_ROOT_MOVE if is_of_patient else STUDY_ROOT_MOVE
        get_class_uid = PATIENT_ROOT_GET if is_of_patient else STUDY_ROOT_GET
        message_id = self._forwards.next_message_id()
        calling = self._calling or local_ae.calling_ae_title_for(remote.ae_title)
        try:
            proposal = (sop_class_uid, (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN))
            assoc = RequestedAssociation(local_ae, remote, [proposal], calling=calling)
        except AssociationFailed as err:
            raise ArchiveUnavailable(str(err)) from err
        get = partial(open_for_get, get_class_uid, local_ae, remote, keys, calling)
        request = move_request(sop_class_uid, message_id, self._destination)
        if not assoc.contexts:
            assoc.release()
            request = get_request(get_class_uid, message_id)
            try:
                assoc = get()
            except AssociationFailed as err:
                raise ArchiveUnavailable(f"no C-MOVE in this information model, and {err}") from err
        patience = assoc.connection.retrieve_timeout or assoc.connection.response_timeout or _NO_PATIENCE
        forward = Forward(
            scp=self._scp,
            originator=calling,
            message_id=message_id,
            studies=frozenset(studies_of(local_ae, remote, keys, calling)),
            patience=seconds(patience),
            asked=keys,
        )
        self._forwards.add(forward)
        exchange = _Exchange(
            assoc,
            forward,
            self._forwards,
            request=request,
            instead=lambda: (get(), get_request(get_class_uid, message_id)),
            keys=retrieve_identifier(keys),
            retries=self._retries,
            expected=partial(self.instances_of, local_ae, keys),
        )
        try:
            exchange.begin()
        except AssociationFailed as err:
            self._forwards.remove(forward)
            assoc.abort()
            raise ArchiveUnavailable(str(err)) from err
        threading.Thread(target=exchange.follow, name=f"C-MOVE responses of {self._scp}", daemon=True).start()
        return forward

    def instances_of(self, local_ae: ApplicationEntity, keys: RetrieveKeys) -> int | None:
        """See `Upstream`."""
        if self._count is None or keys.level is not Level.STUDY:
            return None
        return self._count(local_ae, keys.study_instance_uids)


class _Exchange:
    """One C-MOVE, from the request to its final response."""

    def __init__(
        self,
        assoc: RequestedAssociation,
        forward: Forward,
        forwards: Forwards,
        *,
        request: Command,
        instead: Callable[[], tuple[RequestedAssociation, Command]],
        keys: Dataset,
        retries: int,
        expected: Callable[[], int | None],
    ) -> None:
        """``instead`` opens what a C-GET takes, where the archive does not know our AE.

        ``retries`` is dcmFallbackCMoveSCPRetries; ``expected`` asks how many objects there must be.
        """
        self._assoc = assoc
        self._forward = forward
        self._forwards = forwards
        self._request = request
        self._instead = instead
        self._keys = keys
        self._retries = retries
        self._expected = expected
        self._pause = _FIRST_PAUSE

    @property
    def _name(self) -> str:
        return COMMANDS[int(self._request[dimse.COMMAND_FIELD])]

    def begin(self) -> None:
        """Send the request. Raises AssociationFailed."""
        wanted = self._request[dimse.AFFECTED_SOP_CLASS_UID]
        self._context = next(context for context in self._assoc.contexts if context.abstract_syntax == wanted)
        self._assoc.send(self._context, self._request, encoded(self._keys, self._context.transfer_syntax))

    def follow(self) -> None:
        """Receive the responses until the last one, or until nobody waits for it."""
        try:
            self._receive_all()
            self._assoc.release()
        except (AssociationFailed, StorageUnavailable) as err:
            self._forward.end(failure=ArchiveUnavailable(str(err)))
            self._assoc.abort()
        except Exception as err:
            self._forward.end(failure=ArchiveUnavailable(f"internal error ({type(err).__name__})"))
            self._assoc.abort()
            raise
        finally:
            self._forwards.remove(self._forward)

    def _receive_all(self) -> None:
        gives_up_at: float | None = None
        while True:
            if self._forward.is_closed and gives_up_at is None:
                gives_up_at = time.monotonic() + _GOODBYE
                self._assoc.send(self._context, cancel_request(self._forward.message_id))
            if gives_up_at is not None and time.monotonic() > gives_up_at:
                raise AssociationFailed(f"{self._forward.scp} does not heed a C-CANCEL")
            received = self._assoc.poll(_LOOK, self._forwards.spool.collect)
            if received is None:
                continue
            response, data = received
            if response.number(dimse.COMMAND_FIELD) == dimse.C_STORE_RQ:
                self._take(response, data or b"")
                continue
            if response.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO) != self._forward.message_id:
                raise AssociationFailed(f"{self._forward.scp}: a message came that is no response to our request")
            code = response.number(dimse.STATUS)
            if code != status.PENDING:
                if self._end(code, response, None if data is None else bytes(data)):
                    return
                continue
            counts = _counts(response)
            self._forward.tell(sum(counts.values()))

    def _take(self, request: Message, data: Buffer) -> None:
        """An object that came by C-GET."""
        arrived = Arrived(
            sop_class_uid=request.text(dimse.AFFECTED_SOP_CLASS_UID),
            sop_instance_uid=request.text(dimse.AFFECTED_SOP_INSTANCE_UID),
            transfer_syntax_uid=request.context.transfer_syntax,
            data=data,
        )
        code = status.SUCCESS if self._forward.offer(arrived) else status.UNABLE_TO_PROCESS
        self._assoc.send(request.context, store_response(request, code))

    def _end(self, code: int | None, response: Message, data: bytes | None) -> bool:
        """The final response: what has failed there does not come. False where it is asked once more."""
        is_done = code is not None and (code in (status.SUCCESS, status.CANCEL) or 0xB000 <= code <= 0xBFFF)
        failure = None
        if not is_done:
            comment = response.text(dimse.ERROR_COMMENT)
            text = "no status" if code is None else f"0x{code:04X}"
            failure = ArchiveUnavailable(
                f"{self._forward.scp}: {self._name} ended with status {text}{f': {comment}' if comment else ''}",
                status=code or None,
            )
        failed = self._failed_uids(data)
        is_refused = code in _UNREACHED and not failed and not sum(_counts(response).values())
        if is_refused and not self._forward.came and self._is_asked_otherwise(failure):
            return False
        least = 0 if self._forward.is_closed else self._expected() or 0
        is_complete = failure is None and not failed and not _counts(response)[dimse.FAILED]
        is_complete = is_complete and self._forward.came >= least
        if not is_complete and code != status.CANCEL and self._is_asked_again():
            return False
        total = sum(_counts(response).values())
        self._forward.end(failed=failed, failure=failure, total=total, least=least)
        return True

    def _is_asked_otherwise(self, failure: ArchiveUnavailable | None) -> bool:
        """By C-GET: not each archive says that it is the move destination which it does not know."""
        if self._request[dimse.COMMAND_FIELD] != dimse.C_MOVE_RQ or self._forward.is_closed:
            return False
        try:
            assoc, request = self._instead()
        except AssociationFailed as err:
            LOG.info("%s; nor can it be asked by C-GET: %s", failure, err)
            return False
        LOG.info("%s: asked by C-GET", failure)
        self._assoc.release()
        self._assoc, self._request = assoc, request
        self.begin()
        return True

    def _is_asked_again(self) -> bool:
        if not self._retries:
            return False
        ends_at = time.monotonic() + self._pause
        while time.monotonic() < ends_at:
            if self._forward.is_closed:
                return False
            self._forward.tell(0)  # it is not silent, we are
            time.sleep(min(_LOOK, self._pause))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._retries -= self._retries > 0
        LOG.info("%s did not send everything: asked again", self._forward.scp)
        self._forward.again()
        self.begin()
        return True

    def _failed_uids(self, data: bytes | None) -> list[str]:
        if data is None:
            return []
        try:
            return values_text(decode(data, self._context.transfer_syntax), _FAILED_SOP_INSTANCE_UID_LIST)
        except UNREADABLE:
            return []


def _counts(response: Message) -> Mapping[int, int]:
    return {
        element: response.number(element) or 0
        for element in (dimse.REMAINING, dimse.COMPLETED, dimse.FAILED, dimse.WARNING)
    }
