"""The SQL of a query against a matcher that knows nothing of SQL, columns or normal forms."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataset import FileDataset

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.index.querying.query import parse_query
from dcm4py_leading.model.values import InformationModel
from tests.fixtures.archive import find, make_header, make_identifier, store

NAMES: list[str | None] = ["Doe^John", "DOE^JANE^^", "doe", "Doe^", "Do_^J%hn", "O'Brien^Ann"]
NAMES += ["Yamada^Tarou=山田^太郎=やまだ^たろう", "Müller^Ä", "mÜLLER", "A*B\\^C", "Doe^John^M^Dr", "", None]
TEXTS = ["A1", "a1", "A12", "A_1", "A%1", "B?", "Kopf", "", None]
DATES = ["20191231", "20200101", "20200115", "20200131", "2020.02.01", "", None]
TIMES = ["00", "0930", "093000", "093015.5", "1015", "235959.999999", "", None]
MODALITIES = ["CT", "MR", "SR", "ct", None]
NUMBERS = ["1", "01", "12", "-3", "", None]

NAME_KEYS = ["Doe^John", "doe^john^^", "DOE", "D*", "*", "Doe^*", "DOE^*^*", "d??", "*john*", "Do_^J%hn", "Do?^J?hn"]
NAME_KEYS += [
    "山田*",
    "=山田^太郎",
    "Yamada*=山田*=",
    "yamada^tarou=*=やまだ*",
    "müller*",
    "^",
    "=",
    "o'brien^ann",
    "?*",
    "*^*^m",
]
TEXT_KEYS = ["A1", "a1", "A*", "A_1", "A%1", "A%*", "A_*", "?1", "*1*", "B?", "*", "", "KOPF", ["A1", "B*"]]
DATE_KEYS = ["20200101", "20200101-", "-20200131", "20200101-20200131", "2020.02.01", "20200201-20200101", "-", ""]
TIME_KEYS = ["0930", "093000", "09", "0930-1015", "10-", "-0929", "2300-0100", "093015.5", "235959.999999", ""]
NUMBER_KEYS = ["1", "001", "12", "-3", "+1", ""]
MODALITY_KEYS = ["CT", "ct", "C*", ["MR", "SR"], "*", ""]


@pytest.fixture(scope="module")
def objects() -> list[FileDataset]:
    """Four dozen studies of up to three series, of values that differ in little."""
    chosen = random.Random(42)
    headers = []
    for study in range(48):
        common = {
            "SpecificCharacterSet": "ISO_IR 192",
            "PatientID": f"P{study}",
            "PatientName": chosen.choice(NAMES),
            "StudyDate": chosen.choice(DATES),
            "StudyTime": chosen.choice(TIMES),
            "AccessionNumber": chosen.choice(TEXTS),
            "StudyDescription": chosen.choice(TEXTS),
            "ReferringPhysicianName": chosen.choice(NAMES),
        }
        for series in range(chosen.randint(1, 3)):
            modality, number = chosen.choice(MODALITIES), chosen.choice(NUMBERS)
            own = {"Modality": modality, "SeriesNumber": number, "SeriesDescription": chosen.choice(TEXTS)}
            headers.append(make_header(f"1.{study}", f"1.{study}.{series}", f"1.{study}.{series}.1", **common, **own))
    return headers


@pytest.fixture(scope="module")
def filled(objects: list[FileDataset], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    path: Path = tmp_path_factory.mktemp("matching") / "index.sqlite"
    index = Index.open(f"sqlite:///{path}")
    for header in objects:
        store(index, header)
    yield index
    index.close()


def text_of(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else str(value)


def pattern(key: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in key), flags | re.DOTALL)


def matches_text(value: str, keys: str | Sequence[str]) -> bool:
    wanted = [keys] if isinstance(keys, str) else keys
    return any(key in ("", "*") or (value != "" and pattern(key).fullmatch(value) is not None) for key in wanted)


def matches_name_group(name: str, key: str) -> bool:
    """Empty components behind the name, written as NUL, match ``^`` and ``*`` of the key but not ``?``."""
    if not key.strip("*^"):
        return True
    translation = {"*": ".*", "?": "[^\0]", "^": "[\\^\0]"}
    compiled = re.compile("".join(translation.get(c, re.escape(c)) for c in key.rstrip("^").casefold()))
    name = name.rstrip("^").casefold()
    return name != "" and any(compiled.fullmatch(name + "\0" * padding) for padding in range(5))


def matches_name(value: str, key: str) -> bool:
    groups = [*value.split("="), "", "", ""][:3]
    keys = key.split("=")
    if len(keys) == 1:
        return not key.strip("*^") or any(matches_name_group(group, key) for group in groups)
    return all(matches_name_group(group, wanted) for group, wanted in zip(groups, keys, strict=False))


def microseconds(text: str, *, last: bool) -> int:
    """A time of day as a number; the earliest or the latest moment that it may mean."""
    whole, _, fraction = text.partition(".")
    parts = [int(whole[i : i + 2]) for i in range(0, len(whole), 2)]
    rest = [59, 59][len(parts) - 1 :] if last else [0, 0][len(parts) - 1 :]
    hours, minutes, seconds = (parts + rest)[:3]
    micro = int(fraction.ljust(6, "9" if last else "0")) if fraction else (999_999 if last else 0)
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micro


def matches_time(value: str, key: str) -> bool:
    if not key:
        return True
    if not value:
        return False
    low_text, _, high_text = key.partition("-") if "-" in key else (key, "", key)
    moment = microseconds(value, last=False)
    low = microseconds(low_text, last=False) if low_text else 0
    high = microseconds(high_text, last=True) if high_text else 1 << 60
    return low <= moment <= high if low <= high else moment >= low or moment <= high


def matches_date(value: str, key: str) -> bool:
    value, key = value.replace(".", ""), key.replace(".", "")
    if key in ("", "-"):
        return True
    if not value:
        return False
    low, _, high = key.partition("-") if "-" in key else (key, "", key)
    return (not low or value >= low) and (not high or value <= high)


def matches_number(value: str, key: str) -> bool:
    return key == "" or (value != "" and int(value) == int(key))


_Key = tuple[Sequence[Any], Callable[[str, Any], bool]]
"""Values to ask for, and whether a text matches one of them."""
STUDY_KEYS: dict[str, _Key] = {
    "PatientName": (NAME_KEYS, matches_name),
    "ReferringPhysicianName": (NAME_KEYS, matches_name),
    "AccessionNumber": (TEXT_KEYS, matches_text),
    "StudyDescription": (TEXT_KEYS, matches_text),
    "StudyDate": (DATE_KEYS, matches_date),
    "StudyTime": (TIME_KEYS, matches_time),
}
SERIES_KEYS: dict[str, _Key] = {
    "Modality": (MODALITY_KEYS, matches_text),
    "SeriesNumber": (NUMBER_KEYS, matches_number),
    "SeriesDescription": (TEXT_KEYS, matches_text),
}
KEYS = {**STUDY_KEYS, **SERIES_KEYS}


def some_of(table: dict[str, _Key]) -> st.SearchStrategy[dict[str, Any]]:
    """At most three keys, each with one of its values."""
    return st.lists(st.sampled_from(sorted(table)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: st.sampled_from(table[name][0]) for name in names})
    )


def fulfils(ds: Dataset, keys: dict[str, Any]) -> bool:
    return all(KEYS[keyword][1](text_of(ds, keyword), key) for keyword, key in keys.items())


@pytest.mark.parametrize("keyword", sorted(KEYS))
def test_each_value_of_each_key_matches_what_it_should(objects: list[FileDataset], filled: Index, keyword: str) -> None:
    for key in KEYS[keyword][0]:
        keys: dict[str, Any] = {keyword: key}
        expected = {str(ds.SeriesInstanceUID) for ds in objects if fulfils(ds, keys)}
        found = [str(ds.SeriesInstanceUID) for ds in find(filled, "SERIES", relational=True, **keys)]
        assert len(found) == len(set(found))
        assert set(found) == expected, key


@settings(max_examples=150)
@given(data=st.data())
def test_study_query_finds_what_the_naive_matcher_finds(
    objects: list[FileDataset], filled: Index, data: st.DataObject
) -> None:
    keys = data.draw(some_of(STUDY_KEYS))
    modalities = data.draw(st.sampled_from(MODALITY_KEYS))
    studies: dict[str, list[FileDataset]] = {}
    for ds in objects:
        studies.setdefault(str(ds.StudyInstanceUID), []).append(ds)
    expected = {
        uid
        for uid, series in studies.items()
        if fulfils(series[0], keys) and any(matches_text(text_of(ds, "Modality"), modalities) for ds in series)
    }
    identifier = make_identifier("STUDY", ModalitiesInStudy=modalities, **keys)
    query = parse_query(identifier, InformationModel.STUDY_ROOT, relational=False)
    found = [str(match.attributes.StudyInstanceUID) for match in filled.matches(query, fetch_size=7)]
    assert len(found) == len(set(found)) == filled.count(query)
    assert set(found) == expected


@settings(max_examples=150)
@given(data=st.data())
def test_relational_series_query_finds_what_the_naive_matcher_finds(
    objects: list[FileDataset], filled: Index, data: st.DataObject
) -> None:
    keys = data.draw(some_of(KEYS))
    expected = {str(ds.SeriesInstanceUID) for ds in objects if fulfils(ds, keys)}
    found = {str(ds.SeriesInstanceUID) for ds in find(filled, "SERIES", relational=True, **keys)}
    assert found == expected
