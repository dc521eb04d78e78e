"""The studies: generated from a fixed seed, so that every run and every machine sends the same bytes.

Explicit VR little endian Part 10 files, encoded here: a few thousand of them in seconds. A is large objects, B small
ones, C many studies of one object each; the large object is a multi-frame image of which only the header is on disk.
For each study there is one tiny object more, with the attributes that the leading archive has.
"""

from __future__ import annotations

import hashlib
import math
import random
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.uid import generate_uid

from scripts.benchmark.raw.messages import CT_IMAGE, EXPLICIT_VR_LITTLE_ENDIAN, element

SEED = "dcm4py-leading benchmark 1"
MULTI_FRAME_BYTE = "1.2.840.10008.5.1.4.1.1.7.2"
LEADING_KEYWORDS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDescription",
    "AccessionNumber",
)
MANY = "C-*"
"""Patient ID that the studies C match, and no other."""

_FRAME_SIDE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study and its files; ``digests`` are of the pixel data, by SOP Instance UID."""

    label: str
    number: int
    study_uid: str
    series_uids: tuple[str, ...]
    files: tuple[Path, ...]
    total_bytes: int
    digests: Mapping[str, str] = field(repr=False)

    @property
    def objects(self) -> int:
        return len(self.files)

    @property
    def objects_of_first_series(self) -> int:
        return math.ceil(len(self.files) / len(self.series_uids))

    @property
    def stored(self) -> Mapping[str, str]:
        """Attributes that the archives have, by keyword."""
        return _identity(self.label, self.number, is_leading=False)

    @property
    def leading(self) -> Mapping[str, str]:
        """Attributes that the leading archive has, by keyword."""
        return _identity(self.label, self.number, is_leading=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Everything that is sent."""

    a: Study
    b: Study
    many: tuple[Study, ...]
    large: Study
    leading_directory: Path

    @property
    def studies(self) -> tuple[Study, ...]:
        """Those that every archive is loaded with; the large object is not among them."""
        return (self.a, self.b, *self.many)


def generate(directory: Path, *, scale: float = 1.0, large_bytes: int) -> Data:
    """Write the files below ``directory``; ``scale`` reduces how many objects there are, not how large they are."""

    def count(full: int) -> int:
        return max(2, round(full * scale))

    data = Data(
        a=make_study(directory / "A", "A", 1, objects=count(500), series=10, side=512),
        b=make_study(directory / "B", "B", 1, objects=count(2000), series=4, side=78),
        many=tuple(
            make_study(directory / "C", "C", number, objects=1, series=1, side=64)
            for number in range(1, count(1000) + 1)
        ),
        large=_large(directory / "L", large_bytes),
        leading_directory=directory / "leading",
    )
    data.leading_directory.mkdir()
    for study in (*data.studies, data.large):
        uid = _uid(study.label, study.number, "leading")
        series_uid = _uid(study.label, study.number, "leading series")
        head = _head(study.leading, study.study_uid, series_uid, uid, instance=1, series=1, side=2)
        path = data.leading_directory / f"{study.label}{study.number:05}.dcm"
        path.write_bytes(_part10(CT_IMAGE, uid) + head + element(0x7FE00010, "OW", bytes(8)))
    return data


def make_study(directory: Path, label: str, number: int, *, objects: int, series: int, side: int) -> Study:
    """Write a study of CT images of ``side`` pixels in height and width."""
    directory.mkdir(exist_ok=True)
    series = min(series, objects)
    study_uid = _uid(label, number)
    series_uids = tuple(_uid(label, number, s) for s in range(1, series + 1))
    identity = _identity(label, number, is_leading=False)
    noise = random.Random(f"{SEED} {label} {number}")
    files: list[Path] = []
    digests: dict[str, str] = {}
    total = 0
    for index in range(objects):
        # Consecutive objects share a series, as a scanner sends them.
        in_series = index * series // objects
        uid = _uid(label, number, in_series + 1, index + 1)
        head = _head(
            identity, study_uid, series_uids[in_series], uid, instance=index + 1, series=in_series + 1, side=side
        )
        pixels = noise.randbytes(2 * side * side)
        digests[uid] = digest(pixels)
        path = directory / f"{number + index:05}.dcm"
        total += path.write_bytes(_part10(CT_IMAGE, uid) + head + element(0x7FE00010, "OW", pixels))
        files.append(path)
    return Study(
        label=label,
        number=number,
        study_uid=study_uid,
        series_uids=series_uids,
        files=tuple(files),
        total_bytes=total,
        digests=digests,
    )


def _large(directory: Path, size: int) -> Study:
    directory.mkdir()
    frames = size // (_FRAME_SIDE * _FRAME_SIDE)
    identity = _identity("L", 1, is_leading=False)
    study_uid, series_uid, uid = _uid("L", 1), _uid("L", 1, 1), _uid("L", 1, 1, 1)
    head = _head(identity, study_uid, series_uid, uid, instance=1, series=1, side=_FRAME_SIDE, frames=frames)
    value_header = element(0x7FE00010, "OB", b"")[:-4] + struct.pack("<L", frames * _FRAME_SIDE * _FRAME_SIDE)
    path = directory / "00001.dcm"
    start = _part10(MULTI_FRAME_BYTE, uid) + head + value_header
    path.write_bytes(start)
    with path.open("r+b") as file:
        total = file.truncate(len(start) + frames * _FRAME_SIDE * _FRAME_SIDE)
    return Study(
        label="L",
        number=1,
        study_uid=study_uid,
        series_uids=(series_uid,),
        files=(path,),
        total_bytes=total,
        digests={},
    )


def digest(pixels: bytes) -> str:
    """Digest of pixel data, by which it is compared with that of the same object."""
    return hashlib.sha256(pixels).hexdigest()


def _uid(*parts: object) -> str:
    return str(generate_uid(entropy_srcs=[SEED, *map(str, parts)]))


def _identity(label: str, number: int, *, is_leading: bool) -> Mapping[str, str]:
    if is_leading:
        values = (
            f"Leading^{label}{number}^Corrected",
            f"P-{label}-{number:05}",
            "19620430",
            "F",
            f"Current description of {label}{number}",
            f"LA-{label}{number}",
        )
    else:
        values = (
            f"Stale^{label}{number}",
            f"{label}-{number:05}",
            "19000101",
            "O",
            f"As stored {label}{number}",
            f"A{number}",
        )
    return dict(zip(LEADING_KEYWORDS, values, strict=True))


def _part10(sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Preamble and File Meta Information (PS3.10 7.1)."""
    group = b"".join(
        (
            element(0x00020001, "OB", b"\0\1"),
            element(0x00020002, "UI", sop_class_uid),
            element(0x00020003, "UI", sop_instance_uid),
            element(0x00020010, "UI", EXPLICIT_VR_LITTLE_ENDIAN),
            element(0x00020012, "UI", "1.2.826.0.1.3680043.8.498.1"),
        )
    )
    return bytes(128) + b"DICM" + element(0x00020000, "UL", len(group)) + group


def _head(
    identity: Mapping[str, str],
    study_uid: str,
    series_uid: str,
    sop_instance_uid: str,
    *,
    instance: int,
    series: int,
    side: int,
    frames: int | None = None,
) -> bytes:
    return b"".join(
        element(tag, vr, value)
        for tag, vr, value in sorted(
            (
                *_general(identity, study_uid, series_uid, sop_instance_uid, instance=instance, series=series),
                *_image(instance, side, frames),
            )
        )
    )


def _general(
    identity: Mapping[str, str], study_uid: str, series_uid: str, sop_instance_uid: str, *, instance: int, series: int
) -> Iterator[tuple[int, str, str | int]]:
    """Patient, study, series, equipment and SOP common modules."""
    yield 0x00080005, "CS", "ISO_IR 100"
    yield 0x00080012, "DA", "20260301"
    yield 0x00080013, "TM", "101500"
    yield 0x00080018, "UI", sop_instance_uid
    for tag in (0x00080020, 0x00080021, 0x00080022, 0x00080023):
        yield tag, "DA", "20260301"
    yield 0x00080030, "TM", "101000"
    yield 0x00080031, "TM", f"1011{series % 60:02}"
    for offset, tag in enumerate((0x00080032, 0x00080033)):
        yield tag, "TM", f"1012{offset:02}.{instance % 1000:03}000"
    yield 0x00080050, "SH", identity["AccessionNumber"]
    yield 0x00080070, "LO", "Example Medical Systems"
    yield 0x00080080, "LO", "Example General Hospital"
    yield 0x00080081, "ST", "1 Example Road, Exampleton"
    yield 0x00080090, "PN", "Referrer^Rita"
    yield 0x00081010, "SH", "CT01"
    yield 0x00081030, "LO", identity["StudyDescription"]
    yield 0x0008103E, "LO", f"Axial 1.0 mm, series {series}"
    yield 0x00081040, "LO", "Radiology"
    yield 0x00081050, "PN", "Performer^Paul"
    yield 0x00081070, "PN", "Operator^Olga"
    yield 0x00081090, "LO", "Example CT 64"
    yield 0x00100010, "PN", identity["PatientName"]
    yield 0x00100020, "LO", identity["PatientID"]
    yield 0x00100030, "DA", identity["PatientBirthDate"]
    yield 0x00100040, "CS", identity["PatientSex"]
    yield 0x00101010, "AS", "064Y"
    yield 0x00101020, "DS", "1.78"
    yield 0x00101030, "DS", "76.5"
    yield 0x00104000, "LT", "Generated for a benchmark"
    yield 0x00180015, "CS", "CHEST"
    yield 0x00181000, "LO", "SN-0001"
    yield 0x00181020, "LO", "1.0.0"
    yield 0x00181030, "LO", "Chest routine"
    yield 0x0020000D, "UI", study_uid
    yield 0x0020000E, "UI", series_uid
    yield 0x00200010, "SH", "1"
    yield 0x00200011, "IS", str(series)
    yield 0x00200013, "IS", str(instance)


def _image(instance: int, side: int, frames: int | None) -> Iterator[tuple[int, str, str | int]]:
    """Image pixel module, and for a single frame those of a CT image."""
    depth = 16 if frames is None else 8
    yield 0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"
    yield 0x00080016, "UI", CT_IMAGE if frames is None else MULTI_FRAME_BYTE
    yield 0x00080060, "CS", "CT" if frames is None else "OT"
    yield 0x00280002, "US", 1
    yield 0x00280004, "CS", "MONOCHROME2"
    yield 0x00280010, "US", side
    yield 0x00280011, "US", side
    yield 0x00280100, "US", depth
    yield 0x00280101, "US", depth
    yield 0x00280102, "US", depth - 1
    yield 0x00280103, "US", 0
    if frames is not None:
        yield 0x00280008, "IS", str(frames)
        return
    for tag, value in (
        (0x00180050, "1.0"),
        (0x00180060, "120"),
        (0x00180090, "500"),
        (0x00181100, "350"),
        (0x00181110, "1085.6"),
        (0x00181111, "595"),
        (0x00181120, "0"),
        (0x00181130, "150"),
        (0x00181190, "1.2"),
        (0x00201041, f"{-200 + instance:.1f}"),
        (0x00281050, "40"),
        (0x00281051, "400"),
        (0x00281052, "-1024"),
        (0x00281053, "1"),
        (0x00200032, f"-175\\-175\\{-200 + instance}"),
        (0x00200037, "1\\0\\0\\0\\1\\0"),
        (0x00280030, "0.68359375\\0.68359375"),
    ):
        yield tag, "DS", value
    for tag, value in ((0x00181150, "750"), (0x00181151, "210"), (0x00181152, "157"), (0x00200012, "1")):
        yield tag, "IS", value
    yield 0x00181140, "CS", "CW"
    yield 0x00181160, "SH", "BODY"
    yield 0x00181210, "SH", "B40f"
    yield 0x00185100, "CS", "HFS"
    yield 0x00200052, "UI", _uid("frame of reference")
    yield 0x00201040, "LO", ""
