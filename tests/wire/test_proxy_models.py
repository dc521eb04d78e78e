"""In which information model an archive behind the proxy is asked, and what is negotiated with it (PS3.4 C.4.1.2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from dcm4py_leading.composition.check import check
from dcm4py_leading.model.options import parse_options
from dcm4py_leading.model.values import TransferRole
from tests.fixtures.pacs import Received, Script, ScriptedPacs, make_object, uids_of
from tests.fixtures.pacs_content import LEVELS, UNIQUE, finds, moves
from tests.fixtures.proxy import QUERY_RULE, await_rest, stand_in_front_of
from tests.fixtures.scripted import LeadingScp, Viewer, matches_keys
from tests.fixtures.scu import PATIENT_FIND, STUDY_FIND, STUDY_GET, STUDY_MOVE, find, identifier, move
from tests.fixtures.service import AE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.201"
OBJECTS = [make_object(STUDY, number) for number in (1, 2)]
NEW = identifier("STUDY", StudyInstanceUID=STUDY, PatientID="NEW", PatientName="New^Name")


def by_the_book(script: Script, *, is_relational: bool = False) -> Script:
    """An archive that refuses what is no hierarchical query or retrieve of the model (PS3.4 C.4.1.2.1)."""

    def strict(received: Received) -> None:
        keys = received.identifier
        top = 0 if received.pacs.models[-1] == PATIENT_FIND else 1
        above = UNIQUE[top : LEVELS.index(keys.QueryRetrieveLevel)]
        single = [
            isinstance(keys.get(one), str) and bool(keys[one].value) and "*" not in keys[one].value for one in above
        ]
        if all(single) or is_relational:
            script(received)
        else:
            received.respond(0xA900)

    return strict


class Scene:
    """Ours in front of an archive that goes by the book, with the new name and Patient ID in the leading archive."""

    def __init__(
        self,
        seed: Seed,
        start_pacs: Callable[..., ScriptedPacs],
        leading_scp: Callable[..., LeadingScp],
    ) -> None:
        self.seed, self._start_pacs, self._leading_scp = seed, start_pacs, leading_scp

    def start(self, *, leading_first: bool = True, grants: bool = False, **settings: str) -> None:
        self.pacs = self._start_pacs(
            self.seed.archive_port,
            find=by_the_book(finds(OBJECTS), is_relational=grants),
            move=by_the_book(moves(OBJECTS), is_relational=grants),
            grants_relational=grants,
        )
        stand_in_front_of(self.seed, self.pacs.port)
        if settings:
            self.seed.set(AE, **settings)
        if leading_first:
            self._leading_scp(self.seed.leading_port, matches_keys(NEW))
            self.seed.lead()
            self.seed.change(QUERY_RULE)
            self.seed.options = parse_options(["leading-first=true"])
        self.seed.start()

    def allow_relational(self, sop_class: str) -> None:
        """dcmRelationalQueries of that transfer capability."""
        (dn,) = [
            capability.dn
            for ae in check(self.seed.site).snapshot.device.application_entities
            for capability in ae.transfer_capabilities
            if capability.sop_class == sop_class and capability.transfer_role is TransferRole.SCP
        ]
        self.seed.set(dn, dcmRelationalQueries="TRUE")
        self.seed.service.reload()

    def find(self, level: str, model: str = PATIENT_FIND, **keys: object) -> tuple[int, list[tuple[str, str]]]:
        """C-FIND: status; Patient ID and name of each match."""
        status, matches = find(self.seed.archive_port, identifier(level, **{"PatientName": "", **keys}), model)
        return status, [(ds.PatientID, str(ds.PatientName)) for ds in matches]


@pytest.fixture
def scene(seed: Seed, scripted_pacs: Callable[..., ScriptedPacs], leading_scp: Callable[..., LeadingScp]) -> Scene:
    return Scene(seed, scripted_pacs, leading_scp)


LED = [("NEW", "New^Name")]


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("PATIENT", {}),
        ("STUDY", {"StudyInstanceUID": ""}),
        ("STUDY", {"StudyInstanceUID": STUDY}),
        ("SERIES", {"StudyInstanceUID": STUDY, "SeriesInstanceUID": ""}),
        ("IMAGE", {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1", "SOPInstanceUID": ""}),
    ],
)
def test_a_patient_root_query_by_the_new_patient_id_is_asked_in_study_root(
    scene: Scene, level: str, keys: dict[str, str]
) -> None:
    scene.start()
    count = 2 if level == "IMAGE" else 1
    assert scene.find(level, PatientID="NEW", **keys) == (0x0000, LED * count)
    assert STUDY_FIND in scene.pacs.models
    assert all(asked.StudyInstanceUID for asked in scene.pacs.finds[1:])  # those that the leading archive named
    assert scene.find(level, PatientID="OLD", **keys) == (0x0000, [])


@pytest.mark.parametrize("key", ["PatientID", "PatientName"])
def test_a_query_for_patients_by_any_key_is_asked_in_study_root(scene: Scene, key: str) -> None:
    scene.start()
    keys = {"PatientID": "", "PatientName": "", key: {"PatientID": "NEW", "PatientName": "NEW*"}[key]}
    assert scene.find("PATIENT", **keys) == (0x0000, LED)
    assert STUDY_FIND in scene.pacs.models


def test_a_patient_root_query_that_is_one_stays_one(scene: Scene) -> None:
    scene.start(leading_first=False)
    assert scene.find("STUDY", PatientID="OLD", StudyInstanceUID="") == (0x0000, [("OLD", "Old^Name")])
    assert scene.find("PATIENT", PatientID="") == (0x0000, [("OLD", "Old^Name")])
    assert set(scene.pacs.models) == {PATIENT_FIND}


# -- relational queries and retrieval --------------------------------------------------------------------------------


def wants_relational(sop_class: str) -> SOPClassExtendedNegotiation:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = sop_class, b"\x01"
    return item


def relational(scene: Scene) -> tuple[int, int]:
    """A relational C-FIND: status and number of matches."""
    keys = identifier("SERIES", SeriesInstanceUID="", PatientName="Old^Name")
    status, matches = find(scene.seed.archive_port, keys, ext_neg=[wants_relational(STUDY_FIND)])
    return status, len(matches)


def asked_for(pacs: ScriptedPacs) -> list[dict[str, bytes]]:
    """The extended negotiation of each association with the archive."""
    return [dict(request.user.extended) for request in pacs.proposals]


@pytest.mark.ldap("dcmRelationalQueries")
def test_a_relational_query_is_negotiated_with_the_archive(scene: Scene) -> None:
    scene.start(leading_first=False, grants=True)
    scene.allow_relational(STUDY_FIND)
    assert relational(scene) == (0x0000, 1)
    assert asked_for(scene.pacs) == [{STUDY_FIND: b"\x01"}]


@pytest.mark.ldap("dcmRelationalQueries")
def test_an_archive_that_grants_no_relational_query_is_not_asked_one(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.start(leading_first=False)
    scene.allow_relational(STUDY_FIND)
    assert relational(scene) == (0xA900, 0)
    assert scene.pacs.finds == []
    assert "PACS grants no relational queries" in caplog.text


@pytest.mark.ldap("dcmRelationalQueryNegotiationLenient")
def test_where_we_take_them_without_negotiation_we_also_ask_so(scene: Scene) -> None:
    scene.start(leading_first=False, dcmRelationalQueryNegotiationLenient="TRUE")
    assert relational(scene) == (0xA900, 0)  # so it answers
    assert len(scene.pacs.finds) == 1


def test_a_query_that_needs_nothing_relational_negotiates_nothing(scene: Scene) -> None:
    scene.start(leading_first=False)
    scene.allow_relational(STUDY_FIND)
    keys = identifier("STUDY", StudyInstanceUID="", PatientName="")
    assert find(scene.seed.archive_port, keys, ext_neg=[wants_relational(STUDY_FIND)])[0] == 0x0000
    assert asked_for(scene.pacs) == [{}]


@pytest.mark.ldap("dcmRelationalQueries")
@pytest.mark.parametrize("grants", [True, False])
def test_relational_retrieval_is_negotiated_too(scene: Scene, viewer: Callable[..., Viewer], grants: bool) -> None:
    scene.start(leading_first=False, grants=grants)
    scene.allow_relational(STUDY_MOVE)
    station = viewer(scene.seed.viewer_port)
    keys = identifier("IMAGE", SOPInstanceUID=OBJECTS[0].SOPInstanceUID)
    final = move(scene.seed.archive_port, keys, ext_neg=[wants_relational(STUDY_MOVE)])[-1][0]
    await_rest(scene.seed)
    assert final.Status == (0x0000 if grants else 0xA900)
    assert uids_of(station.received) == (uids_of(OBJECTS[:1]) if grants else [])
    assert len(scene.pacs.moves) == int(grants)
    assert {STUDY_MOVE: b"\x01", STUDY_GET: b"\x01"} in asked_for(scene.pacs)
