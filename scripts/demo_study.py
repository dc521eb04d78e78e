"""The study of the demonstrations, stale in one archive and current in the other, and the verdict on what arrives."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset

from tests.fixtures.datasets import make_study

INSTANCES = 6
STALE = {
    "PatientName": "SMITH^JON",
    "PatientID": "TEMP-4711",
    "IssuerOfPatientID": "EMERGENCY",
    "PatientBirthDate": "19000101",
    "PatientSex": "O",
    "StudyDescription": "UNKNOWN",
    "AccessionNumber": "0",
}
CURRENT = {
    "PatientName": "Smith^John^Albert",
    "PatientID": "P-0815",
    "IssuerOfPatientID": None,
    "PatientBirthDate": "19620430",
    "PatientSex": "M",
    "StudyDescription": "CT Thorax with contrast",
    "AccessionNumber": "A-20261",
}


def make_both(directory: Path, study_uid: str) -> tuple[list[Path], list[Path]]:
    """One real CT study, twice: as the long-term archive has it, and as the leading archive has it."""
    stale, current = (
        make_study(
            directory / f"study-{name}",
            patient_id=str(values["PatientID"]),
            patient_name=str(values["PatientName"]),
            study_uid=study_uid,
            instances=INSTANCES // 2,
            series=2,
            attributes=values,
        )
        for name, values in (("stale", STALE), ("current", CURRENT))
    )
    return stale, current


def verdict(before: list[Dataset], after: list[Dataset], header: tuple[str, str, str, str, str]) -> bool:
    """Print what each had and what the viewer got, and say whether it is right.

    ``header``: of the attributes, the long-term archive, the leading archive, and the two deliveries.
    """
    widths = (20, 18, 26, 18, 26)
    print()
    for row in (header, tuple("-" * (width - 2) for width in widths)):
        print("".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))
    right = len(before) == len(after) == INSTANCES
    for keyword, stale in STALE.items():
        current = CURRENT[keyword]
        got = [_values(delivered, keyword) for delivered in (before, after)]
        right = right and got == [stale or "", current or ""]
        row = (keyword, stale, current or "-", got[0] or "-", got[1] or "-")
        print("".join(str(text).ljust(width) for text, width in zip(row, widths, strict=True)))
    print(f"{'objects':<20}{INSTANCES:<18}{INSTANCES:<26}{len(before):<18}{len(after):<26}\n")
    if right:
        print("PASSED: the viewer received every object with the leading archive's values.", flush=True)
    else:
        print("FAILED: the viewer did not receive the leading archive's values.", flush=True)
    return right


def _values(delivered: list[Dataset], keyword: str) -> str:
    """The value that all objects have; all of them when they differ."""
    return " | ".join(sorted({str(ds.get(keyword, "")) for ds in delivered}))
