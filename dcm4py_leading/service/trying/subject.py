"""Subjects of an explanation: a stored object, or a study that another archive has."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace

from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import merged
from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.archive.index.querying.query import RetrieveKeys, parse_query
from dcm4py_leading.coercion.explain import Explanation
from dcm4py_leading.dataset.pydicom_bridge import to_pydicom
from dcm4py_leading.dataset.reading import read_data_set
from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.log import ref
from dcm4py_leading.model.archive import Entity
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import UID, InformationModel, Level, TransferRole
from dcm4py_leading.service.explain import (
    STUDY_ROOT_FIND,
    Basis,
    ExplainedMessage,
    Indexed,
    StudyNotStored,
    WrongQuestion,
    basis_of,
    explain,
    local_ae_of,
)
from dcm4py_leading.service.find.matches_coerced import study_of
from dcm4py_leading.service.query_archive import ArchiveQuery, QueryArchive
from dcm4py_leading.service.retrieve.encode import ObjectErrors
from dcm4py_leading.service.retrieve.file_bytes import read_stored
from dcm4py_leading.service.runtime import Runtime

LOG = logging.getLogger(__name__)

_LEVELS_OF_A_STUDY = 2
"""Patient and study come first in the attributes of an instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A data set that is to be coerced, and the message it is in."""

    ds: Dataset
    wanted: ExplainedMessage
    indexed: Indexed | None = None
    """Attributes of the index, of which those that count go into it before the rules."""
    notes: tuple[str, ...] = ()

    def explained(self, basis: Basis) -> Explanation:
        """Explain its coercion; ``ds`` is changed. Raises WrongQuestion, SubOperationFailed."""
        explanation = explain(self.ds, self.wanted, basis, indexed=self.indexed)
        return replace(explanation, notes=(*self.notes, *explanation.notes))


def explain_study(
    runtime: Runtime, study_instance_uid: str, wanted: ExplainedMessage, *, is_asking: bool
) -> Explanation:
    """Explanation of what would become of a study by the rules in force. Raises as `stored_subject` does."""
    basis = basis_of(runtime, is_asking=is_asking)
    return stored_subject(runtime, basis, wanted, study_instance_uid).explained(basis)


def stored_subject(
    runtime: Runtime, basis: Basis, wanted: ExplainedMessage, study_instance_uid: str, sop_instance_uid: str = ""
) -> Subject:
    """The named instance of a study, by default the first; for a query, the answer about study or instance.

    For a retrieve, the index's attributes are merged first, as for a delivery. Raises
    WrongQuestion, StudyNotStored, SubOperationFailed, IndexUnavailable, StorageUnavailable.
    """
    if wanted.dimse not in (Dimse.C_STORE_RQ, Dimse.C_FIND_RSP):
        raise WrongQuestion(f"{wanted.dimse.value} is no message about a stored study: give a file")
    uid, instance_uid = _uid("study", study_instance_uid), sop_instance_uid and _uid("instance", sop_instance_uid)
    keys = RetrieveKeys(
        level=Level.IMAGE if instance_uid else Level.STUDY,
        study_instance_uids=(uid,),
        sop_instance_uids=(instance_uid,) if instance_uid else (),
    )
    instances = runtime.index.instances(keys)
    LOG.info(
        "explain %s %s study=%s leading=%s",
        wanted.dimse.value,
        wanted.transfer_role.value,
        ref(uid),
        "none" if basis.leading is None else "ask",
    )
    if instances:
        return _stored(runtime, instances[0], wanted, is_instance=bool(instance_uid))
    if instance_uid:
        raise StudyNotStored("the study has no such instance here")
    return _subject_elsewhere(runtime, uid, wanted, basis)


def _uid(name: str, text: str) -> UID:
    try:
        return UID(text)
    except ValueError as err:
        raise WrongQuestion(f"{name}: {err}") from err


def _stored(runtime: Runtime, instance: IndexedInstance, wanted: ExplainedMessage, *, is_instance: bool) -> Subject:
    if wanted.dimse is Dimse.C_FIND_RSP:
        if is_instance:
            return Subject(ds=instance.attributes, wanted=wanted)
        return Subject(ds=merged(instance.encoded_attributes[:_LEVELS_OF_A_STUDY]), wanted=wanted)
    with runtime.storage(instance.location.storage_id).open(instance.location) as file:
        content, start = read_stored(file)
    with ObjectErrors("the stored object cannot be parsed"):
        ds = to_pydicom(read_data_set(content, instance.transfer_syntax_uid, start=start).elements)
    is_retrieve = wanted.transfer_role is TransferRole.SCP
    return Subject(ds=ds, wanted=wanted, indexed=Indexed.of(instance, runtime) if is_retrieve else None)


def _subject_elsewhere(runtime: Runtime, uid: UID, wanted: ExplainedMessage, basis: Basis) -> Subject:
    """A study that is not here: what the archives behind the AE tell of it by C-FIND.

    Raises StudyNotStored, and ArchiveUnavailable if no archive answered.
    """
    ae, _ = local_ae_of(wanted, basis.device)
    archives = _elsewhere(runtime, ae, wanted.dimse)
    if not archives:
        raise StudyNotStored("the study is not stored here")
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.StudyInstanceUID = Level.STUDY.value, uid
    asked = ArchiveQuery(
        query=parse_query(keys, InformationModel.STUDY_ROOT, relational=False),
        keys=keys,
        sop_class_uid=STUDY_ROOT_FIND,
        relational=False,
        local_ae=ae,
        wanted=_study_keys(runtime),
    )
    match, who, silent = _first_match(archives, asked, uid)
    if match is None:
        raise StudyNotStored(f"the study is neither here nor at {', '.join(archives)}")
    note = f"the study is not here: explained is what {who} says of it by C-FIND, without series and objects"
    if wanted.dimse is Dimse.C_STORE_RQ and wanted.sop_class is None:
        wanted = replace(wanted, is_of_unknown_class=True)
        note += "; where a rule has dcmSOPClass, give --sop-class"
    return Subject(ds=match.attributes, wanted=wanted, notes=(note, *silent))


def _elsewhere(runtime: Runtime, ae: ApplicationEntity, dimse: Dimse) -> Mapping[str, QueryArchive]:
    """Archives that may have a study that is not here, by name: of a retrieve, first those that it would come from."""
    if ae.ae_title not in runtime.archives:  # of a configuration that is not in force
        return {}
    spanning = ae.settings.spanning_cfind_scps
    archives: dict[str, QueryArchive] = {}
    if dimse is Dimse.C_STORE_RQ:
        archives.update({scp: one for scp, one in runtime.behind[ae.ae_title].items() if scp not in spanning})
    if spanning:
        archives[", ".join(spanning)] = runtime.archives[ae.ae_title]
    return archives


def _first_match(
    archives: Mapping[str, QueryArchive], asked: ArchiveQuery, uid: UID
) -> tuple[Match | None, str, list[str]]:
    """Match of the first archive that has the study, which archive that is, and why others gave no answer.

    Raises ArchiveUnavailable if no archive answered.
    """
    silent: list[str] = []
    failure: ArchiveUnavailable | None = None
    for who, archive in archives.items():
        try:
            with closing(archive.matches(asked, fetch_size=1)) as matches:
                match = next((m for m in matches if isinstance(m, Match) and study_of(m.attributes) == uid), None)
        except ArchiveUnavailable as err:
            failure = failure or err
            silent.append(f"{who} could not be asked: {err}")
            continue
        if match is not None:
            return match, who, silent
    if failure is not None:
        raise failure
    return None, "", silent


def _study_keys(runtime: Runtime) -> frozenset[int]:
    """Patient and study attributes: those of the filters, and those that the rules look at."""
    filters = runtime.device.archive.attribute_filters
    tags = {
        int(tag) for entity in (Entity.PATIENT, Entity.STUDY) if entity in filters for tag in filters[entity].tags
    } | {0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040, 0x00080020, 0x00080050, 0x00081030}
    return frozenset(tags)
