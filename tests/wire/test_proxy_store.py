"""What is stored to an AE in front of a PACS alone goes there; the PACS's answer is the answer."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from dcm4py_leading.dicom.upper.dimse_message import MoveOriginator
from dcm4py_leading.dicom.upper.pdu import ReleaseRequest
from dcm4py_leading.dicom.upper.state import Event
from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.cutting import CuttingRelay
from tests.fixtures.datasets import read_sample
from tests.fixtures.links import CT, IMPLICIT
from tests.fixtures.modality import Answer, Modality
from tests.fixtures.pacs import make_object
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scripted import LeadingScp, knows
from tests.fixtures.service import AE, CONNECTION, DEVICE, Seed
from tests.fixtures.storing_pacs import Script, Stored, StoringPacs, takes_all
from tests.fixtures.workers import until

STUDY = "1.2.826.0.1.3680043.8.498.91"
MR, SC = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT = str(ExplicitVRLittleEndian)
NO_STORAGE = f"dn: dcmStorageID=fs1,{DEVICE}\nchangetype: delete"
StartPacs = Callable[..., StoringPacs]


def aborts(stored: Stored) -> None:
    stored.abort()


def in_turn(*scripts: Script) -> Script:
    """One script for each object, the last one for all that follow."""
    left = list(scripts)
    return lambda stored: (left.pop(0) if len(left) > 1 else left[0])(stored)


def rule(seed: Seed, role: str, text: str, *, cn: str) -> None:
    """Add a rule for C-STORE requests below the device."""
    seed.change(
        f"dn: cn={cn},{DEVICE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion2\ncn: {cn}\n"
        f"dcmDIMSE: C_STORE_RQ\ndicomTransferRole: {role}\n{text}"
    )


class Scene:
    """Ours in front of a scripted archive; the device has a storage."""

    def __init__(self, seed: Seed, start_pacs: StartPacs) -> None:
        self.seed, self.start_pacs = seed, start_pacs

    def start(self, script: Script = takes_all, *, way_to_pacs: int = 0, settings: Any = None, **pacs: Any) -> None:
        """Start everything; ``settings`` are attributes of the device."""
        self.pacs = self.start_pacs(self.seed.archive_port, script, **pacs)
        stand_in_front_of(self.seed, way_to_pacs or self.pacs.port, **(settings or {}))
        self.seed.start()

    def modality(self, *proposals: tuple[str, list[str]], **settings: Any) -> Modality:
        return Modality(self.seed.archive_port, proposals or [(CT, [IMPLICIT])], **settings)

    def store(self, *objects: Dataset, **settings: Any) -> list[Answer]:
        """C-STORE of all, on one association."""
        with self.modality(**settings) as modality:
            return [modality.store(ds) for ds in objects]

    @property
    def got(self) -> list[str]:
        """What the PACS has got."""
        return [received.sop_instance_uid for received in self.pacs.stores]


@pytest.fixture
def scene(seed: Seed, storing_pacs: StartPacs) -> Scene:
    return Scene(seed, storing_pacs)


def await_ends() -> None:
    """Wait until no association with us is left, and so none of ours that belongs to one."""
    until(lambda: not any(thread.name.startswith("association from") for thread in threading.enumerate()), seconds=20)


def decoded(stored: Stored) -> Dataset:
    return read_dataset(BytesIO(stored.data), stored.transfer_syntax_uid == IMPLICIT, True)


def objects(count: int) -> list[Dataset]:
    return [make_object(STUDY, number, size=100) for number in range(1, count + 1)]


# -- what the archive says -------------------------------------------------------------------------------------------


@pytest.mark.ldap("dcmSpanningCFindSCPPolicy")
def test_received_objects_are_sent_on_unchanged(scene: Scene) -> None:
    scene.start()
    (sent,) = objects(1)
    assert scene.store(sent) == [Answer(0x0000)]
    (got,) = scene.pacs.stores
    assert got.data == encoded(sent, IMPLICIT)
    assert (got.sop_class_uid, got.sop_instance_uid, got.originator) == (CT, sent.SOPInstanceUID, "")
    assert scene.pacs.caller == "DCM4CHEE"
    assert scene.seed.objects == []


@pytest.mark.parametrize(
    ("status", "comment"),
    [(0x0000, ""), (0xB000, "Patient ID was changed"), (0xB007, ""), (0xA700, "no room left"), (0xC123, "not today")],
)
def test_its_status_and_error_comment_are_passed_on(scene: Scene, status: int, comment: str) -> None:
    scene.start(lambda stored: stored.respond(status, comment=comment))
    assert scene.store(*objects(2)) == [Answer(status, comment)] * 2
    assert len(scene.pacs.associations) == 1


def test_an_object_is_answered_after_the_archive_has_answered(scene: Scene) -> None:
    order: list[str] = []

    def script(stored: Stored) -> None:
        order.append("asked")
        stored.respond(0x0000)

    scene.start(script)
    with scene.modality() as modality:
        for ds in objects(2):
            modality.store(ds)
            order.append("answered")
    assert order == ["asked", "answered"] * 2


def test_an_archive_that_is_down_is_named_and_gets_later_objects_when_it_is_back(scene: Scene) -> None:
    port = free_port()
    scene.start(way_to_pacs=port)
    first, second = objects(2)
    with scene.modality() as modality:
        status, comment = modality.store(first)
        assert status == 0xC000
        assert comment.startswith("PACS at localhost")
        back = scene.start_pacs(scene.seed.archive_port, port=port)
        assert modality.store(second) == Answer(0x0000)
    assert [received.sop_instance_uid for received in back.stores] == [second.SOPInstanceUID]
    assert scene.seed.objects == []


def test_an_archive_that_the_directory_does_not_know_is_named(scene: Scene) -> None:
    scene.seed.set(DEVICE, dcmSpanningCFindSCP="NOWHERE")
    scene.seed.start()
    assert scene.store(*objects(1)) == [Answer(0xC000, "NOWHERE is not in the directory")]


def test_one_that_is_silent_is_given_up_and_asked_no_second_time(scene: Scene) -> None:
    scene.seed.set(CONNECTION, dcmResponseTimeout="300")
    scene.start(in_turn(takes_all, lambda stored: None))
    assert scene.store(*objects(2)) == [Answer(0x0000), Answer(0xC000, "PACS: no response in time")]
    assert len(scene.pacs.associations) == 1
    assert len(scene.pacs.stores) == 2


def test_one_that_takes_no_such_objects_is_named(scene: Scene) -> None:
    scene.start(takes=lambda sop_class_uid, _: sop_class_uid != CT)
    (answer,) = scene.store(*objects(1))
    assert answer == Answer(0x0122, "PACS takes no objects of this SOP class")


# -- associations ----------------------------------------------------------------------------------------------------


def test_500_objects_use_one_association_which_ends_with_the_clients(scene: Scene) -> None:
    scene.start()
    sent = objects(500)
    assert scene.store(*sent) == [Answer(0x0000)] * 500
    assert scene.got == [ds.SOPInstanceUID for ds in sent]
    assert len(scene.pacs.associations) == 1
    await_ends()
    assert scene.pacs.released == 1


def test_each_association_with_us_has_one_of_its_own(scene: Scene) -> None:
    scene.start()
    one, other = objects(2)
    with scene.modality() as first, scene.modality() as second:
        assert first.store(one) == second.store(other) == first.store(one) == Answer(0x0000)
    assert len(scene.pacs.associations) == 2


def test_no_object_no_association(scene: Scene) -> None:
    scene.start()
    with scene.modality():
        pass
    assert scene.pacs.associations == []


def test_contexts_of_the_modality_are_negotiated_at_once(scene: Scene) -> None:
    scene.start()
    with scene.modality((CT, [IMPLICIT]), (MR, [EXPLICIT]), (SC, [str(RLELossless)])) as modality:
        for sop_class, syntax in ((CT, IMPLICIT), (MR, EXPLICIT), (SC, str(RLELossless)), (CT, IMPLICIT)):
            (ds,) = objects(1)
            ds.SOPClassUID = sop_class
            data = encoded(ds, syntax)
            answer = modality.store_bytes([data], len(data), ds.SOPInstanceUID, sop_class, syntax)
            assert answer == Answer(0x0000)
    assert [received.transfer_syntax_uid for received in scene.pacs.stores] == [
        *(IMPLICIT, EXPLICIT, str(RLELossless), IMPLICIT)
    ]
    assert len(scene.pacs.associations) == 1


def test_more_sop_classes_than_one_association_holds_cost_one_more_not_one_an_object(scene: Scene) -> None:
    """Each needs two presentation contexts, of which there may be 128."""
    from pynetdicom import StoragePresentationContexts

    known = [str(context.abstract_syntax) for context in StoragePresentationContexts][:110]
    scene.seed.list_all_classes()
    scene.start()
    with scene.modality(*((sop_class, [IMPLICIT]) for sop_class in known)) as modality:
        accepted = [context.abstract_syntax for context in modality.association.contexts.values()]
        assert len(accepted) > 64
        first, last = accepted[0], accepted[-1]
        for number, sop_class in enumerate((first, last) * 5):
            ds = make_object(STUDY, number, SOPClassUID=sop_class)
            assert modality.store(ds) == Answer(0x0000)
    assert len(scene.pacs.associations) == 2


@pytest.mark.parametrize("is_aborted", [True, False])
def test_one_that_the_archive_ends_between_two_objects_is_opened_again(scene: Scene, is_aborted: bool) -> None:
    scene.start()
    first, second = objects(2)
    with scene.modality() as modality:
        assert modality.store(first) == Answer(0x0000)
        (idle,) = scene.pacs.associations
        if is_aborted:
            idle.abort()
        else:
            idle.link.send(Event.RELEASE, ReleaseRequest())  # who reads there gets the answer
        assert modality.store(second) == Answer(0x0000)
    assert scene.got == [first.SOPInstanceUID, second.SOPInstanceUID]
    assert len(scene.pacs.associations) == 2


def test_one_that_ends_in_place_of_a_response_costs_one_more_try_if_it_took_objects_before(scene: Scene) -> None:
    scene.start(in_turn(takes_all, aborts, takes_all))
    first, second = objects(2)
    assert scene.store(first, second) == [Answer(0x0000)] * 2
    assert scene.got == [first.SOPInstanceUID, second.SOPInstanceUID, second.SOPInstanceUID]
    assert len(scene.pacs.associations) == 2


def test_an_archive_that_aborts_at_every_object_is_a_failure_of_each(scene: Scene) -> None:
    scene.start(aborts)
    answers = scene.store(*objects(2))
    assert [answer.status for answer in answers] == [0xC000] * 2
    assert all(answer.comment.startswith("PACS: ") for answer in answers)
    assert len(scene.pacs.associations) == 2


def test_a_wire_that_is_cut_within_an_object_is_a_failure_of_that_object_alone(
    scene: Scene, cutting_relay: Callable[..., CuttingRelay]
) -> None:
    port = free_port()
    scene.start(way_to_pacs=port)
    relay = cutting_relay(port, scene.pacs.port, [100_000])
    first, second = make_object(STUDY, 1, size=1 << 20), make_object(STUDY, 2, size=1 << 20)
    (failed, taken) = scene.store(first, second)
    assert failed.status == 0xC000
    assert failed.comment.startswith("PACS: ")
    assert taken == Answer(0x0000)
    assert scene.got == [second.SOPInstanceUID]
    assert relay.connections == 2


def test_truncated_object_is_not_forwarded(scene: Scene) -> None:
    scene.start()
    first, second = objects(2)
    modality = scene.modality()

    def torn() -> Iterator[bytes]:
        yield bytes(1000)
        raise RuntimeError("the modality fails")

    assert modality.store(first) == Answer(0x0000)
    with pytest.raises(RuntimeError):
        modality.store_bytes(torn(), 2000, "1.2.3")
    modality.association.link.close()
    assert scene.store(second) == [Answer(0x0000)]
    await_ends()
    assert scene.got == [first.SOPInstanceUID, second.SOPInstanceUID]
    assert scene.pacs.released == 2


def test_a_service_that_stops_does_not_wait_for_a_silent_archive(scene: Scene) -> None:
    is_there = threading.Event()
    scene.start(in_turn(takes_all, lambda stored: is_there.set()))
    ended: list[BaseException] = []

    def send() -> None:
        try:
            scene.store(*objects(2))
        except BaseException as err:
            ended.append(err)

    modality = threading.Thread(target=send)
    modality.start()
    assert is_there.wait(60)
    scene.seed.service.stop(0)
    modality.join(20)
    assert not modality.is_alive() and len(ended) == 1
    assert len(scene.pacs.associations) == 1  # nothing is sent once more when we end it ourselves


# -- transfer syntaxes, large objects --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "JPEG2000.dcm", "image_dfl.dcm", "MR_small.dcm"])
def test_an_object_keeps_its_transfer_syntax_where_the_archive_takes_that(scene: Scene, name: str) -> None:
    scene.start()
    ds = read_sample(name)
    syntax = str(ds.file_meta.TransferSyntaxUID)
    data = encoded(ds, syntax)
    with scene.modality((str(ds.SOPClassUID), [syntax])) as modality:
        answer = modality.store_bytes([data], len(data), ds.SOPInstanceUID, str(ds.SOPClassUID), syntax)
    assert answer == Answer(0x0000)
    (got,) = scene.pacs.stores
    assert (got.transfer_syntax_uid, got.data) == (syntax, data)


@pytest.mark.parametrize(
    ("compressed", "name"), [(RLELossless, "MR_small.dcm"), (JPEG2000Lossless, "MR_small.dcm")], ids=["RLE", "J2K"]
)
def test_an_archive_that_takes_only_uncompressed_objects_gets_them_decoded(
    scene: Scene, compressed: pydicom.uid.UID, name: str
) -> None:
    scene.start(takes=lambda _, syntax: syntax == EXPLICIT)
    source = {RLELossless: "MR_small_RLE.dcm", JPEG2000Lossless: "MR_small_jp2klossless.dcm"}[compressed]
    ds, plain = read_sample(source), read_sample(name)
    data = encoded(ds, str(compressed))
    with scene.modality((MR, [str(compressed)])) as modality:
        assert modality.store_bytes([data], len(data), ds.SOPInstanceUID, MR, str(compressed)) == Answer(0x0000)
    (got,) = scene.pacs.stores
    assert got.transfer_syntax_uid == EXPLICIT
    assert decoded(got).PixelData == plain.PixelData
    assert scene.seed.service._process.measure().transcoded_objects == 1


def test_object_undecodable_for_the_archive_is_a_failure_and_is_not_sent(scene: Scene) -> None:
    scene.start(takes=lambda _, syntax: syntax == EXPLICIT)
    (ds,) = objects(1)
    ds.Rows = ds.Columns = 10
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel, ds.PhotometricInterpretation = 15, 0, 1, "MONOCHROME2"
    ds.PixelData = pydicom.encaps.encapsulate([b"no such thing"])
    ds["PixelData"].VR = "OB"
    data = encoded(ds, str(JPEG2000Lossless))
    with scene.modality((CT, [str(JPEG2000Lossless)])) as modality:
        status, comment = modality.store_bytes([data], len(data), ds.SOPInstanceUID, CT, str(JPEG2000Lossless))
    assert status == 0x0110
    assert comment.startswith("frame 1 of 1: no JPEG 2000 code stream begins there")
    assert scene.got == []


@pytest.mark.parametrize("is_coerced", [False, True])
def test_an_object_of_200_mebibytes_passes_in_little_memory(scene: Scene, is_coerced: bool) -> None:
    size = 200 << 20
    if is_coerced:
        rule(scene.seed, "SCU", "dcmURI: merge-attrs:\ndcmMergeAttribute: StudyDescription=Received", cn="received")
        rule(scene.seed, "SCP", "dcmURI: merge-attrs:\ndcmMergeAttribute: SeriesDescription=Sent on", cn="sent")
    scene.start(keeps=False)
    head = encoded(make_object(STUDY, 1), IMPLICIT) + b"\xe0\x7f\x10\x00" + size.to_bytes(4, "little")
    chunk = bytes(1 << 20)

    def source() -> Iterator[bytes]:
        yield head
        for _ in range(200):
            yield chunk

    tracemalloc.start()
    try:
        with scene.modality() as modality:
            assert modality.store_bytes(source(), len(head) + size, "1.2.3") == Answer(0x0000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 48 << 20
    (got,) = scene.pacs.stores
    assert got.size > len(head) + size if is_coerced else got.size == len(head) + size


# -- coercion --------------------------------------------------------------------------------------------------------


@pytest.mark.ldap("dcmMergeAttribute")
def test_it_is_coerced_as_received_and_then_as_sent(scene: Scene) -> None:
    rule(
        scene.seed,
        "SCU",
        "dcmProperty: SendingApplicationEntityTitle=MODALITY\ndcmURI: merge-attrs:\ndcmMergeAttribute: PatientID=NEW",
        cn="received",
    )
    rule(
        scene.seed,
        "SCP",
        "dcmProperty: ReceivingApplicationEntityTitle=PACS\ndcmURI: merge-attrs:\n"
        "dcmMergeAttribute: PatientComments=Was {PatientID}",
        cn="sent",
    )
    scene.start()
    (sent,) = objects(1)
    assert scene.store(sent) == [Answer(0x0000)]
    got = decoded(scene.pacs.stores[0])
    assert (got.PatientID, got.PatientComments, got.PatientName) == ("NEW", "Was NEW", "Old^Name")
    (told,) = got.OriginalAttributesSequence
    assert told.ModifiedAttributesSequence[0].PatientID == "OLD"
    assert (told.SourceOfPreviousValues, told.ModifyingSystem) == ("MODALITY", "DCM4CHEE")
    assert got.PixelData == sent.PixelData


def test_bytes_stay_where_rules_change_nothing(scene: Scene) -> None:
    for role in ("SCU", "SCP"):
        rule(scene.seed, role, "dcmURI: merge-attrs:\ndcmMergeAttribute: PatientID=OLD", cn=role)
    scene.start()
    (sent,) = objects(1)
    data = encoded(sent, IMPLICIT)
    assert scene.store(sent) == [Answer(0x0000)]
    assert scene.pacs.stores[0].data == data


def test_the_values_of_the_leading_archive_are_sent_on(scene: Scene, leading_scp: Callable[..., LeadingScp]) -> None:
    study = Dataset()
    study.StudyInstanceUID, study.PatientID, study.PatientName = STUDY, "RIGHT", "Right^Name"
    leading = leading_scp(scene.seed.leading_port, knows(study))
    rule(scene.seed, "SCP", "dcmURI: leading-arc:QRSCP", cn="sent")
    scene.start()
    assert scene.store(*objects(5)) == [Answer(0x0000)] * 5
    assert {decoded(received).PatientID for received in scene.pacs.stores} == {"RIGHT"}
    assert len(leading.queries) == 1


def test_object_that_cannot_be_coerced_fails_and_is_not_forwarded(scene: Scene) -> None:
    rule(scene.seed, "SCP", "dcmURI: leading-arc:QRSCP\ndcmCoercionOnFailure: RETHROW", cn="sent")
    scene.start()  # and no leading archive
    (answer,) = scene.store(*objects(1))
    assert answer.status == 0x0110
    assert scene.got == []


# -- the log ---------------------------------------------------------------------------------------------------------


def test_log_line_names_the_receiver_of_an_object_and_nothing_of_the_patient(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    scene.start(lambda stored: stored.respond(0xA700, comment="no room for Old^Name"))
    scene.store(*objects(1))
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("C-STORE from=")]
    assert "from=MODALITY to=DCM4CHEE status=0xA700 study=" in line
    assert " passed_on=PACS transcoded=0 leading=- ms=" in line
    assert "Old" not in caplog.text and STUDY not in caplog.text


# -- what is not sent on ---------------------------------------------------------------------------------------------


@pytest.mark.ldap("dcmSpanningCFindSCPPolicy")
@pytest.mark.parametrize("policy", ["SUPPLEMENT", "MERGE"])
def test_query_matches_are_stored_here(scene: Scene, policy: str) -> None:
    scene.start(settings={"dcmSpanningCFindSCPPolicy": policy})
    assert scene.store(*objects(1)) == [Answer(0x0000)]
    assert scene.pacs.associations == []
    assert len(scene.seed.objects) == 1


def test_an_ae_that_only_retrieves_from_the_archive_stores_here(scene: Scene) -> None:
    scene.start()
    scene.seed.change(f"dn: {DEVICE}\nchangetype: modify\ndelete: dcmSpanningCFindSCP")
    scene.seed.service.reload()
    assert scene.store(*objects(1)) == [Answer(0x0000)]
    assert scene.pacs.associations == []
    assert len(scene.seed.objects) == 1


@pytest.mark.ldap("dcmCStoreSCUOfCMoveSCP")
@pytest.mark.parametrize("calling", ["PACS", "PACSSTORE", "DCM4CHEE"])
@pytest.mark.parametrize("originator", [None, MoveOriginator("WORKSTATION", 7)])
def test_unasked_objects_of_the_archive_or_the_ae_itself_are_stored_not_sent_back(
    scene: Scene, calling: str, originator: MoveOriginator | None
) -> None:
    scene.start(settings={"dcmCStoreSCUOfCMoveSCP": "PACSSTORE=PACS"})
    (ds,) = objects(1)
    with scene.modality(calling=calling) as pacs:
        assert pacs.store(ds, originator=originator) == Answer(0x0000)
    assert scene.pacs.associations == []
    assert len(scene.seed.objects) == 1


@pytest.mark.parametrize("originator", [None, MoveOriginator("WORKSTATION", 7)])
def test_unasked_object_is_refused_where_there_is_no_storage(
    scene: Scene, originator: MoveOriginator | None, caplog: pytest.LogCaptureFixture
) -> None:
    scene.seed.change(NO_STORAGE)
    scene.seed.change(f"dn: {AE}\nchangetype: modify\ndelete: dcmObjectStorageID")
    scene.start()
    (ds,) = objects(1)
    with scene.modality(calling="PACS") as pacs:
        answer = pacs.store(ds, originator=originator)
    assert answer == Answer(0xC000, "nobody asked PACS for it, and here is no storage")
    assert answer.comment in caplog.text
    assert scene.pacs.associations == []


def test_object_of_a_retrieve_that_is_over_is_refused(scene: Scene) -> None:
    scene.start()
    (ds,) = objects(1)
    with scene.modality(calling="PACS") as pacs:
        for message_id in (1, 500):
            assert pacs.store(ds, originator=MoveOriginator("DCM4CHEE", message_id)).status == 0xC000
    assert scene.pacs.associations == []
    assert scene.seed.objects == []


def test_ae_without_storage_forwards_objects_to_the_archive(scene: Scene) -> None:
    scene.seed.change(NO_STORAGE)
    scene.seed.change(f"dn: {AE}\nchangetype: modify\ndelete: dcmObjectStorageID")
    scene.start()
    assert scene.store(*objects(2)) == [Answer(0x0000)] * 2
    assert len(scene.got) == 2
