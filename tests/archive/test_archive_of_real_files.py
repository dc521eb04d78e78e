"""Storage and index together, on real objects."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import UID

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.querying.query import parse_retrieve
from dcm4py_leading.archive.index.writing.storing import StoreOutcome
from dcm4py_leading.archive.storage.file_storage import FileStorage
from dcm4py_leading.errors import InvalidObject
from dcm4py_leading.model.values import InformationModel
from tests.fixtures.archive import empty_index, find, make_descriptor, make_identifier, store
from tests.fixtures.datasets import (
    CHARACTER_SETS,
    COMPRESSED,
    MULTI_FRAME,
    RADIOTHERAPY,
    REPORTS,
    UNCOMPRESSED,
    make_instance,
    sample_path,
)
from tests.fixtures.part10 import read_header, verify

SAMPLES = sorted({*UNCOMPRESSED, *COMPRESSED, *MULTI_FRAME, *REPORTS, *RADIOTHERAPY, *CHARACTER_SETS})


class Archive:
    """An index and a storage in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "index.sqlite").write_bytes(empty_index())
        self.index = Index.open(f"sqlite:///{directory / 'index.sqlite'}")
        self.storage = FileStorage(make_descriptor(directory / "fs1"))

    def put(self, path: Path) -> tuple[FileDataset, StoreOutcome]:
        """What a C-STORE does with the object in ``path``."""
        with self.storage.receive() as incoming:
            incoming.write(path.read_bytes())
            with incoming.mapped() as data:
                verify(data)
            with incoming.reader() as file:
                header = read_header(file)
            outcome = store(self.index, header, incoming.finish(header))
            if outcome.stored:
                incoming.keep()
        return header, outcome

    def files(self) -> list[Path]:
        return [path for path in (self.directory / "fs1").rglob("*") if path.is_file()]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


@pytest.mark.parametrize("name", SAMPLES)
def test_real_object_is_stored_as_received_found_and_retrieved(archive: Archive, name: str, tmp_path: Path) -> None:
    path = make_instance(tmp_path / "in.dcm", source=name, study_uid="1.2.3", series_uid="1.2.3.4")
    header, outcome = archive.put(path)
    assert outcome.stored
    (study,) = find(archive.index, StudyInstanceUID="1.2.3")
    assert str(study.get("PatientName", "")) == str(header.get("PatientName", ""))
    (instance,) = archive.index.instances(
        parse_retrieve(
            make_identifier("STUDY", StudyInstanceUID="1.2.3"), InformationModel.STUDY_ROOT, relational=False
        )
    )
    assert UID(instance.transfer_syntax_uid) == header.file_meta.TransferSyntaxUID
    with archive.storage.open(instance.location) as file:
        assert file.read() == path.read_bytes()
    archive.index.close()


def test_name_is_found_in_any_character_set(archive: Archive, tmp_path: Path) -> None:
    for number, name in enumerate(CHARACTER_SETS):
        uids = {"study_uid": f"1.2.{number}", "series_uid": f"1.2.{number}.1", "sop_instance_uid": f"1.2.{number}.1.1"}
        archive.put(make_instance(tmp_path / name, source=name, attributes={"PatientID": name}, **uids))
    for key, names in {
        "äneas*": {"chrGerm.dcm"},
        "BUC^JÉRÔME": {"chrFren.dcm", "chrFrenMulti.dcm"},
        "山田^太郎": {"chrH31.dcm", "chrH32.dcm"},
        "=*太郎=やまだ*": {"chrH31.dcm", "chrH32.dcm"},
        "люк*": {"chrRuss.dcm"},
        "wang^*": {"chrX1.dcm", "chrX2.dcm"},
        "洪*": {"chrI2.dcm"},
    }.items():
        assert {study.PatientID for study in find(archive.index, PatientName=key)} == names, key
    archive.index.close()


def test_ignored_duplicate_leaves_one_file(archive: Archive) -> None:
    assert archive.put(sample_path("CT_small.dcm"))[1].stored
    assert not archive.put(sample_path("CT_small.dcm"))[1].stored
    assert len(archive.files()) == 1
    archive.index.close()


def test_truncated_object_leaves_no_file_and_no_entry(archive: Archive) -> None:
    with pytest.raises(InvalidObject):
        archive.put(sample_path("MR_truncated.dcm"))
    assert archive.files() == []
    assert find(archive.index, "PATIENT") == []
    archive.index.close()


def test_failure_between_file_and_index_leaves_neither(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("dcm4py_leading.archive.index.writing.writer.store", fail)
    with pytest.raises(RuntimeError):
        archive.put(sample_path("CT_small.dcm"))
    monkeypatch.undo()
    assert archive.files() == []
    assert find(archive.index, "PATIENT") == []
    archive.index.close()
