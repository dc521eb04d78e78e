"""The benchmark of a large index, with a small one. Nothing here is timed."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import Dataset

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.querying.query import parse_query
from dcm4py_leading.model.values import InformationModel
from scripts import bench_index
from scripts.bench_index import KINDS, WrongAnswer, main, measure
from scripts.index_data import Population, accession_number, fill, patient_id, uid
from tests.fixtures.archive import make_identifier

STUDIES = 200


@pytest.fixture(scope="module")
def population() -> Population:
    return Population(STUDIES)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, population: Population) -> Path:
    file = tmp_path_factory.mktemp("bench_index") / "index.sqlite"
    fill(file, population)
    return file


def find(database: Path, level: str, **keys: str) -> list[Dataset]:
    query = parse_query(make_identifier(level, **keys), InformationModel.PATIENT_ROOT, relational=True)
    with closing(Index.open(f"sqlite:///{database}")) as index:
        return [match.attributes for match in index.matches(query)]


def test_every_query_finds_what_it_should(database: Path, population: Population) -> None:
    timed = measure(database, population, keys=20)
    assert [one.name for one in timed] == [kind.name for kind in KINDS]
    assert all(0 < one.min_ms <= one.median_ms <= one.max_ms for one in timed)
    assert all(one.keys >= 20 for one in timed if one.name in ("Study Instance UID", "Patient ID", "date"))


def test_a_query_that_finds_less_is_told(database: Path) -> None:
    with pytest.raises(WrongAnswer, match="Study Instance UID: 0 rows instead of 1"):
        measure(database, Population(2 * STUDIES), keys=20)


def test_rows_and_attributes_say_the_same(database: Path, population: Population) -> None:
    for number in (0, STUDIES - 1):
        owner = population.patient_of[number]
        (study,) = find(database, "STUDY", AccessionNumber=accession_number(number))
        assert study.StudyInstanceUID == uid("study", number)
        assert study.AccessionNumber == accession_number(number)
        assert (study.PatientID, study.PatientName) == (patient_id(owner), population.names[owner])
        assert study in find(database, "STUDY", StudyDate=study.StudyDate)
        images = find(database, "IMAGE", StudyInstanceUID=study.StudyInstanceUID)
        assert len({image.SOPInstanceUID for image in images}) == 10
        assert {image.Modality for image in images} == {population.modality_of[number]}


def test_figures_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "figures.json"
    assert main(["50", "--keys", "3", "--dir", str(tmp_path), "--json", str(figures)]) == 0
    written = json.loads(figures.read_text())
    assert [one["name"] for one in written["queries"]] == [kind.name for kind in KINDS]
    assert "50 studies" in written["index"]
    printed = capsys.readouterr().out
    assert all(kind.name in printed for kind in KINDS)
    assert list(tmp_path.iterdir()) == [figures]


def test_a_named_database_is_kept_and_used_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "index.sqlite"
    options = ["50", "--keys", "1", "--dir", str(tmp_path), "--database", str(file)]
    assert main(options) == 0
    assert "made in" in capsys.readouterr().err
    assert main(options) == 0
    assert "made in" not in capsys.readouterr().err
    assert main(["60", *options[1:]]) == 1
    assert "rows instead of" in capsys.readouterr().err


def test_the_size_is_full_unless_told() -> None:
    assert [bench_index.parse(arguments).studies for arguments in ([], ["--quick"], ["7"])] == [1_000_000, 20_000, 7]
