"""What the index has of the levels of an entity, each in its own character set, as one that is true for all."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from dcm4py_leading.archive.index.attributes import encode, merged
from dcm4py_leading.dataset.data_sets import read, write
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.dataset.text.charset import character_set
from dcm4py_leading.dataset.text.text import decode


def level(codes: str, **octets: bytes) -> bytes:
    """The attributes of a level, with these value fields."""
    ds = Dataset()
    terms = tuple(codes.split("\\")) if codes else ()
    if terms:
        ds.SpecificCharacterSet = list(terms)
    for keyword, value in octets.items():
        setattr(ds, keyword, decode(value, terms, "LO"))
    return encode(ds)


LATIN_NAME, GREEK = b"M\xfcller", "Δέλτα".encode("iso8859_7")


@pytest.mark.parametrize(
    ("patient", "study", "expected", "name", "description"),
    [
        # All text can be decoded.
        (("ISO_IR 100", LATIN_NAME), ("ISO_IR 100", b"Sch\xe4del"), ("ISO_IR 100",), LATIN_NAME, b"Sch\xe4del"),
        (("ISO_IR 100", LATIN_NAME), ("ISO_IR 126", GREEK), ("ISO_IR 192",), b"M\xc3\xbcller", "Δέλτα".encode()),
        # The name cannot.
        (("ISO_IR 192", LATIN_NAME), ("ISO_IR 126", GREEK), ("ISO_IR 192",), LATIN_NAME, "Δέλτα".encode()),
        (("", LATIN_NAME), ("ISO_IR 126", GREEK), ("", "ISO 2022 IR 126"), LATIN_NAME, b"\x1b-F" + GREEK),
        (("FOO", LATIN_NAME), ("ISO_IR 100", b"Head"), ("FOO",), LATIN_NAME, b"Head"),
        # Neither: the name comes first. What no set holds is left out.
        (("ISO_IR 192", LATIN_NAME), ("ISO_IR 126", b"\xd2"), ("ISO_IR 192",), LATIN_NAME, None),
        (("FOO", LATIN_NAME), ("ISO_IR 126", GREEK), ("FOO",), LATIN_NAME, None),
        # The description cannot.
        (("ISO_IR 100", LATIN_NAME), ("ISO_IR 192", b"\xfc"), ("ISO_IR 192",), b"M\xc3\xbcller", b"\xfc"),
    ],
)
def test_declared_set_is_true_for_all_text(
    patient: tuple[str, bytes],
    study: tuple[str, bytes],
    expected: tuple[str, ...],
    name: bytes,
    description: bytes | None,
) -> None:
    ds = merged([level(patient[0], PatientName=patient[1]), level(study[0], StudyDescription=study[1])])
    assert character_set(ds) == expected
    raw = write(ds, EXPLICIT_LITTLE)
    assert name in raw
    assert ("StudyDescription" in ds) is (description is not None)
    assert description is None or description in raw
    assert write(read(raw, EXPLICIT_LITTLE), EXPLICIT_LITTLE) == raw
