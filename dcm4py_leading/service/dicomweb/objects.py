"""Objects by WADO-RS (PS3.18 10.4): a retrieve whose destination is a client over HTTP.

They are found, coerced and cut as those of a C-MOVE, and leave as the parts of a multipart body while they are read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.dataset.part10 import encode_header
from dcm4py_leading.dataset.pixels.pixel_data import is_decodable
from dcm4py_leading.dataset.scan import is_encapsulated
from dcm4py_leading.errors import ArchiveUnavailable, DependencyError, StatusError, SubOperationFailed
from dcm4py_leading.log import ref
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.dicomweb.chunks import Chunk, Chunks, HeadSuffices, nothing
from dcm4py_leading.service.dicomweb.validator import validator
from dcm4py_leading.service.dicomweb.web_request import Ended, WebRequest, asked_ae
from dcm4py_leading.service.dicomweb.zip_file import zip_file
from dcm4py_leading.service.retrieve.encode import UNCOMPRESSED, PreparedObject
from dcm4py_leading.service.retrieve.request import RetrieveRequest, retrieve
from dcm4py_leading.service.retrieve.retrieve_archive import Retrieval
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject
from dcm4py_leading.service.runtime import Runtime

LOG = logging.getLogger(__name__)

AS_STORED = "*"
DEFAULT = ""
"""Explicit VR Little Endian, and what cannot be decoded by its nature as it is stored (PS3.18 8.7.3.3)."""
_SUCCESS, _PARTIAL, _CANCELLED = 0x0000, 0xB000, 0xFE00
_NOT_FRAMES = frozenset(
    f"1.2.840.10008.1.2.4.{number}" for number in (94, 95, 204, 205, 100, 101, 102, 103, 104, 105, 106, 107, 108)
) | frozenset(f"1.2.840.10008.1.2.4.{number}.1" for number in range(100, 107))
"""JPIP, and video (PS3.5 A.4.5 to A.4.8, A.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A study, a series of it, or an instance of that, by the UIDs of the path."""

    request: WebRequest
    uids: tuple[str, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Named:
        """The same out of what `dataclasses.asdict` made."""
        return cls(request=WebRequest.from_json(value["request"]), uids=tuple(value["uids"]))

    @property
    def keys(self) -> RetrieveKeys:
        """Keys of an equal C-MOVE."""
        studies, series, instances = (tuple(self.uids[at : at + 1]) for at in range(3))
        return RetrieveKeys(
            level=(Level.STUDY, Level.SERIES, Level.IMAGE)[len(self.uids) - 1],
            study_instance_uids=studies,
            series_instance_uids=series,
            sop_instance_uids=instances,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedObjects:
    """Objects that are asked for."""

    named: Named
    transfer_syntaxes: tuple[str, ...]
    """Those that the client takes: UIDs, AS_STORED, DEFAULT."""
    boundary: str
    """Empty for one object that is no part of anything."""
    is_middle: bool = False
    """True if of a study or series one object is meant that stands for it."""
    is_zip: bool = False
    """True for the files of a ZIP archive, in place of the parts of a multipart body."""

    def to_json(self) -> Any:
        """As it passes between processes."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WantedObjects:
        """The same out of what `to_json` made."""
        return cls(
            named=Named.from_json(value["named"]),
            transfer_syntaxes=tuple(value["transfer_syntaxes"]),
            boundary=value["boundary"],
            is_middle=value["is_middle"],
            is_zip=value["is_zip"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsHead:
    """Head of an answer: all that is known before its parts."""

    is_empty: bool = False
    left_out: int = 0
    """Objects that cannot be had in a transfer syntax that the client takes."""
    why: str = ""
    """Reason why the first of them cannot."""
    media_type: str = ""
    """That of frames, another value or pictures."""
    is_multipart: bool = False
    """Of pictures, True if each of them is a part."""
    validator: str = ""
    """Validator of the answer (`validator.validator`)."""
    unanswered: int = 0
    """Studies for which a leading archive gives no answer, as far as they have been asked for."""
    last_known: int = 0
    """Those of which the last known values serve."""


@dataclass(slots=True)
class Found:
    """Objects that a request has found, and what has become of them so far."""

    retrieval: Retrieval
    objects: Iterator[RetrievedObject]
    ended: Ended
    details: Mapping[str, object]
    runtime: Runtime
    ae_title: str
    head: ObjectsHead = field(default_factory=ObjectsHead)
    sent: int = 0
    transcoded: int = 0
    stored: Sequence[RetrievedObject] = ()
    """All objects, where they are stored here."""
    strangers: int = 0
    """Objects that another archive has sent although another instance is asked for."""

    def validate(self, *form: object) -> None:
        """Tell the validator of the answer, which has ``form``, and which questions have no answer."""
        told = validator(self.runtime, self.ended.request, self.retrieval, self.stored, *form)
        coercer = self.retrieval.coercer
        self.head = replace(self.head, validator=told, unanswered=coercer.unanswered, last_known=coercer.last_known)

    def only(self, is_wanted: Callable[[RetrievedObject], bool]) -> Iterator[RetrievedObject]:
        """The objects that are wanted, of those that another archive sends."""
        for obj in self.retrieval.objects:
            if is_wanted(obj):
                yield obj
            else:
                self.strangers += 1

    def of_instance(self, sop_instance_uid: str) -> Iterator[RetrievedObject]:
        """The objects without strangers; a failure that has no name stays."""
        for obj in self.retrieval.objects:
            if obj.sop_instance_uid in ("", sop_instance_uid):
                yield obj
                continue
            if not self.strangers:
                LOG.warning("WADO-RS: another archive sends instances that were not asked for; they are left out")
            self.strangers += 1

    def require_all(self) -> None:
        """Raise where more objects should have come from another archive."""
        stream = self.retrieval.stream
        ended = self.sent and self.sent + self.strangers
        left = 0 if stream is None else stream.left(ended)
        if left:
            raise ArchiveUnavailable(f"the other archive has not sent {left} of the objects")

    def close(self) -> None:
        """No more of them are wanted."""
        if self.retrieval.stream is not None:
            self.retrieval.stream.close()

    def finish(self, status: int, **more: object) -> None:
        """Count the request and tell its end."""
        failed = 0 if status in (_SUCCESS, _CANCELLED) else max(0, self.retrieval.expected - self.sent)
        self.runtime.counts.count_transcoded(self.transcoded)
        self.runtime.counts.count_objects(self.ae_title, sent=self.sent, failed=failed)
        matches = self.retrieval.expected if self.retrieval.stream is None else self.sent
        counts = {"matches": matches, "completed": self.sent, "failed": failed, "transcoded": self.transcoded}
        self.ended.tell(status, {**self.details, **counts, "leading": self.retrieval.coercer, **more})

    def refuse(self, err: StatusError) -> None:
        """Tell that it has failed."""
        level = logging.ERROR if isinstance(err, DependencyError) else logging.WARNING
        LOG.log(level, "WADO-RS: %s", err)
        self.finish(err.status)


def find_objects(runtime: Runtime, named: Named, is_gone: Callable[[], bool]) -> Found:
    """The objects, not yet read. Raises UnknownAE, IndexUnavailable, ArchiveUnavailable."""
    ae = asked_ae(runtime, named.request)
    ended = Ended("WADO-RS", runtime, named.request, ae)
    details = {"level": named.keys.level.value, "study": ref(named.uids[0])}
    try:
        retrieval = retrieve(
            runtime,
            RetrieveRequest(
                keys=named.keys,
                local_ae=ae,
                sending=named.request.own_peer(ae),
                receiving=named.request.client_peer,
            ),
        )
    except StatusError as err:
        LOG.error("WADO-RS: %s", err)
        ended.tell(err.status, details)
        raise
    if retrieval.stream is not None:
        retrieval.stream.watch(is_gone)
    found = Found(retrieval, retrieval.objects, ended, details, runtime, ae.ae_title)
    if retrieval.stream is not None and named.keys.level is Level.IMAGE:
        found.objects = found.of_instance(named.uids[-1])  # frames do not tell whose they are
    return found


def retrieve_objects(
    runtime: Runtime, wanted: WantedObjects, is_gone: Callable[[], bool]
) -> tuple[ObjectsHead, Chunks]:
    """The answer: what comes before it, and the multipart body; to be closed.

    Raises UnknownAE, IndexUnavailable, ArchiveUnavailable, StorageUnavailable, CoercionFailed, SubOperationFailed; all
    but the first also among the parts.
    """
    found = find_objects(runtime, wanted.named, is_gone)
    first = first_of(found, wanted.transfer_syntaxes)
    if first is None:
        return found.head, nothing()
    found.validate(wanted.transfer_syntaxes, wanted.is_zip)
    chunks = answered(
        found,
        first,
        lambda stored: accepted_for(stored, wanted.transfer_syntaxes),
        lambda objects: (
            zip_file(objects, partial(_header, found.ae_title))
            if wanted.is_zip
            else _body(objects, wanted.boundary, found.ae_title)
        ),
    )
    next(chunks)  # from now on it ends in form, also where nobody reads it
    return found.head, chunks


Prepare = Callable[[RetrievedObject, Collection[str]], PreparedObject]
"""Makes an object ready to leave in one of these transfer syntaxes."""


def _in_accepted(obj: RetrievedObject, accepted: Collection[str]) -> PreparedObject:
    return obj.prepare(accepted)


def first_of(found: Found, wanted: Collection[str], prepare: Prepare = _in_accepted) -> PreparedObject | None:
    """The first object, ready; None where there is none, and then the request has ended.

    Raises what `RetrievedObject.prepare` raises, and ArchiveUnavailable.
    """
    try:
        first = _first(found, wanted, prepare)
    except BaseException as err:  # closes, and raises on whatever it was
        found.close()
        if isinstance(err, StatusError):
            found.refuse(err)
        raise
    if first is None:
        found.close()
        found.finish(_PARTIAL if found.head.left_out else _SUCCESS)
    return first


def accepted_for(stored: str, wanted: Collection[str]) -> tuple[str, ...]:
    """The transfer syntaxes in which an object may leave that is stored in one; of several the stored one is taken."""
    accepted = [syntax for syntax in wanted if syntax not in (AS_STORED, DEFAULT)]
    if AS_STORED in wanted:
        accepted += [stored, *UNCOMPRESSED]
    if DEFAULT in wanted:
        accepted += [stored] if stored in _NOT_FRAMES else [str(ExplicitVRLittleEndian)]
    return tuple(accepted)


def _is_possible(stored: str, wanted: Collection[str]) -> bool:
    accepted = accepted_for(stored, wanted)
    if stored in accepted:
        return True
    return any(syntax in accepted for syntax in UNCOMPRESSED) and (not is_encapsulated(stored) or is_decodable(stored))


def _first(found: Found, wanted: Collection[str], prepare: Prepare) -> PreparedObject | None:
    if found.retrieval.stream is None:
        found.stored = all_of_them = list(found.objects)
        possible = [obj for obj in all_of_them if _is_possible(obj.transfer_syntax_uid, wanted)]
        left_out = [obj for obj in all_of_them if not _is_possible(obj.transfer_syntax_uid, wanted)]
        syntaxes = ", ".join(sorted({obj.transfer_syntax_uid for obj in left_out}))
        found.head = ObjectsHead(
            is_empty=not possible,
            left_out=len(left_out),
            why=f"they are stored in transfer syntax {syntaxes}" if left_out else "",
        )
        found.objects = iter(possible)
    obj = next(found.objects, None)
    if obj is None:
        found.require_all()
        found.head = ObjectsHead(is_empty=True, left_out=found.head.left_out, why=found.head.why)
        return None
    accepted = accepted_for(obj.transfer_syntax_uid, wanted)
    try:
        return prepare(obj, accepted)
    except SubOperationFailed as err:
        if not obj.transfer_syntax_uid or obj.transfer_syntax_uid in accepted:
            raise
        found.head = ObjectsHead(is_empty=True, left_out=found.head.left_out + 1, why=str(err))
        return None


def answered(
    found: Found,
    first: PreparedObject,
    accepted: Callable[[str], Collection[str]],
    written: Callable[[Iterator[PreparedObject]], Iterator[Chunk]],
) -> Chunks:
    """Chunks that ``written`` makes of the objects, after an empty one; without their end where a failure is raised.

    ``accepted`` are the transfer syntaxes for one that is stored in a given one.
    """
    objects = _prepared(found, first, accepted)
    try:
        yield ()
        yield from written(objects)
        found.finish(_PARTIAL if found.head.left_out else _SUCCESS)
    except HeadSuffices:
        found.finish(_SUCCESS, sent="head")
    except GeneratorExit:
        found.finish(_CANCELLED, ended="connection lost")
        raise
    except StatusError as err:
        found.refuse(err)
        raise
    finally:
        objects.close()
        first.close()
        found.close()


def _prepared(
    found: Found, first: PreparedObject, accepted: Callable[[str], Collection[str]]
) -> Generator[PreparedObject]:
    prepared = first
    while True:
        try:
            yield prepared
        finally:
            prepared.close()
        found.sent += 1
        found.transcoded += prepared.is_transcoded
        obj = next(found.objects, None)
        if obj is None:
            break
        prepared = obj.prepare(accepted(obj.transfer_syntax_uid))
    found.require_all()


def _body(objects: Iterator[PreparedObject], boundary: str, ae_title: str) -> Iterator[Chunk]:
    """The multipart body (RFC 2046 5.1)."""
    for prepared in objects:
        yield from _part(prepared, boundary, ae_title)
    if boundary:
        yield (end_of(boundary),)


def _part(prepared: PreparedObject, boundary: str, ae_title: str) -> Iterator[Chunk]:
    syntax = prepared.transfer_syntax_uid
    head = part_head(boundary, f"application/dicom; transfer-syntax={syntax}") if boundary else b""
    head += _header(ae_title, prepared)
    batches = prepared.batches(for_system=True)
    yield [head, *next(batches, ())]
    yield from batches


def _header(ae_title: str, prepared: PreparedObject) -> bytes:
    """Preamble and File Meta Information (PS3.10 7.1)."""
    return encode_header(
        sop_class_uid=prepared.sop_class_uid,
        sop_instance_uid=prepared.sop_instance_uid,
        transfer_syntax_uid=prepared.transfer_syntax_uid,
        sending_ae_title=ae_title,
    )


def part_head(boundary: str, media_type: str) -> bytes:
    """Delimiter and header of a part; before the first one is no text, as viewers expect."""
    return f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\n\r\n".encode()


def end_of(boundary: str) -> bytes:
    """Octets after the last part."""
    return f"\r\n--{boundary}--\r\n".encode()
