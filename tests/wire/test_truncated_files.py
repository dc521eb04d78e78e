"""Files that become shorter while they are being sent: their sub-operations fail, and the service goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import JPEGBaseline8Bit
from pynetdicom import build_context, build_role, evt
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from tests.fixtures.encapsulated import encapsulate
from tests.fixtures.pacs import make_object
from tests.fixtures.scu import STUDY_GET, associated, echoes, identifier, store
from tests.fixtures.service import Seed
from tests.fixtures.workers import Serve, Served, until

STUDY = "1.2.826.0.1.3680043.8.498.95"
FRAGMENT = 1 << 20
OBJECTS = 2


def encapsulated(number: int) -> Dataset:
    """An object of several large fragments."""
    ds = make_object(STUDY, number)
    encapsulate(ds, [bytes(FRAGMENT)] * 4)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return ds


def with_a_long_header(number: int) -> Dataset:
    """An object with megabytes before its pixel data."""
    ds = encapsulated(number)
    ds.add_new(0x00090010, "LO", "CREATOR")
    ds.add_new(0x00091001, "OB", bytes(3 * FRAGMENT))
    return ds


def open_objects(served: Served, seed: Seed) -> set[Path]:
    """Files of objects that the service has open."""
    folder = seed.data_dir / "storage"
    found = set()
    for descriptor in Path(f"/proc/{served.process.pid}/fd").iterdir():
        try:
            target = descriptor.readlink()
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.is_relative_to(folder):
            found.add(target)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("make", [encapsulated, with_a_long_header])
def test_an_object_that_is_cut_off_while_it_waits_to_be_sent_fails_alone(
    seed: Seed, serve: Serve, make: Callable[[int], Dataset]
) -> None:
    served = serve(workers=1)
    assert store(seed.archive_port, [make(number) for number in range(OBJECTS)]) == [0] * OBJECTS
    received = []

    def on_store(event: Any) -> int:
        """While the first one is being stored, the service has the next one ready."""
        received.append(event.request.AffectedSOPInstanceUID)
        if len(received) == 1:
            until(lambda: bool(open_objects(served, seed)))
            (path,) = open_objects(served, seed)
            os.truncate(path, FRAGMENT)
        return 0x0000

    with associated(
        seed.archive_port,
        [STUDY_GET, build_context(CTImageStorage, JPEGBaseline8Bit)],
        ext_neg=[build_role(CTImageStorage, scp_role=True)],
        handlers=[(evt.EVT_C_STORE, on_store)],
    ) as assoc:
        responses = list(assoc.send_c_get(identifier("STUDY", StudyInstanceUID=STUDY), STUDY_GET))
    final = responses[-1][0]
    assert (final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (1, 1)
    assert len(received) == 1
    assert "a stored object is not as long as it was when it was stored" in served.told()
    assert served.process.poll() is None
    assert echoes(seed.archive_port)
