"""What passes between supervisor and worker comes out as it went in."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from dcm4py_leading.service.monitor.associations import MessageCounts, OpenAssociation
from dcm4py_leading.workers.monitor_json import (
    association_from_json,
    association_to_json,
)


@pytest.mark.parametrize("study", [None, "4f1c09a2be"])
def test_an_association_stays_the_same(study: str | None) -> None:
    association = OpenAssociation(
        serial_number=7,
        connected_at=datetime(2026, 11, 30, 12, 0, 1, 250_000, tzinfo=UTC),
        is_initiated=True,
        local_ae_title="DCM4CHEE",
        remote_ae_title="QRSCP",
        remote_host="pacs.example:104",
        pid=4711,
        is_busy=True,
        performed={"C-FIND": MessageCounts(1, 3)},
        invoked={"C-STORE": MessageCounts(2, 1)},
        study=study,
    )
    assert association_from_json(json.loads(json.dumps(association_to_json(association)))) == association
