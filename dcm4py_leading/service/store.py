"""Store: from the bytes of a C-STORE to a file and an index entry, or to nothing at all."""

from __future__ import annotations

import logging
import mmap
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import read_elements
from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor, Levels
from dcm4py_leading.archive.index.keys import SOP_CLASS_UID, SOP_INSTANCE_UID
from dcm4py_leading.archive.storage.storage import Incoming, Location
from dcm4py_leading.coercion.formats.attributes_format import Attributes
from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.dataset.data_sets import declare_default
from dcm4py_leading.dataset.integrity import PIXELS, plain_spans
from dcm4py_leading.dataset.part10 import encode_header
from dcm4py_leading.dataset.scan import Buffer, Span, Unscannable, encoding_of, scan
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.errors import InvalidObject, ObjectMismatch, StatusError, StorageUnavailable
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import Level, TransferRole
from dcm4py_leading.service.coerce import CoercedMessage, Coercer, add_original_attributes
from dcm4py_leading.service.retrieve.whole import WholeObject, coercing
from dcm4py_leading.service.runtime import Runtime

LOG = logging.getLogger(__name__)

_STUDY_INSTANCE_UID = 0x0020000D
_COPIED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedObject:
    """A C-STORE request: what its command says, and the data set as it came."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    sending: Peer
    receiving: Peer
    data: Iterable[Buffer]
    """In pieces as they come; each is valid until the next one is asked for."""
    study_instance_uid: str | None = None
    """The only study that it may be of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Outcome of a received object."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    what: str
    """``new``, ``replaced``, or ``ignored`` where dcmOverwritePolicy keeps the object that was there."""
    is_coerced: bool
    """True if rules have changed it."""


def store(runtime: Runtime, ae: ApplicationEntity, received: ReceivedObject) -> Stored:
    """Keep a received object, as the rules for received objects want it, else as it is.

    When this returns, it is on the disk and in the index. Raises InvalidObject, ObjectMismatch, ObjectRefused,
    CoercionFailed, StorageUnavailable, IndexUnavailable, and then nothing of the object is left.
    """
    storage = runtime.storage_for(ae)
    keeper = runtime.keeper
    coercer = _coercer(runtime, ae, received)
    file_header = _file_header(received, received.sop_class_uid, received.sop_instance_uid)
    with storage.receive() as incoming, _NamingStudy(incoming, len(file_header), received.transfer_syntax_uid):
        incoming.write(file_header)
        for chunk in received.data:
            incoming.write(chunk)
        if not coercer.has_rules:
            incoming.start_sync()
        found = None
        if not coercer.has_rules:
            with incoming.mapped() as data:
                spans = plain_spans(data, received.transfer_syntax_uid, start=len(file_header))
                if spans is not None:
                    found = _cut(data, spans, received, keeper, storage.path_attributes)
        coerced: WholeObject | None = None
        if found is None:
            whole = _whole(incoming, len(file_header), received)
            header = whole.header()
            _require_same_object(header, received)
            if _is_coerced(coercer, ae, received, header, whole):
                coerced = whole
            else:
                found = _Found(header, keeper.take(header))
        if found is not None:
            return _keep(runtime, ae, received, incoming, keeper, found)
    assert coerced is not None
    pieces = coerced.encoded(received.transfer_syntax_uid)
    file_header = _file_header(received, coerced.text(SOP_CLASS_UID), coerced.text(SOP_INSTANCE_UID))
    with storage.receive() as incoming, _NamingStudy(incoming, len(file_header), received.transfer_syntax_uid):
        incoming.write(file_header)
        for piece in pieces:
            incoming.write(piece)
        header = coerced.header()
        return _keep(runtime, ae, received, incoming, keeper, _Found(header, keeper.take(header)), is_coerced=True)


class _NamingStudy:
    """Gives a refusal in the block the study of the object, where its head tells it."""

    def __init__(self, incoming: Incoming, start: int, transfer_syntax_uid: str) -> None:
        self._incoming = incoming
        self._start = start
        self._transfer_syntax_uid = transfer_syntax_uid

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, err: BaseException | None, traceback: object) -> None:
        if not isinstance(err, StatusError) or err.study_instance_uid:
            return
        encoding = encoding_of(self._transfer_syntax_uid)
        if encoding is not None:
            with suppress(StorageUnavailable, Unscannable), self._incoming.mapped() as data:
                spans, _ = scan(data, encoding, start=self._start, stop_before=_STUDY_INSTANCE_UID + 1)
                _, value, end = spans.get(_STUDY_INSTANCE_UID, (0, 0, 0))
                err.study_instance_uid = bytes(data[value:end]).decode("ascii", "replace").rstrip("\0 ")


@dataclass(frozen=True, slots=True)
class _Found:
    """Content of an object's header."""

    path_attributes: Attributes
    """At least those that dcmStoragePathFormat looks at."""
    levels: Levels


def _cut(
    data: Buffer,
    spans: Mapping[int, Span],
    received: ReceivedObject,
    keeper: AttributeExtractor,
    path_attributes: frozenset[int],
) -> _Found | None:
    """Content of an object's header, cut from its bytes; None where pydicom has to read it.

    Raises ObjectMismatch.
    """
    encoding = encoding_of(received.transfer_syntax_uid)
    if encoding is None or any(tag >= PIXELS for tag in path_attributes):
        return None
    *_, (_, _, end) = spans.values()
    if not isinstance(data, bytes) and end <= _COPIED_BYTES:
        data = bytes(data[:end])  # faster to cut from
    levels = keeper.cut(data, spans, encoding)
    if levels is None:
        return None
    image = levels[Level.IMAGE].columns
    _require_same("SOPClassUID", image["sop_class_uid"], received.sop_class_uid)
    _require_same("SOPInstanceUID", image["sop_instance_uid"], received.sop_instance_uid)
    if received.study_instance_uid is not None:
        study = levels[Level.STUDY].columns["study_instance_uid"]
        _require_same("StudyInstanceUID", study, received.study_instance_uid, of="URL")
    return _Found(read_elements(data, spans, path_attributes, encoding), levels)


def _whole(incoming: Incoming, start: int, received: ReceivedObject) -> WholeObject:
    """An object that is not plain, or that rules may be about. Raises InvalidObject."""
    with incoming.reader() as file:
        try:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except OSError as err:
            raise StorageUnavailable("a received object cannot be read") from err
    whole = WholeObject(data, received.transfer_syntax_uid, start=start)
    if not whole.elements:
        raise InvalidObject("the data set is empty")
    if (name := whole.ambiguous()) is not None:
        raise InvalidObject(f"{name} is there twice, with different values")
    return whole


def _file_header(received: ReceivedObject, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    return encode_header(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=received.transfer_syntax_uid,
        sending_ae_title=received.sending.ae_title or "",
    )


def _coercer(runtime: Runtime, ae: ApplicationEntity, received: ReceivedObject) -> Coercer:
    message = CoercedMessage(
        local_ae=ae,
        dimse=Dimse.C_STORE_RQ,
        transfer_role=TransferRole.SCU,
        sending=received.sending,
        receiving=received.receiving,
    )
    return Coercer(runtime.coercions, message)


def _is_coerced(
    coercer: Coercer, ae: ApplicationEntity, received: ReceivedObject, header: Dataset, whole: WholeObject
) -> bool:
    """Make of the object what the rules for received objects want, Original Attributes Sequence included.

    False when they change nothing.
    """
    if not coercer.has_rules:
        return False
    declare_default(header, ae.settings.default_character_set)
    selection = coercer.select(header, received.sop_class_uid)
    if not selection.applied:
        return False
    ds = whole.dataset
    with coercing(ds):
        declare_default(ds, ae.settings.default_character_set)
        coerced = coercer.coerce(ds, selection)
        if not coerced.changes:
            return False
        told = add_original_attributes(ds, coerced, ae, source=received.sending.ae_title or "")
        whole.take_over([*coerced.changes, *([told] if told is not None else [])])
    return True


def _keep(
    runtime: Runtime,
    ae: ApplicationEntity,
    received: ReceivedObject,
    incoming: Incoming,
    keeper: AttributeExtractor,
    found: _Found,
    *,
    is_coerced: bool = False,
) -> Stored:
    location = incoming.finish(found.path_attributes)
    outcome = runtime.index.store(
        found.levels,
        location,
        keeper=keeper,
        transfer_syntax_uid=received.transfer_syntax_uid,
        sending_ae_title=received.sending.ae_title or "",
        overwrite_policy=ae.settings.overwrite_policy,
        relational_mismatch_policy=ae.settings.relational_mismatch_policy,
        retrieve_aets=ae.settings.retrieve_aets or (ae.ae_title,),
    )
    if outcome.stored:
        incoming.keep()
    if outcome.replaced_location is not None:
        _discard(runtime, outcome.replaced_location)
    what = "replaced" if outcome.replaced_location is not None else "new" if outcome.stored else "ignored"
    levels = found.levels
    image = levels[Level.IMAGE].columns
    return Stored(
        study_instance_uid=levels[Level.STUDY].columns["study_instance_uid"] or "",
        series_instance_uid=levels[Level.SERIES].columns["series_instance_uid"] or "",
        sop_class_uid=image["sop_class_uid"] or "",
        sop_instance_uid=image["sop_instance_uid"] or "",
        what=what,
        is_coerced=is_coerced,
    )


def _require_same_object(header: Dataset, received: ReceivedObject) -> None:
    """The data set is the object that the command names (PS3.4 B.2.3, A9xx), and tells where it belongs."""
    for keyword, expected, of in (
        ("SOPClassUID", received.sop_class_uid, "command"),
        ("SOPInstanceUID", received.sop_instance_uid, "command"),
        ("StudyInstanceUID", received.study_instance_uid, "URL"),
        ("SeriesInstanceUID", None, ""),
    ):
        _require_same(keyword, _uid(header, keyword), expected, of=of)


def _require_same(keyword: str, value: str | None, expected: str | None, *, of: str = "command") -> None:
    if not value:
        raise ObjectMismatch(f"the data set has no {keyword}")
    if expected is not None and value != expected:
        raise ObjectMismatch(f"the data set's {keyword} is not that of the {of}")


def _uid(header: Dataset, keyword: str) -> str:
    """The value of a UID element; empty when it is absent or not a single readable value."""
    try:
        value = header.get(keyword)
    except UNREADABLE as err:
        raise InvalidObject(f"{keyword} cannot be parsed ({type(err).__name__})") from err
    return str(value) if isinstance(value, str) else ""


def _discard(runtime: Runtime, location: Location) -> None:
    """Remove the file of an object that was replaced. The new one is safe: what fails here is only told."""
    storage = runtime.storages.get(location.storage_id)
    try:
        if storage is not None:
            storage.delete(location)
    except StorageUnavailable as err:
        LOG.warning("the file of a replaced object cannot be deleted, and takes up space: %s", err)
