"""Time that the index takes to answer when it is large: ``python -m scripts.bench_index [STUDIES]``.

What is timed is the first page, of 100 rows, as `Index.matches` gives it, `Index.instances` of a study and
`Index.count` up to 101. Exit code 1 when a query did not find what it should.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from pydicom import Dataset

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.querying.query import parse_query, parse_retrieve
from dcm4py_leading.model.values import InformationModel
from scripts.index_data import (
    DAYS,
    INSTANCES_PER_SERIES,
    SERIES_PER_STUDY,
    Population,
    accession_number,
    day_text,
    fill,
    patient_id,
    uid,
)

FULL, QUICK = 1_000_000, 20_000
PAGE = 100
_SEED = 7
_MODEL = InformationModel.STUDY_ROOT


class WrongAnswer(Exception):
    """A query did not find what it should; says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A query with one key, and how many rows of it there are in all."""

    level: str
    keys: dict[str, str]
    expected: int

    @property
    def identifier(self) -> Dataset:
        ds = Dataset()
        ds.QueryRetrieveLevel = self.level
        for keyword, value in self.keys.items():
            setattr(ds, keyword, value)
        return ds


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of query: a key for a study drawn at random, and how it is asked."""

    name: str
    ask: Callable[[Population, int], Asked]
    run: Callable[[Index, Asked], Callable[[], int]]
    """Everything before the index is asked; the result asks it, and tells how many rows came."""
    most: int | None = PAGE
    """Number of rows that can come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Milliseconds of one kind of query, over different keys."""

    name: str
    keys: int
    rows: float
    """Matches in all, the median."""
    min_ms: float
    median_ms: float
    max_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    population = Population(options.studies)
    # A million objects of our own: to look through them for garbage would be counted as time of a query.
    gc.freeze()
    try:
        with _database(options, population) as file:
            timed = measure(file, population, options.keys)
            size = file.stat().st_size
    except WrongAnswer as err:
        print(f"scripts.bench_index: {err}", file=sys.stderr)
        return 1
    finally:
        gc.unfreeze()
    about = _about(population, size)
    print(*(f"{name}: {value}" for name, value in about.items()), "", sep="\n")
    print(f"{'first page, ms':30}{'min':>9}{'median':>9}{'max':>9}{'matches':>9}{'keys':>6}")
    for one in timed:
        print(f"{one.name:30}{one.min_ms:9.2f}{one.median_ms:9.2f}{one.max_ms:9.2f}{one.rows:9.0f}{one.keys:6}")
    if options.json is not None:
        options.json.write_text(json.dumps({**about, "queries": [asdict(one) for one in timed]}, indent=2) + "\n")
    return 0


def measure(file: Path, population: Population, keys: int) -> list[Timed]:
    """Ask everything, each with so many different keys. Raises WrongAnswer."""
    with closing(Index.open(f"sqlite:///{file}")) as index:
        return [_timed(index, population, kind, keys) for kind in KINDS]


def _timed(index: Index, population: Population, kind: Kind, keys: int) -> Timed:
    rng = random.Random(_SEED)
    studies = rng.sample(range(population.studies), min(4 * keys, population.studies))
    different = {str(asked.keys): asked for asked in (kind.ask(population, study) for study in studies)}
    asked = list(different.values())[:keys]
    milliseconds = []
    for one in asked:
        ask = kind.run(index, one)
        started = time.perf_counter()
        found = ask()
        milliseconds.append(1000 * (time.perf_counter() - started))
        expected = one.expected if kind.most is None else min(one.expected, kind.most)
        if found != expected:
            raise WrongAnswer(f"{kind.name}: {found} rows instead of {expected}")
    return Timed(
        name=kind.name,
        keys=len(asked),
        rows=statistics.median(one.expected for one in asked),
        min_ms=min(milliseconds),
        median_ms=statistics.median(milliseconds),
        max_ms=max(milliseconds),
    )


def _first_page(index: Index, asked: Asked) -> Callable[[], int]:
    query = parse_query(asked.identifier, _MODEL, relational=False)

    return lambda: len(list(islice(index.matches(query, fetch_size=PAGE), PAGE)))


def _all_instances(index: Index, asked: Asked) -> Callable[[], int]:
    keys = parse_retrieve(asked.identifier, _MODEL, relational=False)
    return lambda: len(index.instances(keys))


def _count(index: Index, asked: Asked) -> Callable[[], int]:
    query = parse_query(asked.identifier, _MODEL, relational=False)
    return lambda: index.count(query, most=PAGE + 1)


def _by_study(population: Population, study: int) -> Asked:
    return Asked(level="STUDY", keys={"StudyInstanceUID": uid("study", study)}, expected=1)


def _by_patient_id(population: Population, study: int) -> Asked:
    owner = population.patient_of[study]
    return Asked(level="STUDY", keys={"PatientID": patient_id(owner)}, expected=population.studies_of_patient[owner])


def _by_accession_number(population: Population, study: int) -> Asked:
    return Asked(level="STUDY", keys={"AccessionNumber": accession_number(study)}, expected=1)


def _by_family_name(population: Population, study: int) -> Asked:
    family_name = population.names[population.patient_of[study]].partition("^")[0]
    return _by_name(population, family_name)


def _by_name_and_initial(population: Population, study: int) -> Asked:
    family_name, _, given_name = population.names[population.patient_of[study]].partition("^")
    return _by_name(population, f"{family_name}^{given_name[0]}")


def _by_most_common_name(population: Population, study: int) -> Asked:
    return _by_name(population, "SMITH")


def _by_name(population: Population, prefix: str) -> Asked:
    return Asked(level="STUDY", keys={"PatientName": f"{prefix}*"}, expected=population.studies_of_name(prefix))


def _by_day(population: Population, study: int) -> Asked:
    day = population.day_of[study]
    return Asked(level="STUDY", keys={"StudyDate": day_text(day)}, expected=population.studies_of_day[day])


def _by_week(population: Population, study: int) -> Asked:
    first = min(population.day_of[study], DAYS - 7)
    return Asked(
        level="STUDY",
        keys={"StudyDate": f"{day_text(first)}-{day_text(first + 6)}"},
        expected=sum(population.studies_of_day[day] for day in range(first, first + 7)),
    )


def _by_modality_and_day(population: Population, study: int) -> Asked:
    day, modality = population.day_of[study], population.modality_of[study]
    return Asked(
        level="STUDY",
        keys={"StudyDate": day_text(day), "ModalitiesInStudy": modality},
        expected=population.studies_of_day_and_modality[day, modality],
    )


def _by_rare_modality_and_week(population: Population, study: int) -> Asked:
    first = min(population.day_of[study], DAYS - 7)
    return Asked(
        level="STUDY",
        keys={"StudyDate": f"{day_text(first)}-{day_text(first + 6)}", "ModalitiesInStudy": "NM"},
        expected=sum(population.studies_of_day_and_modality[day, "NM"] for day in range(first, first + 7)),
    )


def _series_of_study(population: Population, study: int) -> Asked:
    return Asked(level="SERIES", keys={"StudyInstanceUID": uid("study", study)}, expected=SERIES_PER_STUDY)


def _instances_of_series(population: Population, study: int) -> Asked:
    keys = {
        "StudyInstanceUID": uid("study", study),
        "SeriesInstanceUID": uid("series", study * SERIES_PER_STUDY),
    }
    return Asked(level="IMAGE", keys=keys, expected=INSTANCES_PER_SERIES)


def _retrieve_of_study(population: Population, study: int) -> Asked:
    keys = {"StudyInstanceUID": uid("study", study)}
    return Asked(level="STUDY", keys=keys, expected=SERIES_PER_STUDY * INSTANCES_PER_SERIES)


KINDS = (
    Kind(name="Study Instance UID", ask=_by_study, run=_first_page),
    Kind(name="Patient ID", ask=_by_patient_id, run=_first_page),
    Kind(name="Accession Number", ask=_by_accession_number, run=_first_page),
    Kind(name="family name, SURNAME*", ask=_by_family_name, run=_first_page),
    Kind(name="most common name, SMITH*", ask=_by_most_common_name, run=_first_page),
    Kind(name="name and initial, SURNAME^J*", ask=_by_name_and_initial, run=_first_page),
    Kind(name="date", ask=_by_day, run=_first_page),
    Kind(name="dates of a week", ask=_by_week, run=_first_page),
    Kind(name="modality and date", ask=_by_modality_and_day, run=_first_page),
    Kind(name="rare modality and week", ask=_by_rare_modality_and_week, run=_first_page),
    Kind(name="series of a study", ask=_series_of_study, run=_first_page),
    Kind(name="instances of a series", ask=_instances_of_series, run=_first_page),
    Kind(name="retrieve of a study", ask=_retrieve_of_study, run=_all_instances, most=None),
    Kind(name="count, date", ask=_by_day, run=_count, most=PAGE + 1),
    Kind(name="count, dates of a week", ask=_by_week, run=_count, most=PAGE + 1),
    Kind(name="count, SURNAME*", ask=_by_family_name, run=_count, most=PAGE + 1),
)


def _about(population: Population, size: int) -> dict[str, str]:
    return {
        "index": f"{population.studies} studies, {population.patients} patients, "
        f"{population.studies * SERIES_PER_STUDY * INSTANCES_PER_SERIES} instances, {size / 2**20:.0f} MiB",
        "machine": f"{os.cpu_count()} cores, load {' '.join(f'{load:.2f}' for load in os.getloadavg())}",
        "versions": f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
    }


@contextmanager
def _database(options: argparse.Namespace, population: Population) -> Iterator[Path]:
    """The file of the index: made, and removed unless it has a name of its own."""
    with tempfile.TemporaryDirectory(prefix="bench_index.", dir=options.dir) as directory:
        file: Path = options.database or Path(directory) / "index.sqlite"
        if not file.exists():
            started = time.perf_counter()
            fill(file, population)
            print(f"made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        yield file


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench_index", description=__doc__)
    parser.add_argument("studies", type=int, nargs="?", help=f"default {FULL}; each has 10 instances")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} studies")
    parser.add_argument("--keys", type=int, default=30, help="different keys of each kind; default 30")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where the index is made, and removed")
    parser.add_argument("--database", type=Path, metavar="FILE", help="keep the index there, or use the one of before")
    options = parser.parse_args(arguments)
    options.studies = options.studies or (QUICK if options.quick else FULL)
    return options


if __name__ == "__main__":
    sys.exit(main())
