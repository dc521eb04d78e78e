"""DICOMweb beside Orthanc's plug-in: a search, a study, its metadata, a frame; each on a connection of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import HTTP
from functools import partial
from io import BytesIO
from typing import Any

import pydicom

from scripts.benchmark import http_get
from scripts.benchmark.archives import Archive, Orthanc, Ours
from scripts.benchmark.checks import check, wrong_objects
from scripts.benchmark.data import MANY, Study
from scripts.benchmark.operations import Effort, Operation, repeated, timed
from scripts.benchmark.process import BenchmarkError
from scripts.benchmark.results import Check, Sample
from scripts.benchmark.scene import COERCED, DCMQRSCP, Scene

JSON = "application/dicom+json"
OBJECTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
_STUDY_KEYS = "includefield=StudyDescription"
_FRAMES = 20
"""Objects of which a frame is asked for in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Path below the root of DICOMweb, and media type that is asked for."""

    path: str
    accept: str


def operations(scene: Scene, effort: Effort) -> Iterator[Operation]:
    """Searches, retrieves, metadata and frames, by all that have DICOMweb."""
    contenders = _contenders(scene)
    many = len(scene.data.many)
    yield repeated(
        "web_studies",
        scene,
        effort.listings,
        lambda scene, contender, _: _get(scene, contender, _studies()),
        objects=lambda _: many,
        contenders=contenders,
    )
    for study in (scene.data.a, scene.data.b):
        yield _retrieve(scene, study, contenders)
    yield repeated(
        "web_metadata_A",
        scene,
        effort.listings,
        lambda scene, contender, _: _get(scene, contender, _metadata(scene.data.a)),
        objects=lambda _: scene.data.a.objects,
        contenders=contenders,
    )
    yield repeated(
        "web_frame",
        scene,
        effort.finds,
        lambda scene, contender, number: _get(scene, contender, _frame(scene.data.a, number % _FRAMES)),
        objects=lambda _: 1,
        contenders=contenders,
    )


def check_dicomweb(scene: Scene) -> Iterable[Check]:
    """Ours answers with the leading archive's values and all pixels, the others with their own values."""
    for contender in _contenders(scene):
        yield check(f"QIDO-RS of many studies, {contender}", partial(_wrong_studies, scene, contender))
        yield check(f"WADO-RS of a study, {contender}", partial(_wrong_retrieve, scene, contender))
        yield check(f"metadata of a study, {contender}", partial(_wrong_metadata, scene, contender))
        yield check(f"frames of a study, {contender}", partial(_wrong_frames, scene, contender))


def get_objects(scene: Scene, contender: str, study: Study) -> None:
    """WADO-RS of a study. Raises BenchmarkError where it is shorter than it must be."""
    size = _get(scene, contender, _study(study))
    if size < study.total_bytes * 0.9:
        raise BenchmarkError(f"{contender} answered with {size} octets for {study.total_bytes}")


def get_last_frame(scene: Scene, contender: str, study: Study) -> None:
    """The last frame of the only object of a study. Raises BenchmarkError."""
    ds = pydicom.dcmread(study.files[0], stop_before_pixels=True)
    series = f"/studies/{study.study_uid}/series/{study.series_uids[0]}"
    path = f"{series}/instances/{ds.SOPInstanceUID}/frames/{ds.NumberOfFrames}"
    _get(scene, contender, Resource(path=path, accept=FRAMES))


def _contenders(scene: Scene) -> Sequence[str]:
    return [contender for contender in scene.contenders if contender != DCMQRSCP]


def _studies() -> Resource:
    return Resource(path=f"/studies?PatientID={MANY}&{_STUDY_KEYS}", accept=JSON)


def _study(study: Study) -> Resource:
    return Resource(path=f"/studies/{study.study_uid}", accept=OBJECTS)


def _metadata(study: Study) -> Resource:
    return Resource(path=f"/studies/{study.study_uid}/metadata", accept=JSON)


def _frame(study: Study, number: int) -> Resource:
    """The first frame of an object of the first series."""
    uid = list(study.digests)[number % study.objects_of_first_series]
    series = f"/studies/{study.study_uid}/series/{study.series_uids[0]}"
    return Resource(path=f"{series}/instances/{uid}/frames/1", accept=FRAMES)


def _get(scene: Scene, contender: str, resource: Resource) -> int:
    port, root = _address(scene.archives[contender])
    return http_get.get(port, f"{root}{resource.path}", resource.accept)


def _read(scene: Scene, contender: str, resource: Resource) -> http_get.Body:
    port, root = _address(scene.archives[contender])
    return http_get.read(port, f"{root}{resource.path}", resource.accept)


def _address(archive: Archive) -> tuple[int, str]:
    if not isinstance(archive, Ours | Orthanc):
        raise BenchmarkError(f"{archive.ae_title} has no DICOMweb")
    return archive.http_port, archive.dicomweb_root


def _retrieve(scene: Scene, study: Study, contenders: Sequence[str]) -> Operation:
    name = f"web_wado_{study.label}"

    def measured(contender: str) -> Sample:
        def do(_: object) -> float:
            began = time.perf_counter()
            get_objects(scene, contender, study)
            return time.perf_counter() - began

        return timed(name, contender, scene.archives[contender], study, do)

    return Operation(name=name, contenders=contenders, measure=measured)


def _wrong_studies(scene: Scene, contender: str) -> str:
    rows = json.loads(_read(scene, contender, _studies()).content)
    studies = {study.study_uid: study for study in scene.data.many}
    return _wrong_rows(rows, studies, "0020000D", scene, contender)


def _wrong_metadata(scene: Scene, contender: str) -> str:
    study = scene.data.a
    rows = json.loads(_read(scene, contender, _metadata(study)).content)
    return _wrong_rows(rows, dict.fromkeys(study.digests, study), "00080018", scene, contender)


def _wrong_rows(
    rows: Sequence[dict[str, Any]], expected: Mapping[str, Study], key: str, scene: Scene, contender: str
) -> str:
    """Faults of an answer, of which each row has the UID of one that is expected under ``key``."""
    missing = dict(expected)
    for row in rows:
        uid = row[key]["Value"][0]
        study = missing.pop(uid, None)
        if study is None:
            return f"{uid}: not asked for, or answered twice"
        values = study.leading if contender in COERCED else study.stored
        ds = pydicom.Dataset.from_json(row, bulk_data_uri_handler=lambda _: b"")
        if differing := [name for name, value in values.items() if name in ds and str(ds[name].value) != value]:
            return f"{uid}: {', '.join(differing)}"
        if "PatientName" not in ds:
            return f"{uid}: no PatientName"
    return f"{len(missing)} of {len(expected)} are missing" if missing else ""


def _wrong_retrieve(scene: Scene, contender: str) -> str:
    study = scene.data.a
    datasets = (pydicom.dcmread(BytesIO(part)) for part in _parts(_read(scene, contender, _study(study))))
    return wrong_objects(datasets, study, is_coerced=contender in COERCED)


def _wrong_frames(scene: Scene, contender: str) -> str:
    study = scene.data.a
    parts = _parts(_read(scene, contender, _frame(study, 0)))
    pixels = pydicom.dcmread(study.files[0]).PixelData
    return "" if parts == [pixels] else "other pixel data"


def _parts(body: http_get.Body) -> list[bytes]:
    """The content of each part of a multipart body."""
    boundary = message_from_bytes(
        b"Content-Type: " + (body.headers.get("Content-Type") or "").encode("latin-1") + b"\r\n\r\n", policy=HTTP
    ).get_boundary()
    if boundary is None:
        raise ValueError("the answer is not multipart")
    pieces = (b"\r\n" + body.content).split(b"\r\n--" + boundary.encode("ascii"))
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:-1]]
