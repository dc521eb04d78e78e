"""Query archive that forwards to another archive by C-FIND; implements `service.query_archive.QueryArchive`."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import replace
from operator import attrgetter

from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import encode
from dcm4py_leading.archive.index.keys import KEY_OF, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.archive.index.querying.query import KeyCondition, Query, Value, matched_hierarchically
from dcm4py_leading.dataset.data_sets import declare_default
from dcm4py_leading.dataset.normal import first_text
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Unscannable, scan
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.dicom.identifier import decode
from dcm4py_leading.dicom.negotiation import FIND
from dcm4py_leading.dicom.scu.answers import plain_answer
from dcm4py_leading.dicom.scu.find_exchange import FindRefused, responses_with_flushes
from dcm4py_leading.dicom.scu.leading import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    STUDY_ROOT_FIND,
)
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu.resolve import Resolve, resolved
from dcm4py_leading.dicom.status import NOT_OF_SOP_CLASS
from dcm4py_leading.dicom.upper.dimse_message import PresentationContext
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.errors import ArchiveUnavailable, InvalidObject, NoRelationalQueries
from dcm4py_leading.leading.contacts import Contacts
from dcm4py_leading.leading.settings import Flush
from dcm4py_leading.model.bounds import UNREADABLE_ANSWERS
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.find.response import ALWAYS_RETURNED
from dcm4py_leading.service.find.scu_rules import ScuFindRules
from dcm4py_leading.service.query_archive import EMPTY_VALUE, ArchiveQuery

LOG = logging.getLogger(__name__)

_RETRIEVE_AE_TITLE = 0x00080054


class UpstreamFind:
    """One other archive, for the clients of one AE of ours. Each query opens an association."""

    gives_parts = False

    def __init__(
        self,
        ae_title: AETitle,
        ae: ApplicationEntity,
        resolve: Resolve,
        rules: ScuFindRules,
        contacts: Contacts,
        *,
        calling: AETitle | None = None,
    ) -> None:
        """``rules`` apply to queries that we send and their responses; ``contacts`` records the outcome of queries.

        The calling AE title is ``calling``, by default that of our AE.
        """
        self._contacts = contacts
        self._calling = calling
        self._ae_title = ae_title
        self._resolve = resolve
        self._rules = rules
        titles = ae.settings.spanning_cfind_scp_retrieve_aets or ae.settings.retrieve_aets or (ae.ae_title,)
        self._computed: Mapping[int, object] = {_RETRIEVE_AE_TITLE: list(titles)}

    def count(self, asked: ArchiveQuery, *, most: int | None = None) -> int | None:
        """None: only the matches themselves tell their number (see `QueryArchive`)."""
        return None

    def matches(self, asked: ArchiveQuery, *, fetch_size: int) -> Generator[Match | Flush]:
        """Matches of another archive (see `QueryArchive`). Raises ArchiveUnavailable, CoercionFailed."""
        with self._contacts.asking(asked.local_ae.ae_title, self._ae_title, "C-FIND"):
            try:
                yield from self._matches(asked)
            except NoRelationalQueries:
                if (study := _only_study(asked)) is None:
                    raise
                yield from self._series_by_series(asked, study)

    def _series_by_series(self, asked: ArchiveQuery, study: KeyCondition) -> Generator[Match | Flush]:
        """The instances of a study by hierarchical queries (PS3.4 C.4.1.2.1)."""
        keys = Dataset()
        keys.StudyInstanceUID, keys.SeriesInstanceUID = asked.keys.StudyInstanceUID, None
        query = Query(level=Level.SERIES, conditions=(study,))
        for series in self._matches(replace(asked, query=query, keys=keys, wanted=frozenset())):
            if isinstance(series, Flush):
                continue
            uid = first_text(series.attributes, SERIES_INSTANCE_UID)
            if uid is None or asked.is_over():
                continue
            keys = Dataset(dict(asked.keys.items()))
            keys.SeriesInstanceUID = uid
            of_series = KeyCondition(SERIES_INSTANCE_UID, (Value(uid),))
            conditions = (*asked.query.conditions, of_series)
            yield from self._matches(replace(asked, query=replace(asked.query, conditions=conditions), keys=keys))

    def _matches(self, asked: ArchiveQuery) -> Generator[Match | Flush]:
        remote = upstream_ae(self._ae_title, self._resolve)
        ae = asked.local_ae
        keys = self._rules(Dimse.C_FIND_RQ, ae, remote, asked.sop_class_uid, asked.identifier())
        sop_class_uid = _model_for(keys, asked)
        models = [asked.sop_class_uid] if sop_class_uid is None else dict.fromkeys((sop_class_uid, asked.sop_class_uid))
        relational = models if sop_class_uid is None else ()
        wanted, unreadable, in_a_row = _wanted(keys), 0, 0
        try:
            proposals = [
                (model, (syntax,))
                for model in models
                for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
            ]
            with RequestedAssociation(ae, remote, proposals, relational=relational, calling=self._calling) as assoc:
                context = _context(assoc, self._ae_title)
                if relational and not _may_be_relational(assoc, context, ae):
                    raise NoRelationalQueries(f"{self._ae_title} grants no relational queries", status=NOT_OF_SOP_CLASS)
                model = context.abstract_syntax
                with closing(
                    responses_with_flushes(assoc, context, model, keys, asked.is_over, asked.support.lacks_one)
                ) as responses:
                    try:
                        for response in responses:
                            if isinstance(response, Flush):
                                yield response
                                continue
                            match = self._match(response, context, asked, remote, wanted)
                            if match is not None:
                                in_a_row = 0
                                yield match
                                continue
                            unreadable, in_a_row = unreadable + 1, in_a_row + 1
                            if in_a_row > UNREADABLE_ANSWERS:
                                raise AssociationFailed(
                                    f"{self._ae_title}: more than {UNREADABLE_ANSWERS} answers in a row cannot be read"
                                )
                    except GeneratorExit:
                        responses.close()
                        assoc.release()
                        raise
        except FindRefused as err:
            raise ArchiveUnavailable(f"{self._ae_title}: {err}", status=err.status, comment=err.comment) from err
        except AssociationFailed as err:
            raise ArchiveUnavailable(str(err)) from err
        finally:
            if unreadable:
                LOG.warning("%d answers of %s cannot be read, and are left out", unreadable, self._ae_title)

    def _match(
        self,
        response: bytes,
        context: PresentationContext,
        asked: ArchiveQuery,
        remote: RemoteAE,
        wanted: frozenset[int] | None,
    ) -> Match | None:
        """A received match, in Explicit VR Little Endian like those of the index; None if unreadable."""
        try:
            explicit, is_said = _explicit(response, context.transfer_syntax, wanted)
            is_said = is_said or not asked.local_ae.settings.default_character_set
            if is_said and not self._rules.are_about(Dimse.C_FIND_RSP, asked.local_ae):
                return Match(encoded_attributes=(explicit,), computed=self._computed)
            ds = decode(explicit, EXPLICIT_VR_LITTLE_ENDIAN)
            declare_default(ds, asked.local_ae.settings.default_character_set)
            ds = self._rules(Dimse.C_FIND_RSP, asked.local_ae, remote, asked.sop_class_uid, ds)
            return Match(encoded_attributes=(encode(ds),), computed=self._computed)
        except (*UNREADABLE, InvalidObject):
            return None


def _explicit(response: bytes, transfer_syntax: str, wanted: frozenset[int] | None) -> tuple[bytes, bool]:
    """A response in Explicit VR Little Endian; also tells if it names a character set. Raises InvalidObject.

    Unchanged if each element can be cut out by its tag; else only the ``wanted`` elements.
    """
    if transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN:
        try:
            spans, _ = scan(response, EXPLICIT_LITTLE)
        except Unscannable:
            pass
        else:
            return response, SPECIFIC_CHARACTER_SET in spans
    explicit = plain_answer(response, transfer_syntax, wanted)
    return explicit, SPECIFIC_CHARACTER_SET in scan(explicit, EXPLICIT_LITTLE)[0]


def _only_study(asked: ArchiveQuery) -> KeyCondition | None:
    """The condition on the one study whose instances are asked for, by keys of theirs alone; else None."""
    above = [c for c in asked.query.conditions if c.tag not in KEY_OF or KEY_OF[c.tag].level is not Level.IMAGE]
    is_one = len(above) == 1 and above[0].tag == STUDY_INSTANCE_UID and len(above[0].any_of) == 1
    return above[0] if is_one and asked.query.level is Level.IMAGE and asked.studies is None else None


def _wanted(keys: Dataset) -> frozenset[int] | None:
    """Tags of a response that are used; None: all, as private elements may be in another block than in the keys."""
    tags = frozenset(map(int, keys.keys()))
    return None if any(tag >> 16 & 1 for tag in tags) else tags | frozenset(ALWAYS_RETURNED)


def upstream_ae(ae_title: AETitle, resolve: Resolve) -> RemoteAE:
    """The other archive as the directory has it. Raises ArchiveUnavailable."""
    return resolved(resolve, ae_title, ArchiveUnavailable)


def _model_for(keys: Dataset, asked: ArchiveQuery) -> str | None:
    """The model in which the keys are a hierarchical query: that of the request, else Study Root, else None.

    Below PATIENT level, Patient Root allows one Patient ID and no other patient key (PS3.4 C.4.1.2.1). Study Root
    allows all of them at STUDY level.
    """
    wanted = {condition.tag for condition in asked.query.conditions if condition.tag in keys}
    keys = Dataset({tag: element for tag, element in keys.items() if element.value != EMPTY_VALUE})
    for uid in (asked.sop_class_uid, STUDY_ROOT_FIND):
        matched = matched_hierarchically(keys, FIND[uid])
        if matched is not None and wanted <= matched:
            return uid
    return None


def _may_be_relational(assoc: RequestedAssociation, context: PresentationContext, local_ae: ApplicationEntity) -> bool:
    """True if we accept relational queries without negotiation; then we also send them without."""
    return assoc.is_relational(context.abstract_syntax) or local_ae.settings.relational_query_negotiation_lenient


def _context(assoc: RequestedAssociation, ae_title: AETitle) -> PresentationContext:
    """The presentation context of the model proposed first, in Explicit VR if possible."""
    if assoc.contexts:
        return min(assoc.contexts, key=attrgetter("context_id"))
    raise ArchiveUnavailable(f"{ae_title} accepts no query in this information model")
