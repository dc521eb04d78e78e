"""Questions to others: C-FIND to a leading archive on pooled associations, C-STORE to a move destination."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.uid import UID as PydicomUID

from dcm4py_leading.dicom.scu.find_exchange import FindRefused, answers_of
from dcm4py_leading.dicom.scu.pool import AssociationPool
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu.storage_association import StorageAssociation
from dcm4py_leading.dicom.upper.association import AssociationFailed, MoveOriginator, seconds
from dcm4py_leading.dicom.upper.link import LinkTimeout
from dcm4py_leading.errors import (
    CoercionFailed,
    ConfigError,
    DestinationUnavailable,
    LeadingMismatch,
    LeadingQueryFailed,
    LeadingUnavailable,
    SubOperationFailed,
)
from dcm4py_leading.leading.query import UnreadableAnswer
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.log import foreign, word
from dcm4py_leading.model.bounds import DESTINATION_TIMEOUTS
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import UID, AETitle, Tag
from dcm4py_leading.service.retrieve.encode import PreparedObject
from dcm4py_leading.service.retrieve.retrieve_archive import StoreContext

LOG = logging.getLogger(__name__)

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

Resolve = Callable[[AETitle], RemoteAE | None]
Coerce = Callable[[Dimse, ApplicationEntity, RemoteAE, str, Dataset], Dataset]
"""Coercion of our own C_FIND_RQ or C_FIND_RSP: local and remote AE, SOP class, data set. Raises CoercionFailed."""


def as_it_is(dimse: Dimse, local_ae: ApplicationEntity, remote: RemoteAE, sop_class_uid: str, ds: Dataset) -> Dataset:
    """The `Coerce` where there are no rules."""
    return ds


class FindSCU:
    """Asks leading archives, on associations that are kept and used again; implements `leading.query.LeadingQuery`.

    Safe under threads.
    """

    def __init__(
        self,
        resolve: Resolve,
        *,
        settings: LeadingSettings | None = None,
        coerce: Coerce = as_it_is,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``settings`` bound the associations; ``clock`` counts seconds."""
        settings = settings or LeadingSettings()
        self._resolve = resolve
        self._coerce = coerce
        self._clock = clock
        self._pool: AssociationPool[RequestedAssociation] = AssociationPool(
            most=settings.associations, idle_after=settings.association_idle, clock=clock
        )

    def find_studies(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        study_instance_uids: Sequence[UID],
        return_keys: frozenset[Tag],
        *,
        timeout: timedelta | None = None,
    ) -> list[Dataset]:
        """Answers of a leading archive about studies (see `leading.query.LeadingQuery`)."""
        identifier = study_identifier(study_instance_uids, return_keys)
        return self.find(
            leading_cfind_scp, local_ae, identifier, most=2 * len(study_instance_uids) + 10, timeout=timeout
        )

    def find(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        identifier: Dataset,
        *,
        most: int,
        timeout: timedelta | None = None,
        wanted: Collection[int] | None = None,
    ) -> list[Dataset]:
        """All pending responses to one Study Root C-FIND; LeadingMismatch when they are more than ``most``.

        Of each the elements that are ``wanted``, else those that the identifier has; UnreadableAnswer where they cannot
        be read. Otherwise as `find_studies`.
        """
        ends_at = None if timeout is None else self._clock() + timeout.total_seconds()
        remote = self._remote(leading_cfind_scp)
        try:
            keys = self._coerce(Dimse.C_FIND_RQ, local_ae, remote, STUDY_ROOT_FIND, identifier)
            try:
                answers = self._on_association(local_ae, remote, keys, wanted, most, ends_at, fresh=False)
            except _GoneWhileIdle:
                answers = self._on_association(local_ae, remote, keys, wanted, most, ends_at, fresh=True)
            return [
                answer
                if isinstance(answer, UnreadableAnswer)
                else self._coerce(Dimse.C_FIND_RSP, local_ae, remote, STUDY_ROOT_FIND, answer)
                for answer in answers
            ]
        except AssociationFailed as err:
            raise LeadingUnavailable(_naming(leading_cfind_scp, err)) from err
        except CoercionFailed as err:
            raise LeadingUnavailable(f"{leading_cfind_scp}: {err}") from err

    def reach(self, leading_cfind_scp: AETitle, local_ae: ApplicationEntity, *, timeout: timedelta) -> None:
        """Open an association with a leading archive (see `leading.query.LeadingQuery`)."""
        remote = self._remote(leading_cfind_scp)
        ends_at = self._clock() + timeout.total_seconds()
        try:
            association, _ = self._take(local_ae, remote, ends_at, fresh=True)
        except AssociationFailed as err:
            raise LeadingUnavailable(_naming(leading_cfind_scp, err)) from err
        self._pool.give_back((local_ae.ae_title, remote), association)

    def close(self) -> None:
        """Close what is not in use, and from now on every association after its question. May be asked further."""
        self._pool.close()

    def _remote(self, leading_cfind_scp: AETitle) -> RemoteAE:
        try:
            remote = self._resolve(leading_cfind_scp)
        except ConfigError as err:
            raise LeadingUnavailable(f"{leading_cfind_scp} cannot be looked up: {err}") from err
        if remote is None:
            raise LeadingUnavailable(f"{leading_cfind_scp} is not in the directory")
        return remote

    def _take(
        self, local_ae: ApplicationEntity, remote: RemoteAE, ends_at: float | None, *, fresh: bool
    ) -> tuple[RequestedAssociation, bool]:
        def open_new() -> RequestedAssociation:
            proposal = (STUDY_ROOT_FIND, (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN))
            return RequestedAssociation(local_ae, remote, [proposal], timeout=self._remaining(ends_at))

        # With what the directory says of the peer in the key, a peer that moved is called at its new address.
        key = (local_ae.ae_title, remote)
        return self._pool.take(key, open_new, timeout=self._remaining(ends_at), fresh=fresh)

    def _remaining(self, ends_at: float | None) -> timedelta | None:
        return None if ends_at is None else timedelta(seconds=max(0.001, ends_at - self._clock()))

    def _on_association(
        self,
        local_ae: ApplicationEntity,
        remote: RemoteAE,
        identifier: Dataset,
        wanted: Collection[int] | None,
        most: int,
        ends_at: float | None,
        *,
        fresh: bool,
    ) -> list[Dataset]:
        """Raises _GoneWhileIdle when an association that was kept ends before it brings any response."""
        key = (local_ae.ae_title, remote)
        association, is_used = self._take(local_ae, remote, ends_at, fresh=fresh)
        is_answered = False
        try:
            answers: list[Dataset] = []
            tags = frozenset(map(int, identifier.keys())) if wanted is None else wanted
            for answer in answers_of(
                association, STUDY_ROOT_FIND, identifier, lambda: seconds(self._remaining(ends_at)), tags
            ):
                is_answered = True
                answers.append(answer)
                if len(answers) > most:
                    raise LeadingMismatch(f"{remote.ae_title} answered with more studies than it was asked for")
        except FindRefused as err:
            self._pool.give_back(key, association)
            raise LeadingQueryFailed(f"{remote.ae_title}: {err}") from err
        except AssociationFailed as err:
            is_gone = is_used and not is_answered and not association.is_open
            self._pool.discard(key, association)
            if is_gone:
                raise _GoneWhileIdle(str(err)) from err
            raise
        except BaseException:  # cleans up and raises on, whatever it was
            self._pool.discard(key, association)
            raise
        self._pool.give_back(key, association)
        return answers


class _GoneWhileIdle(AssociationFailed):
    """The peer ended an association that was kept, and we noticed only when we used it."""


def _naming(leading_cfind_scp: AETitle, err: AssociationFailed) -> str:
    message = str(err)
    return message if message.startswith(leading_cfind_scp) else f"{leading_cfind_scp}: {message}"


def study_identifier(study_instance_uids: Sequence[UID], return_keys: frozenset[Tag]) -> Dataset:
    """Identifier of a STUDY level query for these UIDs, a list of UIDs where there are several (PS3.4 C.2.2.2.2)."""
    identifier = Dataset()
    for tag in sorted(return_keys):
        try:
            identifier.add(DataElement(tag, dictionary_VR(tag), None))
        except KeyError:  # private: the leading archive may know it
            identifier.add(DataElement(tag, "UN", None))
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = [str(uid) for uid in study_instance_uids]
    return identifier


class StoreSCU:
    """C-STORE sub-operations of one C-MOVE; implements `sub_operations.Destination`.

    Opens its association when the first object is to be sent. An association that is lost costs the object in
    flight; the next object gets a new one, and when that cannot be opened the destination is given up.
    """

    def __init__(
        self,
        local_ae: ApplicationEntity,
        remote: RemoteAE,
        contexts: Sequence[StoreContext],
        originator: MoveOriginator | None = None,
    ) -> None:
        """``originator`` is the C-MOVE, where it is one that wants it."""
        self._association = StorageAssociation(local_ae, remote, contexts)
        self._name = word(remote.ae_title)
        self._originator = originator
        self._under_way: int | None = None
        """Message ID of the C-STORE whose response is due."""
        self._settled: int | SubOperationFailed | None = None
        """That response, where it had to be taken early: the next object needs another association."""
        self._timeouts = 0
        """C-STOREs in a row to which no response came in time."""

    def accepted_transfer_syntaxes(self, sop_class_uid: str, transfer_syntax_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes that the destination accepts for an object (see `sub_operations.Destination`)."""
        current = self._association.current
        if current is not None and self._under_way is not None:
            if self._association.has_proposed(sop_class_uid, transfer_syntax_uid):
                # The response that is due will tell whether the peer is still there.
                return self._accepted(current, sop_class_uid)
            try:
                self._settled = self._response(self._under_way)
            except SubOperationFailed as err:
                self._settled = err
        return self._accepted(self._opened_for(sop_class_uid, transfer_syntax_uid), sop_class_uid)

    def _accepted(self, assoc: RequestedAssociation, sop_class_uid: str) -> tuple[str, ...]:
        if assoc.refuses(sop_class_uid):
            raise SubOperationFailed(f"{self._name} does not take SOP class {foreign(PydicomUID(sop_class_uid).name)}")
        return assoc.transfer_syntaxes(sop_class_uid)

    def begin_store(self, obj: PreparedObject, message_id: int) -> None:
        """Send the C-STORE request of an object (see `sub_operations.Destination`)."""
        assoc = self._association.current or self._opened_for(obj.sop_class_uid, obj.transfer_syntax_uid)
        try:
            assoc.begin_store(obj, message_id, self._originator)
        except AssociationFailed as err:
            if isinstance(err.__cause__, LinkTimeout):
                self._timeouts += 1
            self._association.drop()
            raise SubOperationFailed(f"the destination {err}") from err
        self._under_way = message_id

    def end_store(self, message_id: int) -> int | None:
        """Status of the response (see `sub_operations.Destination`). Without a response the association is dropped."""
        if self._under_way is not None:
            return self._response(message_id)
        settled, self._settled = self._settled, None
        if isinstance(settled, SubOperationFailed):
            raise settled
        return settled

    def _response(self, message_id: int) -> int | None:
        self._under_way = None
        current = self._association.current
        if current is None:
            return None
        code = current.end_store(message_id)
        if code is not None:
            self._timeouts = 0
        else:
            self._timeouts += current.is_open  # else it has ended the association, which takes no time
            lost_by = current.lost_by
            LOG.warning("%s, C-STORE: %s: association dropped", self._name, lost_by or "no response in time")
            self._association.drop()
            if lost_by:
                raise SubOperationFailed(f"{self._name}: {lost_by}")
        return code

    def _opened_for(self, sop_class_uid: str, transfer_syntax_uid: str) -> RequestedAssociation:
        if self._timeouts >= DESTINATION_TIMEOUTS:
            raise DestinationUnavailable(
                f"move destination {self._name}: no response in time to {self._timeouts} objects in a row"
            )
        try:
            return self._association.opened_for(sop_class_uid, transfer_syntax_uid)
        except AssociationFailed as err:
            raise DestinationUnavailable(f"move destination {err}") from err

    def close(self) -> None:
        """Release the association, if there is one."""
        self._association.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
