"""Search for studies, and their series and instances: matched as in a C-FIND, with the values of the archive.

Archives behind the AE are queried as for its clients. They do not support pages: only the first matches are shown.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement

from dcm4py_leading.archive.index.edits import edited_tags
from dcm4py_leading.archive.index.querying.data_set_matching import limited_to_studies
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.archive.index.querying.newest import Position
from dcm4py_leading.archive.index.querying.query import parse_query
from dcm4py_leading.dataset.dicom_json.model import Json
from dcm4py_leading.errors import IdentifierMismatch
from dcm4py_leading.leading.settings import Flush
from dcm4py_leading.log import word
from dcm4py_leading.model.archive import SpanningPolicy
from dcm4py_leading.model.bounds import SEARCH_SECONDS, SHOWN_INSTANCES, SHOWN_SERIES
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import InformationModel, Level
from dcm4py_leading.service.monitor.echo import UnknownAE
from dcm4py_leading.service.query_archive import ArchiveQuery, QueryArchive
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.studies.found import FoundInstance, FoundSeries, FoundStudy, StudyPage, StudySearch

_STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_UNIQUE = {Level.STUDY: "StudyInstanceUID", Level.SERIES: "SeriesInstanceUID", Level.IMAGE: "SOPInstanceUID"}
_ONE_UID = re.compile(r"[!-)+->@-\[\]-~]{1,64}")
"""One UID, also of those that archives have beside PS3.5 9.1; nothing that would match as a wild card or as any."""
LISTED = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
    "StudyID",
    "ReferringPhysicianName",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "StudyInstanceUID",
)
"""Attributes of a study that a search tells."""
_OF_SERIES = (
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "SeriesDescription",
    "BodyPartExamined",
    "StationName",
    "NumberOfSeriesRelatedInstances",
)
_OF_INSTANCE = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber", "ContentDate", "ContentTime", "NumberOfFrames")


def find_studies(runtime: Runtime, wanted: StudySearch) -> StudyPage:
    """Search. Raises UnknownAE, IdentifierMismatch, IndexUnavailable, ArchiveUnavailable, CoercionFailed."""
    ae = own_ae(runtime, wanted.ae_title)
    asked = _asked(ae, Level.STUDY, wanted.keys, LISTED)
    if runtime.hides_everything(ae):
        return StudyPage(studies=())
    if not ae.settings.spanning_cfind_scps:
        found, position = runtime.index.newest_studies(asked.query, _position(wanted.after), wanted.most)
        return StudyPage(
            studies=tuple(_study(match, "") for match in found), next=None if position is None else _token(position)
        )
    matches = list(islice(_matches(runtime.archives[ae.ae_title], asked), wanted.most + 1))
    studies = _with_origin(runtime, ae, matches[: wanted.most])
    studies.sort(key=lambda study: (study.text("StudyDate"), study.text("StudyTime")), reverse=True)
    return StudyPage(studies=tuple(studies), is_cut=len(matches) > wanted.most)


def study(runtime: Runtime, ae_title: str, study_instance_uid: str) -> FoundStudy | None:
    """One study, with all attributes of the index filters. None if no archive of the AE has it.

    Raises UnknownAE, IndexUnavailable, ArchiveUnavailable, CoercionFailed.
    """
    ae = own_ae(runtime, ae_title)
    keys = {"StudyInstanceUID": study_instance_uid}
    if not _are_uids(keys):
        return None
    tags = runtime.keeper.tags
    asked = _asked(ae, Level.STUDY, keys, LISTED)
    _wish(asked.keys, tags[Level.PATIENT] | tags[Level.STUDY])
    if runtime.hides_everything(ae):
        return None
    for match in islice(_entities(runtime.archives[ae.ae_title], asked, keys), 1):
        return _with_origin(runtime, ae, [match])[0]
    for title, archive in runtime.behind[ae.ae_title].items():
        for match in islice(_entities(archive, asked, keys), 1):
            return _study(match, title)
    return None


def series(runtime: Runtime, ae_title: str, study_instance_uid: str) -> list[FoundSeries]:
    """The series of a study, by number; the first `SHOWN_SERIES`. Raises as `study`."""
    keys = {"StudyInstanceUID": study_instance_uid}
    found = [
        FoundSeries(series_instance_uid=uid, attributes=attributes)
        for uid, attributes in _below(runtime, ae_title, Level.SERIES, keys, _OF_SERIES, SHOWN_SERIES)
    ]
    return sorted(found, key=lambda one: _number(one.text("SeriesNumber")))


def instances(
    runtime: Runtime, ae_title: str, study_instance_uid: str, series_instance_uid: str
) -> list[FoundInstance]:
    """The instances of a series, by number; the first `SHOWN_INSTANCES`. Raises as `study`."""
    keys = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}
    found = [
        FoundInstance(sop_instance_uid=uid, attributes=attributes)
        for uid, attributes in _below(runtime, ae_title, Level.IMAGE, keys, _OF_INSTANCE, SHOWN_INSTANCES)
    ]
    return sorted(found, key=lambda one: _number(one.text("InstanceNumber")))


def own_ae(runtime: Runtime, title: str) -> ApplicationEntity:
    """Our AE of a title. Raises UnknownAE."""
    ae = runtime.device.application_entity(title)
    if ae is None or not ae.installed:
        raise UnknownAE(f"AE {word(title)} is none of device {runtime.device.device_name}")
    return ae


def _below(
    runtime: Runtime, ae_title: str, level: Level, keys: Mapping[str, str], told: Sequence[str], most: int
) -> list[tuple[str, Json]]:
    """UIDs and attributes at ``level`` below an entity, from the first archive that has any."""
    ae = own_ae(runtime, ae_title)
    if not _are_uids(keys) or runtime.hides_everything(ae):
        return []
    asked = _asked(ae, level, keys, told)
    for archive in (runtime.archives[ae.ae_title], *runtime.behind[ae.ae_title].values()):
        found = [match.attributes for match in islice(_entities(archive, asked, keys), most)]
        if found:
            return [(str(ds.get(_UNIQUE[level], "")), _json(ds)) for ds in found]
    return []


def _asked(ae: ApplicationEntity, level: Level, keys: Mapping[str, str], told: Collection[str]) -> ArchiveQuery:
    """Make the query. Raises IdentifierMismatch."""
    identifier = Dataset()
    identifier.SpecificCharacterSet = "ISO_IR 192"
    identifier.QueryRetrieveLevel = level.value
    _wish(identifier, [tag for keyword in told if (tag := tag_for_keyword(keyword)) is not None])
    for keyword, text in keys.items():
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise IdentifierMismatch(f"there is no attribute {word(keyword)}")
        identifier.add(DataElement(tag, dictionary_VR(tag), text))
    query = parse_query(identifier, InformationModel.STUDY_ROOT, relational=False)
    deadline = time.monotonic() + SEARCH_SECONDS
    return ArchiveQuery(
        query=query,
        keys=identifier,
        sop_class_uid=_STUDY_ROOT_FIND,
        relational=False,
        local_ae=ae,
        is_over=lambda: time.monotonic() > deadline,
    )


def _wish(identifier: Dataset, tags: Collection[int]) -> None:
    """Add return keys."""
    for tag in tags:
        if tag not in identifier and not tag >> 16 & 1:
            vr = dictionary_VR(tag).split(" or ")[0]
            identifier.add_new(tag, vr, [] if vr == "SQ" else None)


def _matches(archive: QueryArchive, asked: ArchiveQuery) -> Iterator[Match]:
    found: Generator[Match | Flush] = archive.matches(asked, fetch_size=100)
    with closing(found):
        for match in found:
            if not isinstance(match, Flush):
                yield match


def _entities(archive: QueryArchive, asked: ArchiveQuery, uids: Mapping[str, str]) -> Iterator[Match]:
    """Matches with the requested UIDs, as another archive may return others."""
    for match in _matches(archive, asked):
        ds = match.attributes
        if all(str(ds.get(keyword, "") or uid) == uid for keyword, uid in uids.items()):
            yield match


def _are_uids(uids: Mapping[str, str]) -> bool:
    return all(map(_ONE_UID.fullmatch, uids.values()))


def _with_origin(runtime: Runtime, ae: ApplicationEntity, matches: Sequence[Match]) -> list[FoundStudy]:
    """The studies, each with its archive; the local archive is preferred if it may answer for the AE."""
    others = "" if not ae.settings.spanning_cfind_scps else ", ".join(ae.settings.spanning_cfind_scps)
    studies = [_study(match, others) for match in matches]
    if not others or ae.settings.spanning_cfind_scp_policy is SpanningPolicy.REPLACE:
        return studies
    query = limited_to_studies(
        _asked(ae, Level.STUDY, {}, LISTED).query, [study.study_instance_uid for study in studies]
    )
    own = {found.study_instance_uid: found for found in (_study(one, "") for one in runtime.index.matches(query))}
    return [own.get(study.study_instance_uid, study) for study in studies]


def _study(match: Match, at: str) -> FoundStudy:
    ds = match.attributes
    edited = frozenset[int]() if at else frozenset[int]().union(*map(edited_tags, match.encoded_attributes))
    return FoundStudy(
        study_instance_uid=str(ds.get("StudyInstanceUID", "")),
        at=at,
        attributes=_json(ds),
        edited=tuple(f"{tag:08X}" for tag in sorted(edited)),
    )


def _json(ds: Dataset) -> Json:
    return ds.to_json_dict(suppress_invalid_tags=True)


def _position(token: str | None) -> Position | None:
    """Parse the position of `_token`. Raises IdentifierMismatch."""
    if token is None:
        return None
    found = re.fullmatch(r"([0-9]{8})?\.([0-9]{1,18})", token)
    if found is None:
        raise IdentifierMismatch("this is no page of a search")
    return Position(found[1], int(found[2]))


def _token(position: Position) -> str:
    return f"{position.study_date or ''}.{position.pk}"


def _number(text: str) -> tuple[int, str]:
    """Sort key: numbers by value, then other texts."""
    try:
        return (int(text), "")
    except ValueError:
        return (2**63, text)
