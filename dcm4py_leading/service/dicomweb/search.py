"""QIDO-RS (PS3.18 10.6): a search as a value, answered as a C-FIND is, with the same rules, archives and bounds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.archive.index.keys import (
    COUNTS,
    KEY_OF,
    LEVELS,
    MODALITIES_IN_STUDY,
    MODALITY,
    SOP_CLASSES_IN_STUDY,
)
from dcm4py_leading.archive.index.querying.query import OrderBy, Part
from dcm4py_leading.dataset.dicom_json.writing import json_element, json_object
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, scan
from dcm4py_leading.errors import ArchiveUnavailable, DependencyError, IdentifierMismatch, StatusError
from dcm4py_leading.log import ref
from dcm4py_leading.model.archive import SpanningPolicy
from dcm4py_leading.model.bounds import WEB_SEARCH_SECONDS
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import InformationModel, Level
from dcm4py_leading.service.dicomweb.attributes import default_attributes, identifying
from dcm4py_leading.service.dicomweb.chunks import Chunks, HeadSuffices
from dcm4py_leading.service.dicomweb.web_request import Ended, WebRequest, asked_ae
from dcm4py_leading.service.find.query import FindResult, find
from dcm4py_leading.service.find.request import FindRequest
from dcm4py_leading.service.find.response import QUERY_RETRIEVE_LEVEL
from dcm4py_leading.service.runtime import Runtime

LOG = logging.getLogger(__name__)

_PATIENT_ROOT_FIND, _STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
_RETRIEVE_URL = 0x00081190
_SUCCESS, _CANCELLED, _FAILED = 0x0000, 0xFE00, 0x0110
_RESOURCES = ("studies", "series", "instances")
_NAMES = {Level.PATIENT: "patients", Level.STUDY: "studies", Level.SERIES: "series", Level.IMAGE: "instances"}
_NO_UID = "0"
"""UID of nothing."""
_NUMBER: Mapping[str, Callable[[str], int | float]] = {
    **dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), int),
    **dict.fromkeys(("FD", "FL"), float),
}

Path = tuple[int, ...]
"""Tags from a sequence down to an attribute in its items; of most attributes only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search below one of the resources of QIDO-RS."""

    request: WebRequest
    level: Level
    named: tuple[str, ...] = ()
    """UIDs in the path: of a study, or of a study and a series."""
    keys: tuple[tuple[Path, tuple[str, ...]], ...] = ()
    """Attributes that are matched; of several values one is enough."""
    included: tuple[int, ...] = ()
    includes_all: bool = False
    includes_defaults: bool = True
    order: tuple[tuple[int, bool], ...] = ()
    """Tags, and whether descending."""
    offset: int = 0
    limit: int | None = None
    is_count: bool = False
    """True: the number of matches is wanted, and none of them."""

    def to_json(self) -> Any:
        """As JSON, for other processes."""
        return {**asdict(self), "level": self.level.value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Search:
        """Search out of what `to_json` made."""
        return cls(
            **{
                **value,
                "request": WebRequest.from_json(value["request"]),
                "level": Level(value["level"]),
                "named": tuple(value["named"]),
                "keys": tuple((tuple(path), tuple(values)) for path, values in value["keys"]),
                "included": tuple(value["included"]),
                "order": tuple((tag, is_descending) for tag, is_descending in value["order"]),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHead:
    """Head of an answer: all that is known before its rows."""

    is_empty: bool = False
    left: int | None = None
    """Number of matches after those that are answered; None where it is not known."""
    count: int = 0
    """Of a search for the number of matches."""
    is_supported: bool = True
    """False where an archive has not matched, or does not know, one of the keys."""
    unanswered: int = 0
    """Studies for which a leading archive gives no answer, as far as they have been asked for."""
    last_known: int = 0
    """Those of which the last known values serve."""


def search(runtime: Runtime, wanted: Search, is_gone: Callable[[], bool]) -> tuple[SearchHead, Chunks]:
    """The answer: what comes before it, and the rows of a JSON array, a page at a time; to be closed.

    ``is_gone`` tells whether the client waits no more. Raises UnknownAE, IdentifierMismatch, TooManyMatches,
    IndexUnavailable, ArchiveUnavailable, CoercionFailed; the last three also among the rows.
    """
    ae = asked_ae(runtime, wanted.request)
    ended = Ended("QIDO-RS", runtime, wanted.request, ae)
    details = {"level": wanted.level.value, **({"study": ref(wanted.named[0])} if wanted.named else {})}
    limit = _limit(wanted.limit, ae.settings.qido_max_number_of_results)
    patience = _Patience(is_gone)
    is_of_patients = wanted.level is Level.PATIENT
    try:
        found = find(
            runtime,
            FindRequest(
                identifier=_identifier(runtime, ae, wanted),
                model=InformationModel.PATIENT_ROOT if is_of_patients else InformationModel.STUDY_ROOT,
                sop_class_uid=_PATIENT_ROOT_FIND if is_of_patients else _STUDY_ROOT_FIND,
                transfer_syntax_uid=ExplicitVRLittleEndian,
                relational=True,
                local_ae=ae,
                sending=wanted.request.client_peer,
                receiving=wanted.request.own_peer(ae),
                part=_part(wanted, limit),
                is_coerced=not is_of_patients,
                is_over=patience.is_over,
            ),
        )
        rows = _Rows(found, replace(wanted, limit=limit), ended, details, patience, is_passed_on=_passes_keys_on(ae))
        head, chunks = rows.head(), rows.chunks()
        next(chunks)  # from now on it ends in form, also where nobody reads it
        return head, chunks
    except StatusError as err:
        _tell_refused(ended, details, err)
        raise


class _Patience:
    """Time for which the next page is waited for."""

    def __init__(self, is_gone: Callable[[], bool]) -> None:
        self._is_gone = is_gone
        self.renew()

    def renew(self) -> None:
        """As long again."""
        self._deadline = time.monotonic() + WEB_SEARCH_SECONDS

    def is_over(self) -> bool:
        """True if an archive is not waited for any more."""
        return self._is_gone() or time.monotonic() > self._deadline

    def require(self) -> None:
        """Raise where an archive was not waited for: its answer may lack matches."""
        if self._is_gone():
            raise ArchiveUnavailable("the client waits no more", status=_CANCELLED)
        if time.monotonic() > self._deadline:
            raise ArchiveUnavailable(f"a page of the answer has taken more than {WEB_SEARCH_SECONDS:g} s")


class _Rows:
    """The rows of an answer, of which the first page is there before the head is told."""

    def __init__(
        self,
        found: FindResult,
        wanted: Search,
        ended: Ended,
        details: Mapping[str, object],
        patience: _Patience,
        *,
        is_passed_on: bool,
    ) -> None:
        """``is_passed_on``: another archive alone matches the keys."""
        self._found = found
        self._wanted = wanted
        self._ended = ended
        self._details = details
        self._patience = patience
        self._is_passed_on = is_passed_on
        self._count = 0
        try:
            self._first = next(found.pages, None)
            patience.require()
        except BaseException:  # closes, and raises on whatever it was
            found.pages.close()
            raise

    def head(self) -> SearchHead:
        """Head of the answer."""
        wanted, total = self._wanted, self._found.total.count
        if wanted.is_count:
            self._end(total)
            return SearchHead(count=total or 0)
        is_supported = not (self._is_passed_on and wanted.keys and self._found.support.has_unsupported)
        if self._first is None:
            self._end(0)
            return SearchHead(is_empty=True, is_supported=is_supported)
        left = None if total is None or wanted.limit is None else max(0, total - wanted.offset - wanted.limit)
        coercer = self._found.coercer
        return SearchHead(
            left=left, is_supported=is_supported, unanswered=coercer.unanswered, last_known=coercer.last_known
        )

    def chunks(self) -> Chunks:
        """The array, after an empty chunk. What fails is raised, so that no part is taken for the whole."""
        try:
            yield ()
            if self._wanted.is_count or self._first is None:
                return
            separator = "["
            for page in self._pages(self._first):
                self._count += len(page)
                yield ((separator + ",".join(_row(self._wanted, data) for data in page)).encode(),)
                separator = ","
            yield (b"]",)
            self._end(self._count)
        except HeadSuffices:
            self._end(self._count)
        except GeneratorExit:
            self._ended.tell(_CANCELLED, {**self._details, "matches": self._count, "ended": "connection lost"})
            raise
        except StatusError as err:
            _tell_refused(self._ended, {**self._details, "matches": self._count}, err)
            raise
        finally:
            self._found.pages.close()

    def _pages(self, first: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        page: Sequence[bytes] | None = first
        while page is not None:
            yield page
            self._patience.renew()
            page = next(self._found.pages, None)
            self._patience.require()

    def _end(self, count: int | None) -> None:
        self._ended.tell(_SUCCESS, {**self._details, "matches": count or 0, "leading": self._found.coercer})


def _tell_refused(ended: Ended, details: Mapping[str, object], err: StatusError) -> None:
    if err.status != _CANCELLED:
        level = logging.ERROR if isinstance(err, DependencyError) else logging.WARNING
        LOG.log(level, "QIDO-RS: %s", err)
    ended.tell(err.status, details)


def _limit(asked: int | None, most: int) -> int | None:
    """The smaller one, of which 0 is none."""
    limits = [limit for limit in (asked, most) if limit]
    return min(limits) if limits else None


def _part(wanted: Search, limit: int | None) -> Part | None:
    """The part that is asked for; all as they come where nothing is said of it."""
    if wanted.is_count:
        return Part(limit=0)
    if not wanted.order and not wanted.offset and limit is None:
        return None
    order = tuple(OrderBy(tag, is_descending) for tag, is_descending in wanted.order)
    return Part(order=order, offset=wanted.offset, limit=limit)


def _passes_keys_on(ae: ApplicationEntity) -> bool:
    """True if other archives alone answer for the AE, and match what they can."""
    settings = ae.settings
    return bool(settings.spanning_cfind_scps) and settings.spanning_cfind_scp_policy is SpanningPolicy.REPLACE


def _identifier(runtime: Runtime, ae: ApplicationEntity, wanted: Search) -> Dataset:
    """The keys as those of a C-FIND. Raises IdentifierMismatch."""
    identifier = Dataset()
    identifier.SpecificCharacterSet = "ISO_IR 192"
    identifier.QueryRetrieveLevel = wanted.level.value
    named = None if not wanted.named else (Level.STUDY, Level.SERIES)[len(wanted.named) - 1]
    reached = LEVELS[: LEVELS.index(wanted.level) + 1]
    tags = {*wanted.included, *identifying(wanted.level)}
    if wanted.includes_defaults:
        tags |= default_attributes(wanted.level, named)
    if wanted.includes_all:
        kept = runtime.keeper.tags
        tags.update(*(kept[level] for level in reached), (tag for tag, (of, _) in COUNTS.items() if of in reached))
    for tag in sorted(tags):
        vr = _vr_of(tag)
        if vr is not None and tag not in identifier:
            identifier.add_new(tag, vr, [] if vr == "SQ" else None)
    for path, values in wanted.keys:
        if path == (MODALITY,) and wanted.level is Level.STUDY:
            path = (MODALITIES_IN_STUDY,)  # as viewers mean it
        if not (_passes_keys_on(ae) or _is_matched(path, reached)):
            raise IdentifierMismatch(f"{_name(path)} cannot be matched in a search for {_NAMES[wanted.level]}")
        _add_key(identifier, path, path, values)
    for tag, uid in zip(identifying(wanted.level), wanted.named, strict=False):
        known = identifier[tag].value
        others = set(map(str, known if isinstance(known, MultiValue) else [known])) if known else {uid}
        identifier.add_new(tag, "UI", uid if uid in others else _NO_UID)
    return identifier


def _is_matched(path: Path, reached: Sequence[Level]) -> bool:
    """True if the index here matches the attribute."""
    if len(path) > 1:
        return False
    if path[0] in (MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY):
        return Level.STUDY in reached
    return path[0] in KEY_OF and KEY_OF[path[0]].level in reached


def _add_key(ds: Dataset, path: Path, whole: Path, values: Sequence[str]) -> None:
    tag, *below = path
    vr = _vr_of(tag)
    if vr is None or (vr == "SQ") != bool(below):
        raise IdentifierMismatch(f"{_name(whole)} cannot be matched")
    if below:
        if tag not in ds or not ds[tag].value:
            ds.add_new(tag, "SQ", [Dataset()])
        _add_key(ds[tag].value[0], tuple(below), whole, values)
        return
    try:
        converted: list[Any] = [_NUMBER[vr](text) for text in values] if vr in _NUMBER else list(values)
        ds.add(DataElement(tag, vr, converted[0] if len(converted) == 1 else converted))
    except (ValueError, TypeError, OverflowError) as err:
        raise IdentifierMismatch(f"{_name(whole)}: not a value of VR {vr}") from err


def _name(path: Path) -> str:
    return ".".join(keyword_for_tag(tag) or f"{tag:08X}" for tag in path)


def _vr_of(tag: int) -> str | None:
    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return None


def _row(wanted: Search, data: bytes) -> str:
    """A match as a JSON object, with the URL by which it is retrieved."""
    uids = identifying(wanted.level)
    added = {}
    if uids:
        spans, _ = scan(data, EXPLICIT_LITTLE, stop_before=_LAST_UID)
        found = [
            data[spans[tag][1] : spans[tag][2]].decode("latin-1").strip(" \0") if tag in spans else "" for tag in uids
        ]
        if all(found):
            path = "/".join(f"{name}/{uid}" for name, uid in zip(_RESOURCES, found, strict=False))
            added = {_RETRIEVE_URL: json_element(_RETRIEVE_URL, "UR", [f"{wanted.request.base_url}/{path}"])}
    # The URL is asked for as an attribute too, by Weasis; as a key it comes without a value.
    return json_object(data, without=(QUERY_RETRIEVE_LEVEL, _RETRIEVE_URL), added=added)


_LAST_UID = 0x0020000F
