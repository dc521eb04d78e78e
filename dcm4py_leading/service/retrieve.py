"""Retrieve: find the instances, ask the leading archive once for each study, coerce each object, deliver it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from pydicom import Dataset

from dcm4py_leading.archive.attributes import decode
from dcm4py_leading.archive.index import IndexedInstance
from dcm4py_leading.archive.keys import LEVELS
from dcm4py_leading.archive.normal import first_text
from dcm4py_leading.archive.query import RetrieveKeys
from dcm4py_leading.coercion.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.coercion.scan import EXPLICIT_LITTLE, scan
from dcm4py_leading.coercion.select import Peer, Selection
from dcm4py_leading.errors import ArchiveUnavailable, MoveDestinationNotAllowed
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import TransferRole
from dcm4py_leading.service.coerce import Coercer, Message
from dcm4py_leading.service.deliver import RetrievedObject, Stream
from dcm4py_leading.service.encode import (
    proposed_transfer_syntaxes,
)
from dcm4py_leading.service.fetched_back import FetchedBack, gone
from dcm4py_leading.service.forwarded import forwarded
from dcm4py_leading.service.led_retrieve import instances_of_patient, led_keys, studies_of_patient
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.stored_instance import RetrieveCoercion, StoredInstance
from dcm4py_leading.service.upstream import Arriving, Upstream

LOG = logging.getLogger(__name__)

_STUDY_DATE = 0x00080020


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Everything that a retrieve found; the objects are made one by one as they are asked for."""

    expected: int
    """0 where the objects come from elsewhere."""
    contexts: tuple[StoreContext, ...]
    """Those that are known to be needed."""
    objects: Iterator[RetrievedObject]
    coercer: Coercer
    stream: Stream | None = None
    """Where the objects come from, if that is elsewhere."""


def destination(runtime: Runtime, local_ae: ApplicationEntity, title: str) -> RemoteAE:
    """The AE to move to. Raises MoveDestinationNotAllowed, MoveDestinationUnknown, ConfigUnavailable."""
    allowed = local_ae.settings.accepted_move_destinations
    if allowed and title not in allowed:
        raise MoveDestinationNotAllowed(f"dcmAcceptedMoveDestination of {local_ae.ae_title} does not list {title}")
    return runtime.remote_ae(title)


def retrieve(runtime: Runtime, request: RetrieveRequest) -> Retrieval:
    """Find the instances, or let another archive send them, and prepare to deliver them.

    Raises IndexUnavailable, ArchiveUnavailable.
    """
    message = Message(
        local_ae=request.local_ae,
        dimse=Dimse.C_STORE_RQ,
        transfer_role=TransferRole.SCP,
        sending=request.sending,
        receiving=request.receiving,
    )
    coercer = Coercer(runtime, message)
    instances: Sequence[IndexedInstance] = ()
    named: Sequence[str] | None = None
    if not runtime.hides_everything(request.local_ae):
        found = runtime.index.instances(request.keys)
        named = studies_of_patient(runtime, message, coercer, request.keys)
        instances = instances_of_patient(runtime, coercer, request.keys, named, found)
    common = RetrieveCoercion(runtime, request.local_ae, coercer)
    upstream = runtime.upstreams.get(request.local_ae.ae_title)
    if upstream is not None and not runtime.hides_everything(request.local_ae):
        held = partial(upstream.held, request.local_ae)
        arriving: Arriving | None = None
        try:
            keys = led_keys(runtime, message, coercer, request.keys, named, held)
            if keys is not None and not _is_complete(instances, upstream, request.local_ae, keys):
                arriving = upstream.fetch(request.local_ae, keys)
        except ArchiveUnavailable as err:
            if not instances:
                raise
            LOG.warning("what is here is sent, though it may not be all: %s", err)
        if arriving is not None:
            return Retrieval(
                expected=0, contexts=(), objects=forwarded(common, arriving), coercer=coercer, stream=arriving
            )
    return _stored(runtime, request.local_ae, common, instances)


def _stored(
    runtime: Runtime, local_ae: ApplicationEntity, common: RetrieveCoercion, instances: Sequence[IndexedInstance]
) -> Retrieval:
    """What is sent from here; objects whose files are gone are fetched back, where another archive has them."""
    coercer, selections = common.coercer, _Selections(common.coercer)
    missing = gone(runtime, local_ae, instances)
    locations = {instance.location for instance in missing}
    here = [instance for instance in instances if instance.location not in locations] if missing else instances
    stored = _asked([StoredInstance(common, instance, selections.of(instance)) for instance in here], coercer)
    contexts = _store_contexts(instances)
    if not missing:
        return Retrieval(expected=len(here), contexts=contexts, objects=stored, coercer=coercer)
    back = FetchedBack(runtime.externals[local_ae.ae_title], local_ae, missing, len(here))
    known = {str(instance.sop_instance_uid): instance for instance in missing}
    objects = chain(stored, forwarded(common, back, known))
    return Retrieval(expected=0, contexts=contexts, objects=objects, coercer=coercer, stream=back)


def _is_complete(
    instances: Sequence[IndexedInstance], upstream: Upstream, local_ae: ApplicationEntity, keys: RetrieveKeys
) -> bool:
    """Whether what is here is all there is.

    Not so where nothing is here, where dcmFallbackCMoveSCPLeadingCFindSCP knows more instances of the studies, and for
    studies from before dcmFallbackCMoveSCPStudyOlderThan.
    """
    if not instances:
        return False
    older_than = local_ae.settings.fallback_cmove_scp_study_older_than
    if older_than is not None:
        samples = {instance.study_instance_uid: instance for instance in instances}
        if any((date := _study_date(sample)) and date < older_than for sample in samples.values()):
            return False
    expected = upstream.instances_of(local_ae, keys)
    return expected is None or expected <= len(instances)


def _study_date(instance: IndexedInstance) -> str | None:
    return first_text(decode(instance.encoded_attributes[1]), _STUDY_DATE)


def _store_contexts(instances: Sequence[IndexedInstance]) -> tuple[StoreContext, ...]:
    stored = {(instance.sop_class_uid, instance.transfer_syntax_uid) for instance in instances}
    wanted = {
        StoreContext(sop_class_uid, syntaxes)
        for sop_class_uid, transfer_syntax_uid in stored
        for syntaxes in proposed_transfer_syntaxes(transfer_syntax_uid)
    }
    return tuple(sorted(wanted, key=lambda context: (context.sop_class_uid, context.transfer_syntax_uids)))


def _asked(objects: Sequence[StoredInstance], coercer: Coercer) -> Iterator[RetrievedObject]:
    """The objects, after the leading archives were asked about all their studies: before the first C-STORE."""
    wanted = {(id(obj.selection), obj.instance.study_instance_uid): obj.selection for obj in objects}
    coercer.prefetch([(selection, uid) for (_, uid), selection in wanted.items()])
    yield from objects


class _Selections:
    """Which rules apply to which instances: worked out once for all that the rules cannot tell apart."""

    def __init__(self, coercer: Coercer) -> None:
        self._coercer = coercer
        self._known: dict[object, Selection] = {}
        self._last: list[tuple[bytes, bytes]] = [(b"", b"")] * len(LEVELS)

    def of(self, instance: IndexedInstance) -> Selection:
        """The rules that apply to the instance."""
        key: object = instance.sop_class_uid
        if self._coercer.needs_attributes:
            key = (key, *map(self._cut, range(len(LEVELS)), instance.encoded_attributes))
        selection = self._known.get(key)
        if selection is None:
            attributes = instance.attributes if self._coercer.needs_attributes else Dataset()
            selection = self._known[key] = self._coercer.select(attributes, instance.sop_class_uid)
        return selection

    def _cut(self, number: int, attributes: bytes) -> bytes:
        """What the rules look at in the attributes of a level, mostly the same as those of the last instance."""
        known, cut = self._last[number]
        if known != attributes:
            cut = _cut(attributes, self._coercer.reads)
            self._last[number] = (attributes, cut)
        return cut


def _cut(attributes: bytes, tags: Collection[int]) -> bytes:
    """The elements of these tags, and the character set that they are in."""
    spans, _ = scan(attributes, EXPLICIT_LITTLE)
    return b"".join(
        attributes[start:end] for tag, (start, _, end) in spans.items() if tag in tags or tag == SPECIFIC_CHARACTER_SET
    )
