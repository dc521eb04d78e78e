"""Retrieve: find the instances, ask the leading archive once for each study, coerce each object, deliver it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.uid import UID as PydicomUID

from dcm4py_leading.archive.index import IndexedInstance
from dcm4py_leading.archive.keys import SOP_CLASS_UID, SOP_INSTANCE_UID
from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.coercion.changes import Change, apply
from dcm4py_leading.coercion.charset import SPECIFIC_CHARACTER_SET, declare_default
from dcm4py_leading.coercion.scan import EXPLICIT_LITTLE, Encoding, encoding_of, scan
from dcm4py_leading.coercion.select import Peer, Selection
from dcm4py_leading.coercion.splice import Edits, spliced
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
from dcm4py_leading.service.outgoing import BytewiseCoercion, NotBytewise, Reworked
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.stored_bytes import StoredBytes
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
    common = _Instances(runtime, request.local_ae, coercer)
    selections = _Selections(coercer)
    objects = [_Instance(common, instance, selections.of(instance)) for instance in instances]
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


class _Selections:
    """Which rules apply to which instances: worked out once for all that the rules cannot tell apart."""

    def __init__(self, coercer: Coercer) -> None:
        self._coercer = coercer
        self._known: dict[object, Selection] = {}

    def of(self, instance: IndexedInstance) -> Selection:
        """The rules that apply to the instance."""
        key: object = instance.sop_class_uid
        if self._coercer.needs_attributes:
            key = (key, *(_cut(blob, self._coercer.reads) for blob in instance.encoded_attributes))
        selection = self._known.get(key)
        if selection is None:
            attributes = instance.attributes if self._coercer.needs_attributes else Dataset()
            selection = self._known[key] = self._coercer.select(attributes, instance.sop_class_uid)
        return selection


def _cut(attributes: bytes, tags: Collection[int]) -> bytes:
    """The elements of these tags, and the character set that they are in."""
    spans, _ = scan(attributes, EXPLICIT_LITTLE)
    return b"".join(
        attributes[start:end] for tag, (start, _, end) in spans.items() if tag in tags or tag == SPECIFIC_CHARACTER_SET
    )


class _Instances:
    """What the instances of one retrieve have in common: who wants them, and what becomes of them."""

    def __init__(self, runtime: Runtime, local_ae: ApplicationEntity, coercer: Coercer) -> None:
        self.runtime = runtime
        self.local_ae = local_ae
        self.coercer = coercer
        tells = runtime.options.of(local_ae.ae_title).original_attributes_on_retrieve
        self._tells_original_attributes = tells
        self.bytewise = BytewiseCoercion(self.rework, tells_original_attributes=tells)

    def rework(self, ds: Dataset, attributes: Dataset | None, selection: Selection) -> Reworked:
        """Change ``ds`` as the index's ``attributes``, where there are any, and the rules say."""
        declare_default(ds, self.local_ae.settings.default_character_set)
        previous: dict[int, DataElement | None] = {}
        changes: list[Change] = []
        if attributes is not None:
            changes += plan_update(ds, attributes, UpdatePolicy.OVERWRITE)
            previous.update((change.path[0], deepcopy(ds.get(change.path[0]))) for change in changes)
            apply(ds, changes)
        coerced = self.coercer.coerce(ds, selection)
        changes += coerced.changes
        if changes and self._tells_original_attributes:
            told = add_original_attributes(ds, coerced, self.local_ae, source="", previous=previous)
            changes += [told] if told is not None else []
        return Reworked(changes=tuple(changes), executed=coerced.executed)


class _Instance:
    """A stored instance on its way out; see `RetrievedObject`."""

    def __init__(self, common: _Instances, instance: IndexedInstance, selection: Selection) -> None:
        self._common = common
        self.instance = instance
        self.selection = selection

    @property
    def sop_class_uid(self) -> str:
        return self.instance.sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        return self.instance.sop_instance_uid

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        location = self.instance.location
        target = choose_transfer_syntax(self.instance.transfer_syntax_uid, accepted)
        with self._common.runtime.storage(location.storage_id).open(location) as file:
            if target == self.instance.transfer_syntax_uid:
                encoding = encoding_of(target)
                if encoding is not None:
                    with suppress(NotBytewise):
                        return self._cut_out(file, encoding)
            return self._whole(file, accepted, target)

    def _cut_out(self, file: BinaryIO, encoding: Encoding) -> PreparedObject:
        """Only the elements that change are made anew. Raises NotBytewise, CoercionFailed."""
        stored = StoredBytes(file)
        with object_errors("cannot be coerced"):
            edited = self._common.bytewise.reworked(stored.view, stored.start, encoding, self.instance, self.selection)
        if edited.is_remembered:
            self._common.coercer.count(edited.executed)
        edits = edited.edits
        pieces, rest = spliced(stored.view, edited.spans, edits, stored.start, edited.scanned_to)
        return PreparedObject(
            sop_class_uid=_edited_uid(edits, SOP_CLASS_UID) or self.instance.sop_class_uid,
            sop_instance_uid=_edited_uid(edits, SOP_INSTANCE_UID) or self.instance.sop_instance_uid,
            transfer_syntax_uid=self.instance.transfer_syntax_uid,
            length=sum(map(len, pieces)) + len(stored.view) - rest,
            source=stored.batches(pieces, rest),
        )

    def _whole(self, file: BinaryIO, accepted: Collection[str], target: str) -> PreparedObject:
        """The whole object is decoded, and encoded anew where anything changes."""
        stored: str = self.instance.transfer_syntax_uid
        ds = read_object(file)
        with object_errors("cannot be coerced"):
            attributes = None if self.selection.retrieve_as_received else self.instance.attributes
            changed = bool(self._common.rework(ds, attributes, self.selection).changes)
        if PydicomUID(stored).is_encapsulated and "PixelData" in ds and not ds.PixelData:
            # Without its pixels (dcmNullifyTag) an object is not encapsulated (PS3.5 A.4).
            stored, target = UNCOMPRESSED[0], choose_transfer_syntax(UNCOMPRESSED[0], accepted)
        sop_class_uid, sop_instance_uid = str(ds.SOPClassUID), str(ds.SOPInstanceUID)
        data = encode_data_set(ds, stored, target) if changed or target != stored else read_encoded(file)
        return PreparedObject(
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=target,
            length=len(data),
            source=iter([(data,)]),
            is_transcoded=target != self.instance.transfer_syntax_uid,
        )


def _edited_uid(edits: Edits, tag: int) -> str | None:
    for edited, element in edits:
        if edited == tag and element is not None:
            return element[8:].decode("ascii").rstrip("\0 ")
    return None


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
