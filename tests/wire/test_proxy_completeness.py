"""Whether all has come of what another archive has: asked for again, counted, and fetched though it is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from dcm4py_leading.dicom.upstream import remote_retrieve as upstream_exchange
from tests.fixtures.pacs import Received, Script, ScriptedPacs, has, make_object, sends, uids_of
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import identifier, move, store
from tests.fixtures.service import AE, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.83"
OBJECTS = [make_object(STUDY, number, StudyDate="20200131") for number in range(1, 5)]


class Scene:
    """Ours in front of a scripted archive, and a viewer; nothing is coerced."""

    def __init__(self, seed: Seed, start_pacs: Callable[..., ScriptedPacs], viewer: Viewer) -> None:
        self.seed, self._start_pacs, self._viewer = seed, start_pacs, viewer

    def start(self, script: Script, *, counts: int | None = None, here: int = 0, **settings: Any) -> None:
        """Start everything; the archive counts so many instances, and has sent ``here`` of them unasked."""
        row = Dataset()
        row.StudyInstanceUID, row.NumberOfStudyRelatedInstances = STUDY, counts
        self.pacs = self._start_pacs(self.seed.archive_port, move=script, find=has(row))
        stand_in_front_of(self.seed, self.pacs.port, **settings)
        self.seed.start()
        for ds in OBJECTS[:here]:
            ds.file_meta = FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            assert store(self.seed.archive_port, [ds], calling="PACS") == [0x0000]

    def move(self) -> tuple[int, ...]:
        """C-MOVE of the study to the viewer: status, completed, failed."""
        final, _ = move(self.seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1]
        await_rest(self.seed)
        counts = (final.get(f"NumberOf{name}Suboperations", 0) for name in ("Completed", "Failed"))
        return final.Status, *counts

    @property
    def received(self) -> list[str]:
        return uids_of(self._viewer.received)


@pytest.fixture
def scene(
    seed: Seed,
    scripted_pacs: Callable[..., ScriptedPacs],
    viewer: Callable[..., Viewer],
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    monkeypatch.setattr(upstream_exchange, "_FIRST_PAUSE", 0.01)
    return Scene(seed, scripted_pacs, viewer(seed.viewer_port))


def half_at_first() -> Script:
    """The script of an archive that sends two of the four objects first, and all of them when it is asked again."""
    able = iter((2, 4))

    def script(received: Received) -> None:
        count = next(able)
        storing = received.pacs.storing(received)
        for ds in OBJECTS[:count]:
            storing.store(ds)
        storing.release()
        failed = uids_of(OBJECTS[count:])
        final = received.failed_list(*failed) if failed else None
        received.respond(0xB000 if failed else 0x0000, final, completed=count, failed=len(failed), warning=0)

    return script


@pytest.mark.ldap("dcmFallbackCMoveSCPRetries")
def test_object_in_a_storage_that_the_device_lacks_is_not_here(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.start(sends(OBJECTS), counts=4, here=4, dcmFallbackCMoveSCPLeadingCFindSCP="PACS")
    scene.seed.service.stop(5)
    storage = f"dcmStorageID=fs1,{DEVICE}"
    scene.seed.change(f"dn: {storage}\nchangetype: modrdn\nnewrdn: dcmStorageID=fs2\ndeleteoldrdn: 1")
    scene.seed.set(AE, dcmObjectStorageID="fs2")
    scene.seed.start()
    assert "objects in storage fs1, which device dcm4chee-arc does not have" in caplog.text
    assert scene.move() == (0x0000, 4, 0)
    assert len(scene.received) == 4


def test_unsent_objects_are_asked_for_again_and_none_is_sent_twice(scene: Scene) -> None:
    scene.start(half_at_first(), dcmFallbackCMoveSCPRetries="1")
    assert scene.move() == (0x0000, 4, 0)
    assert scene.received == uids_of(OBJECTS)
    assert len(scene.pacs.moves) == 2


@pytest.mark.ldap("dcmFallbackCMoveSCPRetries")
def test_without_retries_it_is_asked_once(scene: Scene) -> None:
    scene.start(half_at_first())
    assert scene.move() == (0xB000, 2, 2)
    assert len(scene.pacs.moves) == 1


@pytest.mark.ldap("dcmFallbackCMoveSCPRetries")
def test_number_of_retries_is_limited(scene: Scene) -> None:
    scene.start(lambda received: received.respond(0xA701), dcmFallbackCMoveSCPRetries="2")
    assert scene.move() == (0xA701, 0, 0)
    assert len(scene.pacs.moves) == 3


@pytest.mark.ldap("dcmFallbackCMoveSCPLeadingCFindSCP")
def test_fewer_objects_than_another_archive_counts_are_failed(scene: Scene) -> None:
    scene.start(sends(OBJECTS[:3]), counts=4, dcmFallbackCMoveSCPLeadingCFindSCP="PACS")
    assert scene.move() == (0xB000, 3, 1)


@pytest.mark.ldap("dcmFallbackCMoveSCPLeadingCFindSCP")
@pytest.mark.parametrize(("counts", "sent", "asked"), [(4, 4, 1), (2, 2, 0), (None, 2, 0)])
def test_a_study_is_fetched_as_a_whole_where_another_archive_counts_more_than_are_here(
    scene: Scene, counts: int | None, sent: int, asked: int
) -> None:
    scene.start(sends(OBJECTS), counts=counts, here=2, dcmFallbackCMoveSCPLeadingCFindSCP="PACS")
    assert scene.move() == (0x0000, sent, 0)
    assert sorted(scene.received) == uids_of(OBJECTS[:sent])
    assert len(scene.pacs.moves) == asked


@pytest.mark.ldap("dcmFallbackCMoveSCPStudyOlderThan")
@pytest.mark.parametrize(("date", "sent", "asked"), [("20200201", 4, 1), ("20200131", 2, 0)])
def test_study_of_earlier_date_is_fetched_although_stored_here(scene: Scene, date: str, sent: int, asked: int) -> None:
    scene.start(sends(OBJECTS), here=2, dcmFallbackCMoveSCPStudyOlderThan=date)
    assert scene.move() == (0x0000, sent, 0)
    assert sorted(scene.received) == uids_of(OBJECTS[:sent])
    assert len(scene.pacs.moves) == asked
