"""Retrieve: find the instances, ask the leading archive once for each study, coerce each object, deliver it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydicom import Dataset
from pydicom.uid import UID as PydicomUID

from dcm4py_leading.archive.index import IndexedInstance
from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.coercion.chain import LeadingAnswer, LeadingQuestion, coercion, questions, run
from dcm4py_leading.coercion.changes import Change
from dcm4py_leading.coercion.charset import declare_default
from dcm4py_leading.coercion.select import Context, Peer, Selection, select_rules
from dcm4py_leading.coercion.update import update
from dcm4py_leading.errors import (
    DestinationUnavailable,
    LeadingUnavailable,
    MoveDestinationNotAllowed,
    StatusError,
    SubOperationFailed,
)
from dcm4py_leading.log import ref
from dcm4py_leading.model.coercion import Dimse, UpdatePolicy
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import UID, TransferRole
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

        Raises SubOperationFailed, StorageUnavailable, CoercionNotExecuted.
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
    answers: LeadingAnswers


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How a retrieve ended."""

    tally: SubOperationTally
    cancelled: bool = False
    problem: str | None = None
    """The first thing that went wrong, for the Error Comment (0000,0902)."""


class LeadingAnswers:
    """The answers of the leading archives to one retrieve.

    Kept for its length, so that every object of a study carries the same values and an archive that is down is asked
    once, however small the cache.
    """

    def __init__(self, runtime: Runtime, local_ae: ApplicationEntity) -> None:
        self._runtime = runtime
        self._local_ae = local_ae
        self._answers: dict[LeadingQuestion, LeadingAnswer] = {}

    def prefetch(self, wanted: Collection[LeadingQuestion]) -> None:
        """Ask everything that is known to be needed, one batch for each leading archive."""
        missing = [question for question in wanted if question not in self._answers]
        if missing:
            self._answers.update(self._runtime.leading.answers(missing, self._local_ae))

    def __call__(self, question: LeadingQuestion) -> LeadingAnswer:
        """The answer, asked for now if it was not prefetched."""
        self.prefetch([question])
        return self._answers[question]

    def __str__(self) -> str:
        """For the canonical log line: ``-`` when nothing was asked."""
        found = sum(isinstance(answer, Dataset) for answer in self._answers.values())
        failed = sum(isinstance(answer, LeadingUnavailable) for answer in self._answers.values())
        unknown = len(self._answers) - found - failed
        return f"found:{found}/unknown:{unknown}/failed:{failed}" if self._answers else "-"


def destination(runtime: Runtime, local_ae: ApplicationEntity, title: str) -> RemoteAE:
    """The AE to move to. Raises MoveDestinationNotAllowed, MoveDestinationUnknown, ConfigUnavailable."""
    allowed = local_ae.settings.accepted_move_destinations
    if allowed and title not in allowed:
        raise MoveDestinationNotAllowed(f"dcmAcceptedMoveDestination of {local_ae.ae_title} does not list {title}")
    return runtime.remote_ae(title)


def retrieve(runtime: Runtime, request: RetrieveRequest) -> Retrieval:
    """Find the instances and prepare to deliver them. Raises IndexUnavailable, CoercionNotExecuted."""
    instances: Sequence[IndexedInstance] = ()
    if not runtime.hides_everything(request.local_ae):
        instances = runtime.index.instances(request.keys)
    answers = LeadingAnswers(runtime, request.local_ae)
    objects = [
        _Instance(
            runtime=runtime,
            local_ae=request.local_ae,
            instance=instance,
            selection=_select(runtime, request, instance),
            answers=answers,
        )
        for instance in instances
    ]
    return Retrieval(
        expected=len(objects), contexts=_store_contexts(instances), objects=_asked(objects, answers), answers=answers
    )


def _select(runtime: Runtime, request: RetrieveRequest, instance: IndexedInstance) -> Selection:
    context = Context(
        dimse=Dimse.C_STORE_RQ,
        transfer_role=TransferRole.SCP,
        sop_class=instance.sop_class_uid,
        sending=request.sending,
        receiving=request.receiving,
    )
    rules = runtime.rules[request.local_ae.ae_title]
    attributes = instance.attributes if any(rule.needs_attributes for rule in rules) else Dataset()
    return select_rules(rules, context, attributes)


def _store_contexts(instances: Sequence[IndexedInstance]) -> tuple[StoreContext, ...]:
    wanted = {
        StoreContext(instance.sop_class_uid, syntaxes)
        for instance in instances
        for syntaxes in proposed_transfer_syntaxes(instance.transfer_syntax_uid)
    }
    return tuple(sorted(wanted, key=lambda context: (context.sop_class_uid, context.transfer_syntax_uids)))


def _asked(objects: Sequence[_Instance], answers: LeadingAnswers) -> Iterator[RetrievedObject]:
    """The objects, after the leading archives were asked about all their studies: before the first C-STORE."""
    answers.prefetch({question for obj in objects for question in questions(obj.selection, obj.study_instance_uid)})
    yield from objects


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instance:
    """A stored instance on its way out; see `RetrievedObject`."""

    runtime: Runtime
    local_ae: ApplicationEntity
    instance: IndexedInstance
    selection: Selection
    answers: LeadingAnswers

    @property
    def sop_class_uid(self) -> str:
        return self.instance.sop_class_uid

    @property
    def sop_instance_uid(self) -> str:
        return self.instance.sop_instance_uid

    @property
    def study_instance_uid(self) -> UID:
        return self.instance.study_instance_uid

    def prepare(self, accepted: Collection[str]) -> PreparedObject:
        instance, selection = self.instance, self.selection
        selection.require_executed()
        stored: str = instance.transfer_syntax_uid
        target = choose_transfer_syntax(stored, accepted)
        with self.runtime.storage(instance.location.storage_id).open(instance.location) as file:
            ds = read_object(file)
            changes: list[Change] = []
            with object_errors("cannot be coerced"):
                declare_default(ds, self.local_ae.settings.default_character_set)
                if not selection.retrieve_as_received:
                    changes += update(ds, instance.attributes, UpdatePolicy.OVERWRITE)
                coerced = run(coercion(ds, selection), self.answers)
                if PydicomUID(stored).is_encapsulated and "PixelData" in ds and not ds.PixelData:
                    # Without its pixels (dcmNullifyTag) an object is not encapsulated (PS3.5 A.4).
                    stored, target = UNCOMPRESSED[0], choose_transfer_syntax(UNCOMPRESSED[0], accepted)
            if target == stored and not changes and not coerced.changes:
                data = read_encoded(file)
            else:
                data = encode_data_set(coerced.dataset, stored, target)
        return PreparedObject(
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            transfer_syntax_uid=target,
            data=(data,),
        )


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
