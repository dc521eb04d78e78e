"""Stored objects whose files are gone: they come from the archive that has the objects of that storage too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import UID

from dcm4py_leading.model.values import Level
from dcm4py_leading.service.editing.amend import Amendment
from tests.fixtures.datasets import make_study
from tests.fixtures.pacs import Received, Script, ScriptedPacs, uids_of
from tests.fixtures.pacs_content import finds, moves
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import await_rest, remote_device
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import get, identifier, move, store
from tests.fixtures.service import AE, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.51"
STORAGE = f"dcmStorageID=fs1,{DEVICE}"
KEYS = identifier("STUDY", StudyInstanceUID=STUDY)
SECOND_AE = f"""
dn: dicomAETitle=RECEIVER,{DEVICE}
changetype: add
objectClass: dicomNetworkAE
objectClass: dcmNetworkAE
objectClass: dcmArchiveNetworkAE
dicomAETitle: RECEIVER
dicomNetworkConnectionReference: cn=dicom,{DEVICE}
dicomAssociationInitiator: TRUE
dicomAssociationAcceptor: TRUE
dcmShareTransferCapabilitiesFromAETitle: DCM4CHEE
dcmObjectStorageID: fs1
"""


class Scene:
    """A study of two series and six objects is stored here; OTHER has it, too."""

    def __init__(self, seed: Seed, start_pacs: Callable[..., ScriptedPacs], viewer: Viewer, directory: Path) -> None:
        self.seed, self.viewer = seed, viewer
        self._start_pacs = start_pacs
        self.files = make_study(
            directory / "study", patient_id="P1", patient_name="A^B", study_uid=STUDY, instances=3, series=2
        )
        self.uids = [str(pydicom.dcmread(file).SOPInstanceUID) for file in self.files]

    def start(self, *, port: int = 0, **scripts: Script) -> None:
        """Start both; ``scripts`` do what OTHER does differently, ``port`` is one where it is not."""
        objects = [pydicom.dcmread(file) for file in self.files]
        own: dict[str, Script] = {"find": finds(objects), "move": moves(objects), **scripts}
        self.other = self._start_pacs(self.seed.archive_port, ae_title="OTHER", **own)
        self.seed.change(remote_device("OTHER", port or self.other.port))
        self.seed.set(STORAGE, dcmExternalRetrieveAET="OTHER")
        self.seed.start()
        assert store(self.seed.archive_port, self.files) == [0x0000] * 6

    def delete(self, *numbers: int) -> None:
        """Let files of these instances go."""
        for path in self.seed.objects:
            uid = str(pydicom.dcmread(path).SOPInstanceUID)
            if uid in self.uids and self.uids.index(uid) in numbers:
                path.unlink()

    def move(self, keys: Dataset = KEYS) -> tuple[tuple[int, int, int], list[str]]:
        """C-MOVE to the viewer: status, completed and failed; the SOP Instance UIDs that are named as failed."""
        final, failed = move(self.seed.archive_port, keys)[-1]
        await_rest(self.seed)
        listed = [] if failed is None else failed.get("FailedSOPInstanceUIDList", [])
        self.comment = final.get("ErrorComment", "")
        counts = (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations)
        return counts, [listed] if isinstance(listed, str) else sorted(listed)

    @property
    def received(self) -> list[str]:
        return sorted(uids_of(self.viewer.received))


@pytest.fixture
def scene(
    seed: Seed, scripted_pacs: Callable[..., ScriptedPacs], viewer: Callable[..., Viewer], tmp_path: Path
) -> Scene:
    return Scene(seed, scripted_pacs, viewer(seed.viewer_port), tmp_path)


@pytest.mark.ldap("dcmExternalRetrieveAET")
@pytest.mark.parametrize("deleted", [(1,), (1, 2, 4), (0, 1, 2, 3, 4, 5)])
def test_objects_whose_files_are_gone_are_fetched_and_only_they(scene: Scene, deleted: tuple[int, ...]) -> None:
    scene.start()
    scene.delete(*deleted)
    assert scene.move() == ((0x0000, 6, 0), [])
    assert scene.received == sorted(scene.uids)
    asked = [keys.SOPInstanceUID for keys in scene.other.moves]
    assert {keys.QueryRetrieveLevel for keys in scene.other.moves} == {"IMAGE"}
    named = [uid for value in asked for uid in ([value] if isinstance(value, str) else value)]
    assert sorted(named) == sorted(scene.uids[number] for number in deleted)
    assert len(asked) == len({number // 3 for number in deleted})
    assert len(scene.seed.objects) == 6 - len(deleted)  # what was fetched back does not stay


@pytest.mark.ldap("dcmExternalRetrieveAET")
def test_study_that_is_complete_here_is_sent_from_here(scene: Scene) -> None:
    scene.start()
    scene.delete(5)
    keys = identifier(
        "SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=pydicom.dcmread(scene.files[0]).SeriesInstanceUID
    )
    assert scene.move(keys) == ((0x0000, 3, 0), [])
    assert scene.other.moves == []


@pytest.mark.ldap("dcmExternalRetrieveAET")
def test_missing_files_fail_without_another_archive(scene: Scene) -> None:
    scene.start()
    scene.seed.set(STORAGE, dcmExternalRetrieveAET=[])
    scene.seed.service.reload()
    scene.delete(1)
    assert scene.move() == ((0xB000, 5, 1), [scene.uids[1]])
    assert scene.other.moves == []


@pytest.mark.ldap("dcmExternalRetrieveAET")
def test_other_archive_down_sends_local_objects_and_names_the_rest(scene: Scene) -> None:
    scene.start(port=free_port())
    scene.delete(1, 4)
    assert scene.move() == ((0xB000, 4, 2), sorted([scene.uids[1], scene.uids[4]]))
    assert scene.comment.startswith("OTHER at localhost")


@pytest.mark.ldap("dcmExternalRetrieveAET")
def test_objects_that_the_other_archive_lacks_are_named(scene: Scene) -> None:
    scene.start(move=lambda received: received.respond(0x0000, completed=0, failed=0, warning=0))
    scene.delete(1)
    assert scene.move() == ((0xB000, 5, 1), [scene.uids[1]])


@pytest.mark.ldap("dcmExternalRetrieveAET")
def test_surplus_and_repeated_objects_of_the_other_archive_are_not_sent_on(scene: Scene) -> None:
    objects = [pydicom.dcmread(file) for file in scene.files]

    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for ds in (objects[0], objects[1], objects[1]):
            storing.store(ds)
        storing.release()
        received.respond(0x0000, completed=3, failed=0, warning=0)

    scene.start(move=script)
    scene.delete(1)
    assert scene.move() == ((0x0000, 6, 0), [])
    assert scene.received == sorted(scene.uids)


@pytest.mark.ldap("dcmExternalRetrieveAEDestination")
def test_they_are_sent_to_the_ae_that_is_configured(scene: Scene) -> None:
    scene.seed.change(SECOND_AE)
    scene.seed.set(AE, dcmExternalRetrieveAEDestination="RECEIVER")
    scene.start()
    scene.delete(1)
    assert scene.move()[0] == (0x0000, 6, 0)
    assert scene.other.destinations == ["RECEIVER"]


@pytest.mark.ldap("dcmExternalRetrieveAET")
def test_a_c_get_gets_them_too(scene: Scene) -> None:
    scene.start()
    scene.delete(0, 4)
    responses, received = get(scene.seed.archive_port, KEYS)
    await_rest(scene.seed)
    final = responses[-1][0]
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0x0000, 6)
    assert sorted(uids_of(received)) == sorted(scene.uids)
    remaining = [status.NumberOfRemainingSuboperations for status, _ in responses[:-1]]
    assert remaining == sorted(remaining, reverse=True)


@pytest.mark.ldap("dcmExternalRetrieveAET")
def test_they_are_coerced_as_those_that_are_here(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    new = identifier("STUDY", StudyInstanceUID=STUDY, PatientID="NEW", PatientName="New^Name")
    leading_scp(scene.seed.leading_port, knows(new))
    scene.seed.lead()
    scene.start()
    scene.delete(1, 3)
    assert scene.move()[0] == (0x0000, 6, 0)
    assert {(ds.PatientID, str(ds.PatientName)) for ds in scene.viewer.received} == {("NEW", "New^Name")}


@pytest.mark.ldap("dcmExternalRetrieveAET")
def test_they_have_the_attributes_that_the_index_has(scene: Scene) -> None:
    scene.start()
    changed = [pydicom.dcmread(file) for file in scene.files[:1]]
    changed[0].SOPInstanceUID = changed[0].file_meta.MediaStorageSOPInstanceUID = UID(f"{STUDY}.9")
    changed[0].PatientBirthDate = "19700101"
    assert store(scene.seed.archive_port, changed) == [0x0000]
    scene.delete(1, 3)
    assert scene.move()[0] == (0x0000, 7, 0)
    assert {ds.get("PatientBirthDate") for ds in scene.viewer.received} == {"19700101"}


@pytest.mark.ldap("dcmExternalRetrieveAET")
def test_edited_values_are_in_all_objects_and_removed_ones_are_empty(scene: Scene) -> None:
    scene.start()
    name, sex = 0x00100010, 0x00100040
    amendment = Amendment(
        ae_title="DCM4CHEE",
        study_instance_uid=STUDY,
        level=Level.PATIENT,
        shown={name: ("A^B",), sex: ("O",)},
        wanted={name: ("C^D",), sex: ()},
    )
    scene.seed.service.amend(amendment)
    scene.delete(1)
    assert scene.move() == ((0x0000, 6, 0), [])
    for ds in scene.viewer.received:
        assert (str(ds.PatientName), ds.PatientSex) == ("C^D", "")
        (item,) = ds.OriginalAttributesSequence
        assert item.ModifiedAttributesSequence[0].PatientName == "A^B"
