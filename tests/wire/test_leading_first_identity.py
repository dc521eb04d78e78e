"""Old and new identity of patients, leading-first: what a query finds is what a retrieve delivers, and none is mixed.

The same studies, once in this archive and once in one that it stands in front of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from dcm4py_leading.model.options import parse_options
from tests.fixtures.pacs import Received, ScriptedPacs, make_object, sends
from tests.fixtures.proxy import QUERY_RULE, await_rest, stand_in_front_of
from tests.fixtures.scripted import LeadingScp, Viewer, matches_keys
from tests.fixtures.scu import PATIENT_FIND, PATIENT_GET, PATIENT_MOVE, find, get, identifier, move, store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.92"
Identity = tuple[str, str, str, str]
"""Patient ID, its issuer, the issuer's universal ID, another ID of the patient."""


def of(patient_id: str, issuer: str) -> Dataset:
    """The identity of a patient, all of it told by the two."""
    ds, qualifiers, other = Dataset(), Dataset(), Dataset()
    qualifiers.UniversalEntityID = f"{issuer}-universal"
    other.PatientID = f"{patient_id}-other"
    ds.PatientID, ds.IssuerOfPatientID = patient_id, issuer
    ds.IssuerOfPatientIDQualifiersSequence, ds.OtherPatientIDsSequence = [qualifiers], [other]
    return ds


def identity(ds: Dataset) -> Identity:
    (qualifiers,), (other,) = ds.IssuerOfPatientIDQualifiersSequence, ds.OtherPatientIDsSequence
    return ds.PatientID, ds.IssuerOfPatientID, qualifiers.UniversalEntityID, other.PatientID


def pure(patient_id: str, issuer: str) -> Identity:
    return identity(of(patient_id, issuer))


def study(number: int, patient: Dataset) -> list[Dataset]:
    """Two objects of a patient."""
    objects = [make_object(f"{STUDY}.{number}", instance) for instance in (1, 2)]
    for ds in objects:
        ds.update(patient)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return objects


HELD = [
    *study(1, of("OLD", "A")),
    *study(2, of("OLD", "A")),
    *study(3, of("OLD", "A")),
    *study(4, of("NEW", "B")),
    *study(5, of("NEW", "A")),
]


def led(number: int, patient_id: str, issuer: str) -> Dataset:
    ds = identifier("STUDY", StudyInstanceUID=f"{STUDY}.{number}", PatientName="Led^Name", SpecificCharacterSet="")
    ds.update(of(patient_id, issuer))
    return ds


LED = [led(1, "NEW", "B"), led(2, "OTHER", "C"), led(5, "NEW", "B"), led(9, "NEW", "B")]
"""Study 1 has moved to a new identity, 2 to another patient, 5 to another issuer; 3 and 4 are not known there."""
WHO = [
    (("OLD", None), "3"),
    (("OLD", "A"), "3"),
    (("OLD", "B"), ""),
    (("NEW", None), "145"),
    (("NEW", "B"), "145"),
    (("NEW", "A"), ""),
    (("OTHER", None), "2"),
    (("OTHER", "C"), "2"),
    (("OTHER", "A"), ""),
]
"""Who is asked for, and which studies are of that patient."""
IDENTITIES = {
    "1": pure("NEW", "B"),
    "2": pure("OTHER", "C"),
    "3": pure("OLD", "A"),
    "4": pure("NEW", "B"),
    "5": pure("NEW", "B"),
}


def is_asked_for(ds: Dataset, keys: Dataset) -> bool:
    for keyword in ("StudyInstanceUID", "PatientID", "IssuerOfPatientID"):
        wanted = keys.get(keyword) or []
        if wanted and ds.get(keyword) not in ([wanted] if isinstance(wanted, str) else wanted):
            return False
    return True


def answers(received: Received) -> None:
    """C-FIND: one match for each study."""
    for ds in HELD[::2]:
        if is_asked_for(ds, received.identifier):
            match = Dataset()
            match.update({tag: ds[tag] for tag in received.identifier.keys() if tag in ds})
            match.QueryRetrieveLevel = received.identifier.QueryRetrieveLevel
            received.respond(0xFF00, match)
    received.respond(0x0000)


class Scene:
    """What is asked, and of whom; the leading archive knows the studies of `LED`."""

    def __init__(self, seed: Seed, start_leading: Callable[..., LeadingScp], station: Viewer) -> None:
        self.port = seed.archive_port
        self.station = station
        self.leading = start_leading(seed.leading_port, matches_keys(*LED))
        self._seed = seed
        seed.lead()
        seed.change(QUERY_RULE)
        seed.options = parse_options(["leading-first=true"])

    def found(self, who: tuple[str, str | None]) -> dict[str, Identity]:
        """C-FIND at STUDY level by a patient's identity: the studies, and whose each is said to be."""
        keys = self._keys("STUDY", who, StudyInstanceUID="")
        keys.IssuerOfPatientID = who[1] or ""
        keys.IssuerOfPatientIDQualifiersSequence, keys.OtherPatientIDsSequence = [], []
        status, matches = find(self.port, keys, PATIENT_FIND)
        assert status == 0x0000
        numbers = [ds.StudyInstanceUID.rpartition(".")[2] for ds in matches]
        assert len(numbers) == len(set(numbers))
        return {number: identity(ds) for number, ds in zip(numbers, matches, strict=True)}

    def moved(self, who: tuple[str, str | None], level: str = "PATIENT", **keys: Any) -> dict[str, Identity]:
        """C-MOVE by a patient's identity: the studies that are delivered, and whose each is."""
        self.station.received.clear()
        final = move(self.port, self._keys(level, who, **keys), model=PATIENT_MOVE)[-1][0]
        return self._delivered(final, self.station.received)

    def got(self, who: tuple[str, str | None]) -> dict[str, Identity]:
        """As `moved`, by C-GET of STORESCP, about which the rule is."""
        responses, received = get(self.port, self._keys("PATIENT", who), model=PATIENT_GET, calling="STORESCP")
        return self._delivered(responses[-1][0], received)

    def _delivered(self, final: Dataset, received: Sequence[Dataset]) -> dict[str, Identity]:
        await_rest(self._seed)
        assert (final.Status, final.get("NumberOfCompletedSuboperations", 0)) == (0x0000, len(received))
        told = {(ds.StudyInstanceUID.rpartition(".")[2], identity(ds)) for ds in received}
        assert len(received) == 2 * len(told)
        return dict(told)

    def _keys(self, level: str, who: tuple[str, str | None], **keys: Any) -> Dataset:
        issuer = {} if who[1] is None else {"IssuerOfPatientID": who[1]}
        return identifier(level, PatientID=who[0], **issuer, **keys)


@pytest.fixture(params=["here", "there"])
def scene(
    request: pytest.FixtureRequest,
    seed: Seed,
    scripted_pacs: Callable[..., ScriptedPacs],
    viewer: Callable[..., Viewer],
    leading_scp: Callable[..., LeadingScp],
    tmp_path: Path,
) -> Scene:
    scene = Scene(seed, leading_scp, viewer(seed.viewer_port))
    if request.param == "here":
        seed.start()
        assert set(store(seed.archive_port, HELD)) == {0x0000}
        return scene

    def send(received: Received) -> None:
        sends([ds for ds in HELD if is_asked_for(ds, received.identifier)])(received)

    pacs = scripted_pacs(seed.archive_port, find=answers, move=send)
    stand_in_front_of(seed, pacs.port)
    seed.start()
    return scene


def test_query_and_retrieve_agree_and_mix_no_identity(scene: Scene) -> None:
    for who, numbers in WHO:
        wanted = {number: IDENTITIES[number] for number in numbers}
        assert scene.found(who) == wanted, who
        assert scene.moved(who) == wanted, who
    assert scene.got(("NEW", None)) == {number: IDENTITIES[number] for number in "145"}
    assert scene.got(("OLD", None)) == {"3": IDENTITIES["3"]}


def test_a_study_that_is_named_beside_a_patient_is_delivered_only_if_it_is_of_that_patient(scene: Scene) -> None:
    for number, whose in (("1", "NEW"), ("2", "OTHER"), ("3", "OLD")):
        for patient_id in ("OLD", "NEW", "OTHER"):
            delivered = scene.moved((patient_id, None), "STUDY", StudyInstanceUID=f"{STUDY}.{number}")
            assert delivered == ({number: IDENTITIES[number]} if patient_id == whose else {})


def test_while_the_leading_archive_is_down_the_old_identity_is_found_and_delivered_whole(scene: Scene) -> None:
    scene.leading.stop()
    wanted = {number: pure("OLD", "A") for number in "123"}
    assert scene.found(("OLD", None)) == scene.moved(("OLD", None)) == wanted
    assert scene.found(("OTHER", None)) == scene.moved(("OTHER", None)) == {}
