"""What an archive behind the proxy sends that is not what was asked for, or not whole: never delivered, always told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.links import CT
from tests.fixtures.pacs import Received, Script, ScriptedPacs, has, make_object, uids_of
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import identifier, move
from tests.fixtures.service import DEVICE, Seed

STUDY, OTHER = "1.2.826.0.1.3680043.8.498.191", "1.2.826.0.1.3680043.8.498.192"
MR = "1.2.840.10008.5.1.4.1.1.4"
OBJECT, STRANGER = make_object(STUDY, 1, size=1000), make_object(OTHER, 2, size=1000)
NEW_NAME = f"""
dn: cn=new name,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion2
cn: new name
dcmDIMSE: C_STORE_RQ
dicomTransferRole: SCP
dcmURI: merge-attrs:
dcmMergeAttribute: PatientName=New^Name
"""
KEYS = identifier("STUDY", StudyInstanceUID=STUDY)


def row() -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID, ds.SOPClassesInStudy = STUDY, [CT]
    return ds


def explicit(ds: Dataset) -> bytes:
    return encoded(ds, ExplicitVRLittleEndian)


def out_of_order(ds: Dataset) -> bytes:
    """With SOP Instance UID before SOP Class UID."""
    first, second = (explicit(_only(ds, keyword)) for keyword in ("SOPClassUID", "SOPInstanceUID"))
    data = explicit(ds)
    assert data.startswith(first + second)
    return second + first + data[len(first + second) :]


def _only(ds: Dataset, keyword: str) -> Dataset:
    only = Dataset()
    only[keyword] = ds[keyword]
    return only


def without(ds: Dataset, keyword: str) -> bytes:
    """Its bytes without that element."""
    return explicit(ds).replace(explicit(_only(ds, keyword)), b"")


class Scene:
    """Ours in front of a scripted archive, and a viewer."""

    def __init__(self, seed: Seed, start_pacs: Callable[..., ScriptedPacs], viewer: Viewer) -> None:
        self.seed, self.viewer, self._start_pacs = seed, viewer, start_pacs
        self.answers: list[int | None] = []

    def start(self, way: str, ds: Dataset, data: bytes | None, syntax: str = ExplicitVRLittleEndian) -> None:
        """The archive sends ``data`` as ``ds``, and says that nothing has failed."""

        def sends(received: Received) -> None:
            storing = received.pacs.storing(received, syntax=syntax)
            self.answers.append(storing.store(ds, data=data))
            storing.release()
            received.respond(0x0000, completed=1, failed=0, warning=0)

        def gives(received: Received) -> None:
            self.answers.append(received.store(ds, data=data, syntax=syntax))
            received.respond(0x0000, completed=1, failed=0, warning=0)

        scripts: dict[str, Script] = {"move": sends}
        if way == "C-GET":
            scripts = {"move": _refuses, "get": gives}
        pacs = self._start_pacs(self.seed.archive_port, find=has(row()), **scripts)
        stand_in_front_of(self.seed, pacs.port)
        self.seed.start()

    def move(self) -> tuple[int, int, int]:
        """C-MOVE to the viewer: status, completed and failed."""
        final, self.named = move(self.seed.archive_port, KEYS)[-1]
        await_rest(self.seed)
        return final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations


def _refuses(received: Received) -> None:
    received.respond(0xA801)


@pytest.fixture
def scene(seed: Seed, scripted_pacs: Callable[..., ScriptedPacs], viewer: Callable[..., Viewer]) -> Scene:
    return Scene(seed, scripted_pacs, viewer(seed.viewer_port))


WAYS = pytest.mark.parametrize("way", ["C-GET", "C-MOVE"])
STRANGE = {
    "in order": explicit(STRANGER),
    "not in order": out_of_order(STRANGER),
    "the study asked for stands before it": explicit(_only(OBJECT, "StudyInstanceUID")) + explicit(STRANGER),
    "the study asked for stands behind it": explicit(STRANGER) + explicit(_only(OBJECT, "StudyInstanceUID")),
}
BROKEN = {
    "cut within the pixel data": explicit(OBJECT)[:-401],
    "cut within a header": explicit(OBJECT)[:-1007],
    "empty": b"",
    "random octets": b"\x99\x11" + bytes(range(256)) * 4,
    "no Study Instance UID": without(OBJECT, "StudyInstanceUID"),
    "no SOP Instance UID": without(OBJECT, "SOPInstanceUID"),
    "another object than the command says": explicit(make_object(STUDY, 7)),
    "of another SOP class than the command says": explicit(make_object(STUDY, 1, SOPClassUID=MR)),
}


@WAYS
@pytest.mark.parametrize("data", STRANGE.values(), ids=STRANGE)
def test_an_object_of_another_study_is_not_delivered(scene: Scene, way: str, data: bytes) -> None:
    scene.start(way, STRANGER, data)
    assert scene.move() == (0xA702, 0, 1)
    assert scene.viewer.received == []
    assert scene.answers[0] in (0xC000, 0xA900)


def test_a_deflated_object_of_another_study_is_not_delivered(scene: Scene) -> None:
    scene.start("C-MOVE", STRANGER, None, DeflatedExplicitVRLittleEndian)
    assert scene.move() == (0xA702, 0, 1)
    assert scene.viewer.received == []
    assert scene.answers == [0xC000]


@WAYS
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_incomplete_object_is_refused_and_counted_as_failed(
    scene: Scene, way: str, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    scene.start(way, OBJECT, data)
    assert scene.move() == (0xA702, 0, 1)
    assert scene.viewer.received == []
    assert scene.answers[0] in (0xC000, 0xA900)
    assert scene.named is not None and scene.named.FailedSOPInstanceUIDList == OBJECT.SOPInstanceUID
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("from PACS is refused" in message for message in warnings)
    assert STUDY not in "".join(warnings)


@WAYS
def test_an_object_that_is_not_in_order_is_delivered_with_each_element_once(scene: Scene, way: str) -> None:
    data = out_of_order(OBJECT)
    data += explicit(_only(OBJECT, "PatientName"))
    scene.seed.change(NEW_NAME)
    scene.start(way, OBJECT, data)
    assert scene.move() == (0x0000, 1, 0)
    assert uids_of(scene.viewer.received) == uids_of([OBJECT])
    (got,) = scene.viewer.encoded
    assert b"New^Name" in got and b"Old^Name" not in got
