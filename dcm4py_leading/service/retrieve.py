"""Retrieve: find the instances, ask the leading archive once for each study, coerce each object, deliver it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.uid import UID as PydicomUID

from dcm4py_leading.archive.index import IndexedInstance
from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.coercion.changes import Change, apply
from dcm4py_leading.coercion.charset import declare_default
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.coercion.update import plan_update
from dcm4py_leading.errors import (
    DestinationUnavailable,
    MoveDestinationNotAllowed,
    StatusError,
    SubOperationFailed,
)
from dcm4py_leading.log import ref
from dcm4py_leading.model.coercion import Dimse, UpdatePolicy
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import TransferRole
from dcm4py_leading.service.coerce import Coercer, Message, add_original_attributes
from dcm4py_leading.service.encode import (
    UNCOMPRESSED,
    PreparedObject,
    choose_transfer_syntax,
    encode_data_set,
    object_errors,
    proposed_transfer_syntaxes,
    read_encoded,
    read_object,
)
from dcm4py_leading.service.leading_first import instances_of_patient
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.tally import SubOperation, SubOperationTally, outcome_of

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveRequest:
    """What is to be retrieved, by which of our AEs, for whom."""

    keys: RetrieveKeys
    local_ae: ApplicationEntity
    sending: Peer
    receiving: Peer
    """The move destination; the caller of a C-GET."""


@dataclass(frozen=True, slots=True)
class StoreContext:
    """A presentation context to propose to a move destination."""

    sop_class_uid: str
    transfer_syntax_uids: tuple[str, ...]


class RetrievedObject(Protocol):
    """One instance of a retrieve, not yet read."""

    @property
    def sop_class_uid(self) -> str: ...

    @property
    def sop_instance_uid(self) -> str: ...

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        """Read, coerce and encode it in one of the accepted transfer syntaxes.

        Raises SubOperationFailed, StorageUnavailable, CoercionFailed.
        """
        ...


class Destination(Protocol):
    """Where sub-operations go."""

    def accepted_transfer_syntaxes(self, sop_class_uid: str) -> tuple[str, ...]:
        """Transfer syntaxes that it takes for a SOP class. Raises DestinationUnavailable."""
        ...

    def store(self, obj: PreparedObject, message_id: int) -> int | None:
        """C-STORE; the status of the response, None when there was none. Raises DestinationUnavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Everything that a retrieve found; the objects are made one by one as they are asked for."""

    expected: int
    contexts: tuple[StoreContext, ...]
    objects: Iterator[RetrievedObject]
    coercer: Coercer


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How a retrieve ended."""

    tally: SubOperationTally
    cancelled: bool = False
    problem: str | None = None
    """The first thing that went wrong, for the Error Comment (0000,0902)."""


def destination(runtime: Runtime, local_ae: ApplicationEntity, title: str) -> RemoteAE:
    """The AE to move to. Raises MoveDestinationNotAllowed, MoveDestinationUnknown, ConfigUnavailable."""
    allowed = local_ae.settings.accepted_move_destinations
    if allowed and title not in allowed:
        raise MoveDestinationNotAllowed(f"dcmAcceptedMoveDestination of {local_ae.ae_title} does not list {title}")
    return runtime.remote_ae(title)


def retrieve(runtime: Runtime, request: RetrieveRequest) -> Retrieval:
    """Find the instances and prepare to deliver them. Raises IndexUnavailable."""
    message = Message(
        local_ae=request.local_ae,
        dimse=Dimse.C_STORE_RQ,
        transfer_role=TransferRole.SCP,
        sending=request.sending,
        receiving=request.receiving,
    )
    coercer = Coercer(runtime, message)
    instances: Sequence[IndexedInstance] = ()
    if not runtime.hides_everything(request.local_ae):
        found = runtime.index.instances(request.keys)
        instances = instances_of_patient(runtime, message, coercer, request.keys, found)
    objects = [_Instance(runtime, request.local_ae, instance, coercer) for instance in instances]
    return Retrieval(
        expected=len(objects), contexts=_store_contexts(instances), objects=_asked(objects, coercer), coercer=coercer
    )


def _store_contexts(instances: Sequence[IndexedInstance]) -> tuple[StoreContext, ...]:
    wanted = {
        StoreContext(instance.sop_class_uid, syntaxes)
        for instance in instances
        for syntaxes in proposed_transfer_syntaxes(instance.transfer_syntax_uid)
    }
    return tuple(sorted(wanted, key=lambda context: (context.sop_class_uid, context.transfer_syntax_uids)))


def _asked(objects: Sequence[_Instance], coercer: Coercer) -> Iterator[RetrievedObject]:
    """The objects, after the leading archives were asked about all their studies: before the first C-STORE."""
    coercer.prefetch([(obj.selection, obj.instance.study_instance_uid) for obj in objects])
    yield from objects


class _Instance:
    """A stored instance on its way out; see `RetrievedObject`."""

    def __init__(
        self, runtime: Runtime, local_ae: ApplicationEntity, instance: IndexedInstance, coercer: Coercer
    ) -> None:
        self._runtime = runtime
        self._local_ae = local_ae
        self.instance = instance
        self._coercer = coercer
        attributes = instance.attributes if coercer.needs_attributes else Dataset()
        self.selection = coercer.select(attributes, instance.sop_class_uid)

    @property
    def sop_class_uid(self) -> str:
        return self.instance.sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        return self.instance.sop_instance_uid

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        instance = self.instance
        stored: str = instance.transfer_syntax_uid
        target = choose_transfer_syntax(stored, accepted)
        with self._runtime.storage(instance.location.storage_id).open(instance.location) as file:
            ds = read_object(file)
            with object_errors("cannot be coerced"):
                changed = self._coerce(ds)
            if PydicomUID(stored).is_encapsulated and "PixelData" in ds and not ds.PixelData:
                # Without its pixels (dcmNullifyTag) an object is not encapsulated (PS3.5 A.4).
                stored, target = UNCOMPRESSED[0], choose_transfer_syntax(UNCOMPRESSED[0], accepted)
            data = encode_data_set(ds, stored, target) if changed or target != stored else read_encoded(file)
        return PreparedObject(
            sop_class_uid=str(ds.SOPClassUID),
            sop_instance_uid=str(ds.SOPInstanceUID),
            transfer_syntax_uid=target,
            data=(data,),
        )

    def _coerce(self, ds: Dataset) -> bool:
        """Change ``ds`` as index and rules say; whether there was anything to change."""
        declare_default(ds, self._local_ae.settings.default_character_set)
        previous: dict[int, DataElement | None] = {}
        changes: list[Change] = []
        if not self.selection.retrieve_as_received:
            changes += plan_update(ds, self.instance.attributes, UpdatePolicy.OVERWRITE)
            previous.update((change.path[0], deepcopy(ds.get(change.path[0]))) for change in changes)
            apply(ds, changes)
        coerced = self._coercer.coerce(ds, self.selection)
        changes += coerced.changes
        if changes and self._runtime.options.of(self._local_ae.ae_title).original_attributes_on_retrieve:
            add_original_attributes(ds, coerced, self._local_ae, source="", previous=previous)
        return bool(changes)


def deliver(
    retrieval: Retrieval,
    to: Destination,
    *,
    is_cancelled: Callable[[], bool],
    on_progress: Callable[[SubOperationTally], None],
) -> Delivery:
    """Send the objects one after the other (PS3.4 C.4.2.2, C.4.3.2).

    An object that cannot be sent is counted as failed and the others follow; when the destination itself cannot be
    reached, all that remain are failed.
    """
    tally = SubOperationTally(remaining=retrieval.expected)
    problem: str | None = None
    unreachable = False
    for number, obj in enumerate(retrieval.objects):
        if is_cancelled():
            return Delivery(tally=tally, cancelled=True, problem=problem)
        outcome = SubOperation.FAILED
        if not unreachable:
            try:
                prepared = obj.prepare(to.accepted_transfer_syntaxes(obj.sop_class_uid))
                status = to.store(prepared, number % 0xFFFF + 1)
                outcome = outcome_of(status)
                if outcome is SubOperation.FAILED:
                    answer = "no response" if status is None else f"status 0x{status:04X}"
                    raise SubOperationFailed(f"the destination gave {answer}")
            except StatusError as err:
                unreachable = isinstance(err, DestinationUnavailable)
                problem = problem or str(err)
                LOG.warning("instance %s not sent: %s", ref(obj.sop_instance_uid), err)
        tally = tally.record(outcome, obj.sop_instance_uid)
        on_progress(tally)
    return Delivery(tally=tally, problem=problem)
