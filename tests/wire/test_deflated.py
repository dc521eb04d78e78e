"""Deflated objects for which there is no room beside others: refused for now, and nothing is left of them."""

from __future__ import annotations

from contextlib import closing

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dcm4py_leading.dataset import deflate
from dcm4py_leading.dataset.deflate import deflated, inflated
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.service.retrieve.encode import encoded
from tests.fixtures.links import CT, associate
from tests.fixtures.pacs import make_object
from tests.fixtures.scu import find, get, identifier
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.92"
KEYS = identifier("STUDY", StudyInstanceUID=STUDY)


def store(seed: Seed) -> int:
    """C-STORE of a deflated object; the status."""
    ds = make_object(STUDY, 1, size=2_000_000)
    association, _ = associate(seed.archive_port, [(CT, [DeflatedExplicitVRLittleEndian])])
    command: dict[int, int | str] = {
        dimse.AFFECTED_SOP_CLASS_UID: CT,
        dimse.COMMAND_FIELD: dimse.C_STORE_RQ,
        dimse.MESSAGE_ID: 1,
        dimse.PRIORITY: 0,
        dimse.AFFECTED_SOP_INSTANCE_UID: str(ds.SOPInstanceUID),
    }
    with closing(association.link):
        association.send([(1, command, encoded(ds, DeflatedExplicitVRLittleEndian))])
        code = association.receive(60).number(dimse.STATUS)
        association.release(60)
    assert code is not None
    return code


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> list[bytearray]:
    """Inflated data sets of others, in little room."""
    monkeypatch.setattr(deflate, "_BUDGET", deflate._Budget(3_000_000))
    return [inflated(deflated(bytes(2_999_000)))]


def test_a_c_store_is_a700_until_there_is_room(seed: Seed, others: list[bytearray]) -> None:
    seed.start()
    assert store(seed) == 0xA700
    assert find(seed.archive_port, KEYS) == (0x0000, [])
    assert seed.objects == []
    others.clear()
    assert store(seed) == 0x0000


def test_a_retrieve_fails_the_sub_operation_and_delivers_when_there_is_room(seed: Seed) -> None:
    seed.start()
    assert store(seed) == 0x0000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deflate, "_BUDGET", deflate._Budget(3_000_000))
        other = inflated(deflated(bytes(2_999_000)))
        responses, objects = get(seed.archive_port, KEYS)
        final = responses[-1][0]
        assert (final.NumberOfFailedSuboperations, objects) == (1, [])
        assert "does not fit" in final.ErrorComment
        del other
        responses, objects = get(seed.archive_port, KEYS)
        assert responses[-1][0].Status == 0x0000
        assert len(objects) == 1
