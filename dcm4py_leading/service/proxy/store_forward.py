"""Forwarding of objects that are stored to an AE in front of another archive: coerced, sent on, never stored here.

An object stored here would be invisible, as only the other archive answers queries. The status of the other archive is
our answer, so no object is acknowledged before the other archive has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, TransferRole
from dcm4py_leading.service.coerce import CoercedMessage, Coercer
from dcm4py_leading.service.proxy.forwarded_object import ForwardedObject
from dcm4py_leading.service.proxy.forwarded_retrieve import ArrivedObject
from dcm4py_leading.service.proxy.spool import Spool
from dcm4py_leading.service.proxy.store_archive import Answer, StoreArchive
from dcm4py_leading.service.retrieve.encode import PreparedObject
from dcm4py_leading.service.retrieve.retrieve_coercion import RetrieveCoercion
from dcm4py_leading.service.retrieve.selections import Selections
from dcm4py_leading.service.runtime import Runtime


def archive_behind(ae: ApplicationEntity) -> AETitle | None:
    """The archive to which objects stored to the AE are forwarded; None if they are stored here."""
    return ae.settings.archive_behind


def excluded_senders(ae: ApplicationEntity) -> frozenset[AETitle]:
    """AEs whose objects are already in the archives behind the AE: the archives, and the AE itself if configured so."""
    archives = (*ae.settings.spanning_cfind_scps, *ae.settings.fallback_cmove_scps)
    return frozenset((*archives, ae.ae_title)) if archives else frozenset()


@dataclass(frozen=True, slots=True)
class ForwardUnderWay:
    """An object that was sent on; the answer to it is due."""

    to: StoreArchive
    number: int
    """Number of `StoreArchive.begin`."""
    coercer: Coercer
    """The last coercion."""

    def end(self, runtime: Runtime) -> Answer:
        """Wait for the answer. Raises as `StoreArchive.end`."""
        answer = self.to.end(self.number)
        runtime.counts.count_transcoded(int(answer.is_transcoded))
        return answer


def forward_object(
    runtime: Runtime,
    ae: ApplicationEntity,
    arrived: ArrivedObject,
    *,
    sending: Peer,
    receiving: Peer,
    behind: Peer,
    to: StoreArchive,
) -> tuple[Answer, Coercer]:
    """Forward an object and wait for the answer; also returns the last coercion. Raises as both of its halves."""
    begun = begin_forward(runtime, ae, arrived, sending=sending, receiving=receiving, behind=behind, to=to)
    return begun.end(runtime), begun.coercer


def begin_forward(
    runtime: Runtime,
    ae: ApplicationEntity,
    arrived: ArrivedObject,
    *,
    sending: Peer,
    receiving: Peer,
    behind: Peer,
    to: StoreArchive,
) -> ForwardUnderWay:
    """Send an object on; several may be under way at once.

    First the rules for objects that ``receiving``, our AE, receives from ``sending`` apply, then those for objects that
    it sends to ``behind``. Raises CoercionFailed, SubOperationFailed, StorageUnavailable.
    """
    own = CoercedMessage(
        local_ae=ae,
        dimse=Dimse.C_STORE_RQ,
        transfer_role=TransferRole.SCU,
        sending=sending,
        receiving=receiving,
    )
    coercer = Coercer(runtime.coercions, own)
    if coercer.has_rules:
        common = RetrieveCoercion(coercer, runtime.keeper, source=sending.ae_title or "")
        arrived = _coerced(common, arrived, runtime.forwards.spool)
    message = replace(own, transfer_role=TransferRole.SCP, sending=receiving, receiving=behind)
    tells = runtime.options.of(ae.ae_title).original_attributes_on_retrieve
    common = RetrieveCoercion(Coercer(runtime.coercions, message), runtime.keeper, tells_original_attributes=tells)
    number = to.begin(ForwardedObject(common, Selections(common.coercer), arrived))
    return ForwardUnderWay(to, number, common.coercer)


def _coerced(common: RetrieveCoercion, arrived: ArrivedObject, spool: Spool) -> ArrivedObject:
    """Coerce the object as if it were stored here."""
    prepared = ForwardedObject(common, Selections(common.coercer), arrived).prepare([arrived.transfer_syntax_uid])
    return replace(
        arrived,
        sop_class_uid=prepared.sop_class_uid,
        sop_instance_uid=prepared.sop_instance_uid,
        data=spool.collect(_pieces(prepared)),
    )


def _pieces(prepared: PreparedObject) -> Iterator[Buffer]:
    for batch in prepared.batches():
        yield from batch
