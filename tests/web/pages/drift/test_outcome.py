"""What a comparison has found, as it is plotted and listed."""

from __future__ import annotations

from dcm4py_leading.service.drift.comparison import Compared, Outcome
from dcm4py_leading.service.drift.summary import NO_MONTH, Summary
from dcm4py_leading.web.pages.drift.outcome import plotted, stale_attributes


def summary(**months: tuple[str, ...]) -> Summary:
    """Stale studies: for each attribute the months of the studies in which it is stale."""
    found = Summary()
    for attribute, of in months.items():
        for month in of:
            found.add(Compared(outcome=Outcome.STALE, attributes=(attribute,)), month)
    return found


def test_months_without_a_stale_study_are_plotted_too() -> None:
    found = plotted(summary(PatientName=("2025-11", "2026-02", "2026-02"), PatientID=("2026-01", NO_MONTH)))
    assert found["months"] == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert found["stale"] == [1, 0, 1, 2]
    assert found["attributes"] == [
        {"name": "Patient's Name", "studies": [1, 0, 0, 2]},
        {"name": "Patient ID", "studies": [0, 0, 1, 0]},
    ]


def test_a_date_that_is_far_off_does_not_make_a_line_of_all_others() -> None:
    found = plotted(summary(PatientName=("0001-01", "2026-02")))
    assert (len(found["months"]), found["months"][-1], sum(found["stale"])) == (360, "2026-02", 1)


def test_nothing_stale_is_an_empty_plot() -> None:
    assert plotted(Summary()) == {"months": [], "stale": [], "attributes": []}
    assert plotted(summary(PatientName=(NO_MONTH,)))["months"] == []


def test_attributes_are_listed_by_number_of_studies_with_the_months_since_when() -> None:
    found = stale_attributes(
        summary(PatientID=("2026-01",), PatientName=(NO_MONTH, "2024-05", "2026-02"), X=(NO_MONTH,))
    )
    assert [(one.name, one.studies, one.first, one.last) for one in found] == [
        ("Patient's Name", 3, "2024-05", "2026-02"),
        ("Patient ID", 1, "2026-01", "2026-01"),
        ("X", 1, NO_MONTH, NO_MONTH),
    ]
