"""What passes through from another archive is kept, and served for as long as that archive has no more of it."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
from pydicom import Dataset

from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCacheCounts
from dcm4py_leading.dicom.message import move_request
from dcm4py_leading.dicom.upper.link import Link
from dcm4py_leading.dicom.upper.state import Event
from dcm4py_leading.model.options import Options, parse_options
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.proxy.cache_writer import CacheWriter
from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.links import IMPLICIT, REJECT, associate
from tests.fixtures.pacs import Received, Script, ScriptedPacs, make_object, sends, uids_of
from tests.fixtures.peers_required import require
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import await_rest, remote_device, stand_in_front_of, stand_in_front_of_several
from tests.fixtures.scripted import Viewer
from tests.fixtures.scu import STUDY_MOVE, associated, get, identifier, move
from tests.fixtures.service import DEVICE, Seed
from tests.fixtures.workers import Serve, kill, until

STUDY, OTHER = "1.2.826.0.1.3680043.8.498.85", "1.2.826.0.1.3680043.8.498.86"
OBJECTS = [make_object(STUDY, number, size=1000) for number in range(1, 6)]
StartPacs = Callable[..., ScriptedPacs]
StartViewer = Callable[..., Viewer]


class Store:
    """What the archive has: objects by study. It answers queries at every level, and sends."""

    def __init__(self, *objects: Dataset) -> None:
        self.objects = list(objects)
        self.tells_counts = True
        self.more = 0
        """How many instances more it tells than it has."""
        self.send: Callable[[Sequence[Dataset]], Script] = sends

    def find(self, received: Received) -> None:
        """Answer a C-FIND."""
        keys = received.identifier
        level = keys.QueryRetrieveLevel
        chosen = [ds for ds in self.objects if ds.StudyInstanceUID == keys.StudyInstanceUID]
        unique = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}[level]
        if level == "IMAGE":
            chosen = [ds for ds in chosen if ds.SeriesInstanceUID == keys.SeriesInstanceUID]
        for value in dict.fromkeys(ds[unique].value for ds in chosen):
            row = Dataset()
            row.StudyInstanceUID = keys.StudyInstanceUID
            setattr(row, unique, value)
            if level == "STUDY" and self.tells_counts:
                row.NumberOfStudyRelatedInstances = len(chosen) + self.more
            if level == "STUDY":
                row.PatientName = chosen[0].PatientName
            received.respond(0xFF00, row)
        received.respond(0x0000)

    def move(self, received: Received) -> None:
        """Answer a C-MOVE."""
        keys = received.identifier
        named = keys.get("SOPInstanceUID") or keys.get("SeriesInstanceUID")
        chosen = [ds for ds in self.objects if ds.StudyInstanceUID == keys.StudyInstanceUID]
        self.send([ds for ds in chosen if named in (None, ds.SOPInstanceUID, ds.SeriesInstanceUID)])(received)


class Scene:
    """Ours in front of a scripted archive, and a viewer."""

    def __init__(self, seed: Seed, start_pacs: StartPacs, viewer: Viewer) -> None:
        self.seed, self._start_pacs, self.viewer = seed, start_pacs, viewer
        self.store = Store(*OBJECTS)

    def start(self, keep: str = "1M", *, beside: Mapping[str, int] = MappingProxyType({}), **settings: str) -> None:
        """Start everything; of what passes, ``keep`` is kept. ``beside`` are the ports of further archives."""
        self.seed.options = parse_options([f"proxy-keep={keep}"])
        self.pacs = self._start_pacs(self.seed.archive_port, move=self.store.move, find=self.store.find)
        stand_in_front_of_several(self.seed, {"PACS": self.pacs.port, **beside}, **settings)
        self.seed.start()

    def restart(self, options: Options | None = None) -> None:
        """Stop ours, and start it anew."""
        self.seed.service.stop(5)
        self.seed.options = options or self.seed.options
        self.seed.start()

    def move(self, study: str = STUDY, level: str = "STUDY", **keys: str) -> tuple[int, int, int]:
        """C-MOVE to the viewer: status, completed, failed."""
        final, _ = move(self.seed.archive_port, identifier(level, StudyInstanceUID=study, **keys))[-1]
        await_rest(self.seed)
        counts = (final.get(f"NumberOf{name}Suboperations", 0) for name in ("Completed", "Failed"))
        return final.Status, *counts

    def take(self) -> list[str]:
        """What the viewer has received since it was last asked."""
        uids = uids_of(self.viewer.received)
        self.viewer.received.clear()
        return uids

    @property
    def fetched(self) -> int:
        """How often the archive was asked to send."""
        return len(self.pacs.moves)

    @property
    def counts(self) -> ProxyCacheCounts:
        """What is kept."""
        counts = self.seed.service.measure().kept
        assert counts is not None
        return counts

    @property
    def files(self) -> list[int]:
        """The sizes of the files that are kept."""
        return [path.stat().st_size for path in (self.seed.data_dir / "kept").glob("*.study")]


@pytest.fixture
def scene(seed: Seed, scripted_pacs: StartPacs, viewer: StartViewer, monkeypatch: pytest.MonkeyPatch) -> Scene:
    # A busy machine is not a disk that is too slow.
    assert CacheWriter.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(CacheWriter.__init__.__kwdefaults__, "patience", 60.0)
    return Scene(seed, scripted_pacs, viewer(seed.viewer_port))


ALL = (0x0000, 5, 0)


def test_study_that_has_passed_is_not_fetched_again(scene: Scene) -> None:
    scene.start()
    assert [scene.move(), scene.move(), scene.move()] == [ALL] * 3
    assert scene.fetched == 1
    assert scene.take() == uids_of(OBJECTS) * 3
    counts = scene.counts
    assert (counts.studies, counts.hits, counts.misses, counts.removed) == (1, 2, 1, 0)
    assert [counts.size] == scene.files


def test_viewer_gets_the_same_objects_from_cache_and_from_archive(scene: Scene) -> None:
    scene.start()
    for _ in range(2):
        assert scene.move() == ALL
    assert scene.viewer.received[:5] == scene.viewer.received[5:] == OBJECTS


def test_cached_study_is_coerced_when_sent_by_the_rules_of_that_time(scene: Scene) -> None:
    scene.start()
    scene.move()
    scene.take()
    scene.seed.change(
        f"""
dn: cn=Renamed,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion
cn: Renamed
dcmDIMSE: C_STORE_RQ
dicomTransferRole: SCP
dcmMergeAttribute: PatientName=Renamed^Later
"""
    )
    scene.seed.service.reload()
    assert scene.move() == ALL
    assert {str(ds.PatientName) for ds in scene.viewer.received} == {"Renamed^Later"}
    assert scene.fetched == 1


def test_c_get_and_parts_of_a_study_are_served_from_the_cache(scene: Scene) -> None:
    scene.store.objects[3].SeriesInstanceUID = f"{STUDY}.2"
    try:
        scene.start()
        scene.move()
        scene.take()
        responses, received = get(scene.seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))
        assert (responses[-1][0].Status, uids_of(received)) == (0x0000, uids_of(OBJECTS))
        assert scene.move(level="SERIES", SeriesInstanceUID=f"{STUDY}.2") == (0x0000, 1, 0)
        image = {"SeriesInstanceUID": f"{STUDY}.1", "SOPInstanceUID": str(OBJECTS[1].SOPInstanceUID)}
        assert scene.move(level="IMAGE", **image) == (0x0000, 1, 0)
        assert scene.take() == uids_of([OBJECTS[3], OBJECTS[1]])
        assert scene.fetched == 1
        assert scene.move(level="SERIES", SeriesInstanceUID="1.2.3") == (0x0000, 0, 0)
        assert scene.fetched == 2
    finally:
        scene.store.objects[3].SeriesInstanceUID = f"{STUDY}.1"


def test_a_part_of_a_study_is_not_kept_for_all_of_it(scene: Scene) -> None:
    scene.start()
    assert scene.move(level="IMAGE", SeriesInstanceUID=f"{STUDY}.1", SOPInstanceUID=f"{STUDY}.1.2") == (0x0000, 1, 0)
    assert scene.files == []
    assert scene.move() == ALL
    assert scene.fetched == 2


@pytest.mark.parametrize("tells_counts", [True, False])
def test_a_study_that_has_grown_is_fetched_anew_and_kept_anew(scene: Scene, tells_counts: bool) -> None:
    scene.store.tells_counts = tells_counts
    scene.start()
    scene.move()
    scene.store.objects.append(make_object(STUDY, 6))
    assert [scene.move(), scene.move()] == [(0x0000, 6, 0)] * 2
    assert scene.fetched == 2
    assert (scene.counts.studies, scene.counts.removed, len(scene.files)) == (1, 1, 1)


def test_a_study_that_was_corrected_is_fetched_anew_and_kept_anew(scene: Scene) -> None:
    scene.start()
    scene.move()
    scene.take()
    scene.store.objects = [make_object(STUDY, number, PatientName="Right^Name") for number in range(1, 6)]
    assert [scene.move(), scene.move()] == [ALL] * 2
    assert {str(ds.PatientName) for ds in scene.viewer.received} == {"Right^Name"}
    assert (scene.fetched, scene.counts.studies) == (2, 1)


def test_study_that_comes_incomplete_is_not_kept(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.store.more = 2
    scene.start()
    assert scene.move() == ALL
    assert (scene.files, scene.counts.size) == ([], 0)
    assert "is not kept: 7 instances are there, 5 came" in caplog.text


def test_a_study_that_the_archive_has_no_longer_is_not_served(scene: Scene) -> None:
    scene.start()
    scene.move()
    scene.take()
    scene.store.objects.clear()
    assert scene.move() == (0x0000, 0, 0)
    assert (scene.take(), scene.files) == ([], [])


def test_an_archive_that_answers_no_queries_is_asked_for_the_objects_each_time(scene: Scene) -> None:
    scene.store.find = lambda received: received.respond(0xA700)  # type: ignore[method-assign]
    scene.start()
    assert [scene.move(), scene.move()] == [ALL] * 2
    assert scene.fetched == 2


def test_cached_study_is_sent_with_a_warning_while_the_archive_is_down(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.start()
    scene.move()
    scene.take()
    scene.pacs.stop()
    assert scene.move() == ALL
    assert scene.take() == uids_of(OBJECTS)
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "and may have changed since: PACS at localhost" in warning.getMessage()
    assert STUDY not in caplog.text
    assert scene.move(OTHER)[0] == 0xC000


def test_archive_that_rejects_us_is_not_skipped(scene: Scene) -> None:
    scene.start()
    scene.move()
    scene.take()
    scene.pacs.stop()

    def reject(listening: socket.socket) -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            link = Link(sock, is_requestor=False, maximum_length=16384)
            link.receive(20)
            link.send(Event.REJECT, REJECT)
            link.linger(5)
            link.close()

    with socket.create_server(("127.0.0.1", scene.pacs.port)) as listening:
        rejecting = threading.Thread(target=reject, args=(listening,))
        rejecting.start()
        try:
            assert scene.move()[0] == 0xC000
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            rejecting.join(20)
    assert scene.take() == []


def aborts_after_two(objects: Sequence[Dataset]) -> Script:
    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for ds in objects[:2]:
            storing.store(ds)
        storing.abort()
        received.abort()

    return script


def counts_one_more(objects: Sequence[Dataset]) -> Script:
    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for ds in objects:
            storing.store(ds)
        storing.release()
        received.respond(0x0000, completed=len(objects) + 1, failed=0, warning=0)

    return script


def fails_one(objects: Sequence[Dataset]) -> Script:
    def script(received: Received) -> None:
        storing = received.pacs.storing(received)
        for ds in objects[1:]:
            storing.store(ds)
        storing.release()
        failed = received.failed_list(str(objects[0].SOPInstanceUID))
        received.respond(0xB000, failed, completed=len(objects) - 1, failed=1, warning=0)

    return script


@pytest.mark.parametrize("send", [aborts_after_two, counts_one_more, fails_one])
def test_study_that_the_archive_did_not_send_completely_is_not_kept(
    scene: Scene, send: Callable[[Sequence[Dataset]], Script]
) -> None:
    scene.store.send = send
    scene.start()
    assert scene.move()[0] == 0xB000
    assert (scene.files, scene.counts.size) == ([], 0)
    scene.store.send = sends
    assert [scene.move(), scene.move()] == [ALL] * 2
    assert scene.fetched == 2


def test_objects_that_the_viewer_refuses_are_kept_nevertheless(scene: Scene, seed: Seed, viewer: StartViewer) -> None:
    port = free_port()
    viewer(port, script=lambda event: 0xA700)
    seed.change(remote_device("SECOND", port))
    scene.start()
    final, _ = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY), "SECOND")[-1]
    await_rest(seed)
    assert (final.Status, final.NumberOfFailedSuboperations) == (0xA702, 5)
    assert scene.move() == ALL
    assert scene.fetched == 1


def test_a_retrieve_whose_viewer_goes_is_not_kept(scene: Scene, seed: Seed) -> None:
    seed.change(remote_device("NOWHERE", free_port()))
    scene.start()
    final, _ = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY), "NOWHERE")[-1]
    await_rest(seed)
    assert final.Status == 0xA702
    assert (scene.files, scene.counts.studies) == ([], 0)


def test_a_cancelled_retrieve_is_not_kept(scene: Scene) -> None:
    def halfway(objects: Sequence[Dataset]) -> Script:
        def script(received: Received) -> None:
            storing = received.pacs.storing(received)
            for number, ds in enumerate(objects[:2], 1):
                storing.store(ds)
                received.respond(0xFF00, remaining=5 - number, completed=number, failed=0, warning=0)
            received.await_cancel()
            storing.release()
            received.respond(0xFE00, remaining=3, completed=2, failed=0, warning=0)

        return script

    scene.store.send = halfway
    scene.start(dcmSendPendingCMoveInterval="PT0.01S")
    with associated(scene.seed.archive_port, [STUDY_MOVE]) as assoc:
        statuses: list[int] = []
        keys = identifier("STUDY", StudyInstanceUID=STUDY)
        for status, _ in assoc.send_c_move(keys, "STORESCP", STUDY_MOVE):
            if status.get("NumberOfCompletedSuboperations") == 2 and 0xFFFF not in statuses:
                assoc.send_c_cancel(1, None, STUDY_MOVE)
                statuses.append(0xFFFF)
            statuses.append(status.Status)
    await_rest(scene.seed)
    assert statuses[-1] == 0xFE00
    assert (scene.files, scene.counts.studies) == ([], 0)
    scene.store.send = sends
    assert scene.move() == ALL


def test_each_archive_has_its_own_kept_studies_which_are_served_while_it_is_down(
    scene: Scene, scripted_pacs: StartPacs
) -> None:
    second = Store(*(make_object(OTHER, number) for number in range(2)))
    other = scripted_pacs(scene.seed.archive_port, move=second.move, find=second.find, ae_title="SECOND")
    scene.start(beside={"SECOND": other.port})
    for _ in range(2):
        assert (scene.move(), scene.move(OTHER)) == (ALL, (0x0000, 2, 0))
    assert (len(scene.pacs.moves), len(other.moves), scene.counts.studies) == (1, 1, 2)
    scene.pacs.stop()
    other.stop()
    assert (scene.move(), scene.move(OTHER)) == (ALL, (0x0000, 2, 0))


def test_two_viewers_at_once_get_all_and_the_study_is_kept_once(scene: Scene, seed: Seed, viewer: StartViewer) -> None:
    port = free_port()
    second = viewer(port)
    seed.change(remote_device("SECOND", port))
    both = threading.Barrier(2, timeout=60)

    def together(objects: Sequence[Dataset]) -> Script:
        def script(received: Received) -> None:
            both.wait()
            sends(objects)(received)

        return script

    scene.store.send = together
    scene.start()
    keys = identifier("STUDY", StudyInstanceUID=STUDY)
    threads = [
        threading.Thread(target=lambda title=title: move(seed.archive_port, keys, title))
        for title in ("STORESCP", "SECOND")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    await_rest(seed)
    assert sorted(scene.take()) == sorted(uids_of(second.received)) == uids_of(OBJECTS)
    assert (scene.counts.studies, len(scene.files)) == (1, 1)
    assert scene.move() == ALL
    assert scene.fetched == 2


def test_no_more_is_kept_than_the_limit_and_the_least_recently_used_goes(scene: Scene) -> None:
    studies = [f"{OTHER}.{number}" for number in range(4)]
    for study in studies:
        scene.store.objects += [make_object(study, number, size=10_000) for number in range(2)]
    scene.start("64K")
    for study in (*studies[:3], studies[0], studies[3]):
        assert scene.move(study) == (0x0000, 2, 0)
        assert sum(scene.files) <= scene.counts.size <= 64 << 10
    assert (scene.fetched, scene.counts.studies, scene.counts.removed) == (4, 3, 1)
    for study in (studies[0], studies[2], studies[3]):
        scene.move(study)
    assert scene.fetched == 4
    scene.move(studies[1])
    assert scene.fetched == 5


def test_a_study_larger_than_the_limit_passes_and_is_not_kept(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.start("3K")
    assert [scene.move(), scene.move()] == [ALL] * 2
    assert (scene.fetched, scene.files) == (2, [])
    assert "is not kept: the study is larger than proxy-keep" in caplog.text
    assert STUDY not in caplog.text


def test_kept_studies_outlive_a_restart(scene: Scene) -> None:
    scene.start()
    scene.move()
    scene.restart()
    assert scene.move() == ALL
    assert (scene.fetched, scene.counts.hits) == (1, 1)


@pytest.mark.parametrize("settings", [[], ["proxy-keep=0"]])
def test_without_proxy_keep_the_cache_is_removed(scene: Scene, settings: list[str]) -> None:
    scene.start()
    scene.move()
    scene.restart(parse_options(settings))
    assert not (scene.seed.data_dir / "kept").exists()
    assert scene.move() == ALL
    assert scene.fetched == 2
    assert not (scene.seed.data_dir / "kept").exists()
    assert scene.seed.service.measure().kept is None


def test_kept_studies_are_not_stored_studies(scene: Scene) -> None:
    scene.start()
    scene.move()
    assert scene.seed.objects == []
    index = scene.seed.service._process._index
    assert index.instances(RetrieveKeys(level=Level.STUDY, study_instance_uids=(STUDY,))) == ()


@contextmanager
def small_file_system(directory: Path, size: str) -> Iterator[None]:
    require(os.geteuid() == 0, "root, to mount a small file system")
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_full_disk_keeps_no_study_but_all_is_delivered(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    many = [make_object(OTHER, number, size=40_000) for number in range(10)]
    scene.store.objects += many
    with small_file_system(scene.seed.data_dir / "kept", "300k"):
        scene.start()
        assert scene.move(OTHER) == (0x0000, 10, 0)
        assert scene.take() == uids_of(many)
        assert "is not kept: the disk is nearly full" in caplog.text
        assert scene.files == []
        assert [scene.move(), scene.move()] == [ALL] * 2
        assert scene.fetched == 2
        scene.seed.service.stop(5)


def test_where_nothing_can_be_kept_everything_passes(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    (scene.seed.data_dir / "kept").write_text("no directory")
    scene.start()
    assert scene.move() == ALL
    assert "the cache of proxy-keep cannot be opened" in caplog.text


def test_half_written_files_of_killed_workers_go_when_they_are_replaced(
    seed: Seed, scripted_pacs: StartPacs, viewer: StartViewer, serve: Serve
) -> None:
    viewer(seed.viewer_port)
    begun = threading.Event()

    def halfway(objects: Sequence[Dataset]) -> Script:
        def script(received: Received) -> None:
            storing = received.pacs.storing(received)
            storing.store(objects[0])
            begun.set()
            received.await_cancel()
            storing.abort()

        return script

    store = Store(*OBJECTS)
    store.send = halfway
    pacs = scripted_pacs(seed.archive_port, move=store.move, find=store.find)
    stand_in_front_of(seed, pacs.port)
    served = serve(2, options=("--set", "proxy-keep=1M"))
    directory = seed.data_dir / "kept"
    keys = encoded(identifier("STUDY", StudyInstanceUID=STUDY), IMPLICIT)
    assoc, _ = associate(seed.archive_port, [(STUDY_MOVE, [IMPLICIT])])
    assoc.send([(1, move_request(STUDY_MOVE, 1, "STORESCP"), keys)])
    assert begun.wait(60)
    until(lambda: any(directory.glob("*.study")))
    killed = served.pids()
    for pid in killed:
        kill(pid)
    assoc.link.close()
    until(lambda: len(set(served.pids()) - set(killed)) == 2)
    assert list(directory.glob("*.study")) == []
    assert served.metric("dcm4py_proxy_kept_bytes") == 0


def test_workers_share_what_is_kept(seed: Seed, scripted_pacs: StartPacs, viewer: StartViewer, serve: Serve) -> None:
    store = Store(*OBJECTS)
    seen = viewer(seed.viewer_port)
    pacs = scripted_pacs(seed.archive_port, move=store.move, find=store.find)
    stand_in_front_of(seed, pacs.port)
    served = serve(3, options=("--set", "proxy-keep=1M"))
    for number in range(1, 9):
        final, _ = move(seed.archive_port, identifier("STUDY", StudyInstanceUID=STUDY))[-1]
        assert (final.Status, final.NumberOfCompletedSuboperations) == (0x0000, 5)
        assert len(seen.received) == 5 * number
        # The study comes to the disk after its delivery.
        until(lambda: served.metric("dcm4py_proxy_kept_studies") == 1)
    assert len(pacs.moves) == served.metric("dcm4py_proxy_kept_misses_total") == 1
    assert served.metric("dcm4py_proxy_kept_hits_total") == 7
    assert served.metric("dcm4py_proxy_kept_bytes") > 5000
    assert "Traceback" not in served.told()
