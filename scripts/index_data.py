"""A large index for `scripts.bench_index`: rows of our own tables from a fixed seed, and what is known of them.

A study has two series of five instances. Everything is drawn at random, so that neighbours in the tables have nothing
in common: the worst case for a cache of pages.
"""

from __future__ import annotations

import random
import sqlite3
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from sqlalchemy import Table, create_engine

from dcm4py_leading.archive.index.attributes import encode
from dcm4py_leading.archive.index.database import Database
from dcm4py_leading.archive.index.tables import instance, patient, series, study

SERIES_PER_STUDY = 2
INSTANCES_PER_SERIES = 5
STUDIES_PER_PATIENT = 2.5
DAYS = 3652
FIRST_DAY = date(2015, 1, 1)
MODALITIES = {"CT": 30, "MR": 20, "CR": 20, "US": 15, "DX": 10, "MG": 4, "NM": 1}
_SEED = 20240229
_SURNAMES = 2000
_GIVEN_NAMES = 200
_NAME_WIDTH = 24
_UID_ROOT = "1.2.276.0.7230010.3.1."
_UID_KIND = {"study": 2, "series": 3, "instance": 4}


class Population:
    """Population of the index with so many studies; the same each time."""

    def __init__(self, studies: int) -> None:
        self.studies = studies
        self.patients = max(1, int(studies / STUDIES_PER_PATIENT))
        rng = random.Random(_SEED)
        surnames = ["SMITH", *_words(rng, _SURNAMES - 1, syllables=3)]
        given = ["JOHN", *_words(rng, _GIVEN_NAMES - 1, syllables=2)]
        self.names = [
            f"{surname}^{first}"
            for surname, first in zip(
                _often(rng, surnames, self.patients), _often(rng, given, self.patients), strict=True
            )
        ]
        self.patient_of = array("I", (rng.randrange(self.patients) for _ in range(studies)))
        self.day_of = array("H", (rng.randrange(DAYS) for _ in range(studies)))
        self.modality_of = rng.choices(list(MODALITIES), list(MODALITIES.values()), k=studies)
        self.studies_of_patient = Counter(self.patient_of)
        self.studies_of_day = Counter(self.day_of)
        self.studies_of_day_and_modality = Counter(zip(self.day_of, self.modality_of, strict=True))
        order = sorted(range(self.patients), key=self.names.__getitem__)
        self._sorted_names = [self.names[number] for number in order]
        self._studies_before = [0, *accumulate(self.studies_of_patient[number] for number in order)]

    def studies_of_name(self, prefix: str) -> int:
        """Number of studies with a patient whose name begins so."""
        first = bisect_left(self._sorted_names, prefix)
        return self._studies_before[bisect_left(self._sorted_names, prefix + "~")] - self._studies_before[first]


def uid(kind: str, number: int) -> str:
    """The UID of an entity, of the usual length; consecutive numbers are not neighbours."""
    return f"{_UID_ROOT}{_UID_KIND[kind]}.{10**10 + number * 2654435761 % 2**32}.1{number:09}.1234567890"


def patient_id(number: int) -> str:
    return f"P{number * 2654435761 % 2**32:010}"


def accession_number(number: int) -> str:
    return f"A{number * 2246822519 % 2**32:010}"


def day_text(day: int) -> str:
    return (FIRST_DAY + timedelta(days=day)).strftime("%Y%m%d")


def fill(file: Path, population: Population) -> None:
    """Make the database. Indexes that do not keep the rows unique come last: sorting is faster than inserting."""
    url = f"sqlite:///{file}"
    Database.open(url).close()
    tables = (patient, series, study, instance)
    engine = create_engine(url)
    indexes = [index for table in tables for index in table.indexes]
    with engine.begin() as connection:
        for index in indexes:
            index.drop(connection)
    engine.dispose()
    with sqlite3.connect(file) as driver:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "temp_store = FILE"):
            driver.execute(f"PRAGMA {pragma}")
        _insert(driver, patient, _patients(population))
        _insert(driver, study, _studies(population))
        _insert(driver, series, _series(population))
        _insert(driver, instance, _instances(population))
    driver.close()
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA cache_size = -400000")
        for index in indexes:
            index.create(connection)
    engine.dispose()


def _insert(driver: sqlite3.Connection, table: Table, rows: Iterable[tuple[object, ...]]) -> None:
    """Rows in the order of `_COLUMNS`; what is not named there is NULL."""
    columns = _COLUMNS[table.name]
    marks = ", ".join("?" * len(columns))
    driver.executemany(f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})", rows)
    driver.commit()


_COLUMNS = {
    "patient": ("pk", "patient_name", "patient_id", "issuer_of_patient_id", "attributes"),
    "study": ("pk", "patient_fk", "study_instance_uid", "study_date", "study_time", "accession_number", "attributes"),
    "series": (
        *("pk", "study_fk", "series_instance_uid", "series_number", "modality"),
        *("sending_ae_title", "retrieve_ae_titles", "attributes"),
    ),
    "instance": (
        *("pk", "series_fk", "sop_instance_uid", "sop_class_uid", "instance_number", "transfer_syntax_uid"),
        *("storage_id", "storage_path", "size", "digest", "attributes"),
    ),
}


def _patients(population: Population) -> Iterator[tuple[object, ...]]:
    blob = _Template({"PatientName": "#" * _NAME_WIDTH, "PatientID": "#" * len(patient_id(0))}, PatientSex="O")
    for number, name in enumerate(population.names):
        own_id = patient_id(number)
        attributes = blob.filled(name.ljust(_NAME_WIDTH), own_id)
        yield number + 1, name.casefold(), own_id, "", attributes


def _studies(population: Population) -> Iterator[tuple[object, ...]]:
    blob = _Template(
        {"StudyDate": "19000101", "AccessionNumber": accession_number(0), "StudyInstanceUID": uid("study", 0)},
        StudyDescription="Thorax and abdomen",
        ReferringPhysicianName="Who^Doctor",
        StudyTime="101112",
    )
    days = [day_text(day) for day in range(DAYS)]
    for number, (owner, day) in enumerate(zip(population.patient_of, population.day_of, strict=True)):
        own_uid, accession = uid("study", number), accession_number(number)
        attributes = blob.filled(days[day], accession, own_uid)
        yield number + 1, owner + 1, own_uid, days[day], "101112000000", accession, attributes


def _series(population: Population) -> Iterator[tuple[object, ...]]:
    blob = _Template({"Modality": "ZZ", "SeriesInstanceUID": uid("series", 0)}, SeriesDescription="axial 1.0 mm")
    number = 0
    for owner, modality in enumerate(population.modality_of):
        for own in range(SERIES_PER_STUDY):
            own_uid = uid("series", number)
            attributes = blob.filled(modality, own_uid)
            number += 1
            yield number, owner + 1, own_uid, str(own + 1), modality, "MODALITY", "DCM4CHEE", attributes


def _instances(population: Population) -> Iterator[tuple[object, ...]]:
    blob = _Template({"SOPInstanceUID": uid("instance", 0)}, SOPClassUID=CTImageStorage, InstanceNumber="1")
    number = 0
    numbers = [str(own + 1) for own in range(INSTANCES_PER_SERIES)]
    for owner in range(1, population.studies * SERIES_PER_STUDY + 1):
        for own in numbers:
            own_uid = uid("instance", number)
            path = f"2024/02/29/{owner:08X}/{number:08X}"
            attributes = blob.filled(own_uid)
            number += 1
            yield (
                *(number, owner, own_uid, str(CTImageStorage), own, str(ExplicitVRLittleEndian)),
                *("fs1", path, 526000, "0123456789abcdef0123456789abcdef", attributes),
            )


class _Template:
    """Encoded attributes, some of which are filled in: with values as long as the first ones."""

    def __init__(self, first: Mapping[str, str], **attributes: str) -> None:
        """``first`` is in the order of the tags."""
        ds = Dataset()
        for keyword, value in {**first, **attributes}.items():
            setattr(ds, keyword, value)
        rest = encode(ds)
        self._parts: list[bytes] = []
        for value in first.values():
            before, _, rest = rest.partition(value.encode())
            self._parts.append(before)
        self._end = rest

    def filled(self, *values: str) -> bytes:
        """With these values instead of the first ones."""
        parts = [before + value.encode() for before, value in zip(self._parts, values, strict=True)]
        return b"".join((*parts, self._end))


def _words(rng: random.Random, count: int, *, syllables: int) -> list[str]:
    """Different words."""
    words: dict[str, None] = {}
    while len(words) < count:
        word = "".join(rng.choice("BDFGHKLMNPRST") + rng.choice("AEIOU") for _ in range(syllables))
        words[word] = None
    return list(words)


def _often(rng: random.Random, words: list[str], count: int) -> list[str]:
    """A choice in which some come far more often than others, the first (one in a hundred of 2000) most."""
    return rng.choices(words, [1 / (rank + 25) for rank in range(len(words))], k=count)
