"""Checks that the figures mean something: everything delivered, unchanged where it must be, coerced where it must be.

Outside of what is timed. These passes also fill every cache there is.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pydicom
from pydicom import Dataset, FileDataset

from scripts.benchmark import tools
from scripts.benchmark.archives import Peer
from scripts.benchmark.data import MANY, Study, digest
from scripts.benchmark.process import BenchmarkError
from scripts.benchmark.raw.messages import EXPLICIT_VR_LITTLE_ENDIAN
from scripts.benchmark.results import Check
from scripts.benchmark.scene import COERCED, OURS, PACS, UNCOERCED, Scene
from scripts.benchmark.wire import WireError, find

STUDY_KEYS = {
    0x00080020: ("DA", ""),
    0x00080030: ("TM", ""),
    0x00080050: ("SH", ""),
    0x00081030: ("LO", ""),
    0x00100010: ("PN", ""),
    0x00100020: ("LO", ""),
    0x00100030: ("DA", ""),
    0x00100040: ("CS", ""),
    0x0020000D: ("UI", ""),
    0x00200010: ("SH", ""),
}
"""Return keys of the study queries, VR and value by tag."""


def find_study(archive: Peer, study_uid: str) -> list[bytes]:
    """The answers to a query for one study."""
    return find(archive.port, archive.ae_title, "STUDY", {**STUDY_KEYS, 0x0020000D: ("UI", study_uid)})


def find_many(archive: Peer) -> list[bytes]:
    """The answers to a query for all studies C."""
    return find(archive.port, archive.ae_title, "STUDY", {**STUDY_KEYS, 0x00100020: ("LO", MANY)})


def check_finds(scene: Scene) -> Iterable[Check]:
    """Every contender answers with every study; ours with the leading archive's values, the others with their own."""
    for contender in scene.contenders:
        many = scene.many_of(contender)
        yield check(f"find {len(many)} studies, {contender}", partial(_found, scene, contender, many))
        yield check(f"find one study, {contender}", partial(_found_one, scene, contender, many[0]))


def check_retrieves(scene: Scene, *, move: bool, get: bool) -> Iterable[Check]:
    """Ours is looked at in all that is measured, the others in C-GET, or in C-MOVE where that alone is measured.

    Of the peers it is only counted what they deliver.
    """
    for contender in scene.contenders:
        for study in (scene.data.a, scene.data.b):
            if move and (contender in COERCED or not get):
                yield check(f"move {study.label}, {contender}", partial(_moved, scene, contender, study))
            if get:
                yield check(f"get {study.label}, {contender}", partial(_got, scene, contender, study))


def check_proxied(scene: Scene) -> Iterable[Check]:
    """Checks that what others have arrives through ours whole and coerced, every object of it."""

    def wrong(pacs: str, study: Study) -> str:
        with scene.keeping() as directory:
            tools.move(scene.in_front(pacs, study), scene.keeper, tools.study_keys(study.study_uid))
            return _wrong_objects(directory, study, is_coerced=True)

    for pacs in PACS:
        for study in (scene.data.a, scene.data.b):
            yield check(f"move {study.label} of {pacs} through ours", partial(wrong, pacs, study))


def check_large(scene: Scene) -> Check:
    """The large object arrives whole, coerced."""

    def wrong() -> str:
        with scene.keeping() as directory:
            study = scene.data.large
            tools.move(scene.archives[OURS], scene.keeper, tools.study_keys(study.study_uid))
            (path,) = directory.iterdir()
            ds = pydicom.dcmread(path, stop_before_pixels=True, defer_size=1024)
            pixels = 512 * 512 * int(ds.NumberOfFrames)
            differing = _differing(ds, study.leading)
            with path.open("rb") as file:
                file.seek(-pixels - 4, 2)
                is_whole = int.from_bytes(file.read(4), "little") == pixels
            return ", ".join(differing) if differing else "" if is_whole else "not all of its pixel data"

    return check("move the large object, ours", wrong)


def check_stored(scene: Scene, contender: str, study: Study, found: int) -> Check:
    """A timed C-STORE left every object in the archive."""
    detail = "" if found == study.objects else f"{found} of {study.objects} objects are found"
    return Check(name=f"store {study.label}, {contender}", passed=not detail, detail=detail)


def check(name: str, wrong: Callable[[], str]) -> Check:
    try:
        detail = wrong()
    except (BenchmarkError, WireError, OSError, ValueError) as err:
        detail = str(err)
    return Check(name=name, passed=not detail, detail=detail)


def _found(scene: Scene, contender: str, studies: Sequence[Study]) -> str:
    return _wrong_answers(find_many(scene.archives[contender]), studies, is_coerced=contender in COERCED)


def _found_one(scene: Scene, contender: str, study: Study) -> str:
    answers = find_study(scene.archives[contender], study.study_uid)
    return _wrong_answers(answers, (study,), is_coerced=contender in COERCED)


def _moved(scene: Scene, contender: str, study: Study) -> str:
    with scene.keeping() as directory:
        tools.move(scene.peer(contender, study), scene.keeper, tools.study_keys(study.study_uid))
        return _wrong_delivery(directory, contender, study)


def _got(scene: Scene, contender: str, study: Study) -> str:
    directory = Path(tempfile.mkdtemp(prefix="got-", dir=scene.directory))
    tools.get(scene.peer(contender, study), tools.study_keys(study.study_uid), keep=directory)
    return _wrong_delivery(directory, contender, study)


def _wrong_delivery(directory: Path, contender: str, study: Study) -> str:
    if contender in (*COERCED, UNCOERCED):
        return _wrong_objects(directory, study, is_coerced=contender in COERCED)
    count = len(list(directory.iterdir()))
    return "" if count == study.objects else f"{count} of {study.objects} objects"


def _wrong_objects(directory: Path, study: Study, *, is_coerced: bool) -> str:
    return wrong_objects(map(pydicom.dcmread, directory.iterdir()), study, is_coerced=is_coerced)


def wrong_objects(delivered: Iterable[FileDataset], study: Study, *, is_coerced: bool) -> str:
    """Faults of the objects of a study, empty when all is well."""
    expected = study.leading if is_coerced else study.stored
    missing = dict(study.digests)
    for ds in delivered:
        uid = str(ds.SOPInstanceUID)
        if ds.file_meta.TransferSyntaxUID != EXPLICIT_VR_LITTLE_ENDIAN:
            return f"{uid}: another transfer syntax"
        if digest(ds.PixelData) != missing.pop(uid, None):
            return f"{uid}: other pixel data, or delivered twice"
        if differing := _differing(ds, expected):
            return f"{uid}: {', '.join(differing)}"
    return f"{len(missing)} of {study.objects} objects are missing" if missing else ""


def _wrong_answers(answers: Sequence[bytes], studies: Sequence[Study], *, is_coerced: bool) -> str:
    missing = {study.study_uid: study.leading if is_coerced else study.stored for study in studies}
    for answer in answers:
        ds = pydicom.filereader.read_dataset(io.BytesIO(answer), is_implicit_VR=False, is_little_endian=True)
        expected = missing.pop(str(ds.StudyInstanceUID), None)
        if expected is None:
            return f"{ds.StudyInstanceUID}: not asked for, or answered twice"
        if differing := _differing(ds, expected):
            return f"{ds.StudyInstanceUID}: {', '.join(differing)}"
    return f"{len(missing)} of {len(studies)} studies are missing" if missing else ""


def _differing(ds: Dataset, expected: Mapping[str, str]) -> list[str]:
    return [keyword for keyword, value in expected.items() if str(ds.get(keyword, "")) != value]
