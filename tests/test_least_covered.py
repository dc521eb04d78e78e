"""What CI prints of the coverage."""

from __future__ import annotations

from configparser import ConfigParser

from scripts.least_covered import LEAST, report
from tests.fixtures.lanes import FAST_ROOMS
from tests.fixtures.slapd import REPOSITORY


def summary(percent: float, statements: int = 10) -> dict[str, object]:
    return {"summary": {"percent_covered": percent, "num_statements": statements}}


def test_least_covered_modules_come_first_and_the_total_last() -> None:
    files = {f"room/module_{number}.py": summary(100 - number) for number in range(20)}
    told = report({"files": {**files, "room/empty.py": summary(0, 0)}, "totals": {"percent_covered": 90.5}})
    assert told[0] == "  81.0 %  room/module_19.py"
    assert told[-1] == "  90.5 %  of all lines and branches"
    assert len(told) == LEAST + 1


def test_rooms_of_the_fast_lane_are_measured() -> None:
    settings = ConfigParser()
    settings.read(REPOSITORY / "setup.cfg")
    measured = settings["coverage:run"]["source"].split()
    assert measured == [f"dcm4py_leading.{room}" for room in FAST_ROOMS]
