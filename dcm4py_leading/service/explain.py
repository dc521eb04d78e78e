"""Explain: the effect of the rules on an object or a query, without storing or delivering anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset

from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.coercion.chain import Answer, ExecutedStep, Question, coercion, run
from dcm4py_leading.coercion.changes import Change, apply
from dcm4py_leading.coercion.context import CoercionContext, Peer
from dcm4py_leading.coercion.explain import (
    ExplainedAnswer,
    Explanation,
    Trace,
    explained_elements,
    explained_rules,
    explained_steps,
)
from dcm4py_leading.coercion.original_attributes import ORIGINAL_ATTRIBUTES_SEQUENCE
from dcm4py_leading.coercion.question import LeadingQuestion
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.schemes import MESSAGES, MessageType, is_offered
from dcm4py_leading.coercion.select import select_rules
from dcm4py_leading.dataset import data_sets
from dcm4py_leading.dataset.data_sets import declare_default
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.errors import CoercionFailed, ConfigError, Dcm4pyError, WorklistUnavailable
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity, Device, RemoteAE
from dcm4py_leading.model.options import Options
from dcm4py_leading.model.values import UID, AETitle, Level, Tag, TransferRole
from dcm4py_leading.service.coerce import WorklistQuery, add_original_attributes
from dcm4py_leading.service.index_attributes import IndexAttributes
from dcm4py_leading.service.retrieve.encode import ObjectErrors
from dcm4py_leading.service.runtime import Runtime

T = TypeVar("T")

STUDY_ROOT_FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
_PATIENT_ROOT_FIND = UID("1.2.840.10008.5.1.4.1.2.1.1")


class WrongQuestion(Dcm4pyError):
    """Error when the question cannot be explained: it makes no sense, or leaves open which AE is meant."""


class StudyNotStored(Dcm4pyError):
    """The study is not in the index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedMessage:
    """The message to explain, as far as known."""

    dimse: Dimse
    transfer_role: TransferRole
    """Role of the other system."""
    sop_class: UID | None = None
    sending: Peer = field(default_factory=Peer)
    receiving: Peer = field(default_factory=Peer)
    is_of_unknown_class: bool = False
    """True if it is about a study whose objects are not known."""


def parse_message(parameters: Mapping[str, str]) -> ExplainedMessage:
    """Read dimse, role, sop-class, sending-ae, sending-host, receiving-ae, receiving-host. Raises WrongQuestion.

    ``to=AET`` is short for objects that we send to that AE: dimse C_STORE_RQ, role SCP, receiving-ae AET.
    """
    if parameters.get("to"):
        said = sorted({"dimse", "role", "receiving-ae"} & {name for name, value in parameters.items() if value})
        if said:
            raise WrongQuestion(f"to goes without {' and '.join(said)}")
        sent = {"dimse": Dimse.C_STORE_RQ.value, "role": TransferRole.SCP.value, "receiving-ae": parameters["to"]}
        parameters = {**parameters, **sent}
    dimse, role = _parsed(parameters, "dimse", Dimse), _parsed(parameters, "role", TransferRole)
    if dimse is None or role is None:
        raise WrongQuestion("say which message: to, such as STORESCP, or dimse and role")
    if MessageType(dimse, role) not in MESSAGES:
        raise WrongQuestion(f"role {role.value} makes no sense with {dimse.value}")
    return ExplainedMessage(
        dimse=dimse,
        transfer_role=role,
        sop_class=_parsed(parameters, "sop-class", UID),
        sending=_parsed_peer(parameters, "sending"),
        receiving=_parsed_peer(parameters, "receiving"),
    )


def _parsed(parameters: Mapping[str, str], name: str, parse: Callable[[str], T]) -> T | None:
    text = parameters.get(name)
    if not text:
        return None
    try:
        return parse(text)
    except ValueError as err:
        raise WrongQuestion(f"{name}: {err}") from err


def _parsed_peer(parameters: Mapping[str, str], end: str) -> Peer:
    return Peer(host=parameters.get(f"{end}-host") or None, ae_title=_parsed(parameters, f"{end}-ae", AETitle))


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """Basis of an explanation: a configuration, and the sources of answers."""

    device: Device
    rules: Mapping[AETitle, Sequence[CompiledRule]]
    """The compiled rules of each AE, in the order in which they are looked at."""
    options: Options
    resolve: Callable[[AETitle], RemoteAE | None]
    """Looks a remote AE up in the directory. Raises ConfigError."""
    leading: LeadingLookup | None = None
    """None: leading archives are not asked, and the explanation says which would be."""
    worklist: WorklistQuery | None = None
    """None: likewise."""
    is_answer_assumed: bool = False
    """True if ``leading`` asks nobody, and answers as somebody has said."""


def basis_of(runtime: Runtime, *, is_asking: bool) -> Basis:
    """The configuration at work; leading archives are asked through its cache."""
    return Basis(
        device=runtime.device,
        rules=runtime.rules,
        options=runtime.options,
        resolve=runtime.resolve,
        leading=runtime.leading if is_asking else None,
        worklist=runtime.coercions.worklist if is_asking else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """Attributes that the index has of an object, by which the rules' conditions go."""

    attributes: Dataset
    encoded: Sequence[bytes]
    """Those of its entities, from the top down."""
    kept: IndexAttributes
    """Puts into the object what counts of them."""

    @classmethod
    def of(cls, instance: IndexedInstance, runtime: Runtime) -> Indexed:
        """Those of an instance."""
        kept = IndexAttributes(runtime.keeper)
        return cls(attributes=instance.attributes, encoded=instance.encoded_attributes, kept=kept)


class AssumedAnswer:
    """Simulated leading archive with one study (a data set) or none; implements `leading.query.LeadingQuery`."""

    def __init__(self, study: Dataset | None) -> None:
        self._study = study

    def find_studies(
        self,
        leading_cfind_scp: AETitle,
        local_ae: ApplicationEntity,
        study_instance_uids: Sequence[UID],
        return_keys: frozenset[Tag],
        *,
        timeout: timedelta | None = None,
    ) -> list[Dataset]:
        """The study, whatever the query: the lookup has to notice if it is another one."""
        return [] if self._study is None else [deepcopy(self._study)]

    def reach(self, leading_cfind_scp: AETitle, local_ae: ApplicationEntity, *, timeout: timedelta) -> None:
        """Do nothing: always reachable."""


def read_file(path: Path) -> Dataset:
    """A DICOM file, or a data set without File Meta Information. Raises WrongQuestion, SubOperationFailed."""
    with ObjectErrors(f"{path} cannot be parsed"):
        ds = data_sets.read_file(path, force=True)
    if not any(keyword_for_tag(tag) for tag in ds.keys()):
        raise WrongQuestion(f"{path} is no DICOM file")
    return ds


def explain(ds: Dataset, wanted: ExplainedMessage, basis: Basis, *, indexed: Indexed | None = None) -> Explanation:
    """Coerce ``ds`` in place, and return the explanation.

    Merges ``indexed`` into ``ds`` before the rules, as a retrieve does. Raises WrongQuestion, SubOperationFailed.
    """
    with ObjectErrors("the data set cannot be coerced"):
        return _Explaining(ds, wanted, basis).result(indexed)


class _Explaining:
    """One coercion under observation, step by step as the services do it."""

    def __init__(self, ds: Dataset, wanted: ExplainedMessage, basis: Basis) -> None:
        self._ae, self._notes = local_ae_of(wanted, basis.device)
        declare_default(ds, self._ae.settings.default_character_set)
        if isinstance(ds, FileDataset):
            ds.buffer = None  # an open file, which cannot be copied
        self._ds = ds
        self._basis = basis
        self._context = _context(ds, wanted, self._ae, basis)
        self._withheld: set[Question] = set()
        self._answers: dict[Question, ExplainedAnswer] = {}

    def result(self, indexed: Indexed | None) -> Explanation:
        ds, rules, options = self._ds, self._basis.rules[self._ae.ae_title], self._basis.options
        before = deepcopy(ds)
        attributes = before if indexed is None else indexed.attributes
        selection = select_rules(rules, self._context, attributes, compat_5_35=options.compat_5_35)
        if not is_offered(self._context.dimse):
            self._notes.append("there is no such service here: none of these rules is ever applied")
        previous: dict[int, DataElement | None] = {}
        if indexed is not None and not selection.retrieve_as_received:
            previous = self._put_in(indexed)
        start = deepcopy(ds)
        told = explained_rules(selection, attributes)
        executed: list[ExecutedStep] = []
        try:
            coerced = run(coercion(ds, selection, executed), self._answer)
        except CoercionFailed as err:
            return Explanation(
                ae_title=self._ae.ae_title,
                context=self._context,
                rules=told,
                steps=explained_steps(selection, start, executed, withheld=self._withheld, has_failed=True),
                elements=(),
                failure=str(err),
                notes=(*self._notes, *_move_notes(self._ae, self._context, self._basis)),
                trace=self._trace(attributes, executed),
            )
        if self._context.dimse is not Dimse.C_STORE_RQ:
            if "QueryRetrieveLevel" in before:
                ds.QueryRetrieveLevel = before.QueryRetrieveLevel  # rules do not change it
        elif (coerced.changes or previous) and self._is_telling_originals():
            is_received = self._context.transfer_role is TransferRole.SCU
            source = (self._context.sending.ae_title or "") if is_received else ""
            add_original_attributes(ds, coerced, self._ae, source=source, previous=previous)
        return Explanation(
            ae_title=self._ae.ae_title,
            context=self._context,
            rules=told,
            steps=explained_steps(selection, start, coerced.executed, withheld=self._withheld),
            elements=explained_elements(before, ds),
            notes=(*self._notes, *_move_notes(self._ae, self._context, self._basis)),
            trace=self._trace(attributes, coerced.executed),
        )

    def _trace(self, archived: Dataset, executed: Sequence[ExecutedStep]) -> Trace:
        return Trace(archived=archived, delivered=self._ds, executed=tuple(executed), answers=self._answers)

    def _put_in(self, indexed: Indexed) -> dict[int, DataElement | None]:
        """Merge the index's attributes into the object, like `RetrieveCoercion`; return the replaced values."""
        ds = self._ds
        previous: dict[int, DataElement | None] = {}
        changed: set[int] = set()

        def make_edits(planned: list[Change]) -> None:
            apply(ds, planned)
            changed.update(change.path[0] for change in planned)

        def make(planned: list[Change]) -> None:
            for change in planned:
                previous.setdefault(change.path[0], deepcopy(ds.get(change.path[0])))
            make_edits(planned)

        indexed.kept.carry_edits(ds, indexed.encoded, make_edits)
        indexed.kept.update(ds, indexed.attributes, make)
        if count := len(changed - {SPECIFIC_CHARACTER_SET, ORIGINAL_ATTRIBUTES_SEQUENCE}):
            what = "1 attribute was" if count == 1 else f"{count} attributes were"
            self._notes.append(f"before the rules, {what} brought to what the index says")
        return previous

    def _is_telling_originals(self) -> bool:
        is_received = self._context.transfer_role is TransferRole.SCU
        return is_received or self._basis.options.of(self._ae.ae_title).original_attributes_on_retrieve

    def _answer(self, question: Question) -> Answer:
        leading, worklist = self._basis.leading, self._basis.worklist
        if isinstance(question, LeadingQuestion):
            if leading is not None:
                begun = time.monotonic()
                looked = leading.look_up([question], self._ae)[question]
                milliseconds = (time.monotonic() - begun) * 1000
                how = f"{looked.outcome.value} after {milliseconds:.0f} ms"
                if self._basis.is_answer_assumed:
                    how = "its answer is assumed"
                self._notes.append(f"{question.leading_cfind_scp}: {how}")
                self._answers[question] = ExplainedAnswer(looked.answer, looked.outcome.value)
                return looked.answer
            self._withheld.add(question)
            return None
        if worklist is not None:
            try:
                return worklist.find_items(question, self._ae)
            except WorklistUnavailable as err:
                return err
        self._withheld.add(question)
        return ()


def local_ae_of(wanted: ExplainedMessage, device: Device) -> tuple[ApplicationEntity, list[str]]:
    """Our AE in the message, with remarks. Raises WrongQuestion."""
    is_sending = wanted.transfer_role is TransferRole.SCP
    title = (wanted.sending if is_sending else wanted.receiving).ae_title
    ours = device.application_entities
    ae = device.application_entity(title) if title is not None else None
    if ae is not None:
        return ae, []
    end = "sending" if is_sending else "receiving"
    if len(ours) != 1:
        raise WrongQuestion(f"the {end} AE has to be one of {', '.join(sorted(own.ae_title for own in ours))}")
    (ae,) = ours
    return ae, [] if title is None else [f"{title} is no AE of this device; {ae.ae_title} is the {end} one"]


def _context(ds: Dataset, wanted: ExplainedMessage, ae: ApplicationEntity, basis: Basis) -> CoercionContext:
    is_sending = wanted.transfer_role is TransferRole.SCP
    local, remote = (wanted.sending, wanted.receiving) if is_sending else (wanted.receiving, wanted.sending)
    served = [connection.hostname for connection in ae.connections if connection.is_served]
    local = Peer(host=local.host or next(iter(served), None), ae_title=ae.ae_title)
    remote = Peer(host=remote.host or _host(remote.ae_title, basis), ae_title=remote.ae_title)
    sending, receiving = (local, remote) if is_sending else (remote, local)
    return CoercionContext(
        dimse=wanted.dimse,
        transfer_role=wanted.transfer_role,
        sop_class=wanted.sop_class or ("" if wanted.is_of_unknown_class else _sop_class(ds, wanted.dimse)),
        sending=sending,
        receiving=receiving,
    )


def _move_notes(ae: ApplicationEntity, context: CoercionContext, basis: Basis) -> list[str]:
    """Reasons why a C-MOVE to the receiver would fail before any rule applies."""
    title = context.receiving.ae_title
    if context.dimse is not Dimse.C_STORE_RQ or context.transfer_role is not TransferRole.SCP or title is None:
        return []
    notes = []
    try:
        if basis.resolve(AETitle(title)) is None:
            notes.append(f"the directory has no dicomNetworkAE {title}: a C-MOVE there ends with A801")
    except (ConfigError, ValueError) as err:
        notes.append(f"{title} cannot be looked up in the directory: {err}")
    allowed = ae.settings.accepted_move_destinations
    if allowed and title not in allowed:
        notes.append(f"dcmAcceptedMoveDestination of {ae.ae_title} does not list {title}: a C-MOVE ends with C801")
    return notes


def _host(title: str | None, basis: Basis) -> str | None:
    """dicomHostname of a remote AE, where the directory knows it."""
    try:
        remote = None if title is None else basis.resolve(AETitle(title))
    except (ConfigError, ValueError):
        return None
    return remote.connections[0].hostname if remote is not None and remote.connections else None


def _sop_class(ds: Dataset, dimse: Dimse) -> str:
    """That of an object; of a query, the usual information model for its level."""
    if dimse in (Dimse.C_FIND_RQ, Dimse.C_FIND_RSP):
        is_about_patients = ds.get("QueryRetrieveLevel") == Level.PATIENT.value
        return _PATIENT_ROOT_FIND if is_about_patients else STUDY_ROOT_FIND
    sop_class = ds.get("SOPClassUID")
    if not isinstance(sop_class, str) or not sop_class:
        raise WrongQuestion("the object has no SOP Class UID: give --sop-class")
    return sop_class
