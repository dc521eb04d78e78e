"""Series that are offered to try rules on: the newest first, each with one of its instances."""

from __future__ import annotations

from pathlib import Path

from tests.fixtures.datasets import make_study
from tests.fixtures.scu import store
from tests.fixtures.service import Seed


def test_last_series_come_first(seed: Seed, tmp_path: Path) -> None:
    service = seed.start()
    assert service.recent_series() == []
    for number, uid in enumerate(("1.2.3.1", "1.2.3.2")):
        files = make_study(
            tmp_path / uid, patient_id=str(number), patient_name=f"Name^{number}", study_uid=uid, instances=2, series=6
        )
        store(seed.archive_port, files)
    found = service.recent_series()
    assert [one.study_instance_uid for one in found] == ["1.2.3.2"] * 6 + ["1.2.3.1"] * 4
    assert len({one.sop_instance_uid for one in found}) == 10
    assert found[0].described[::2] == ("Name^1", "CT")
