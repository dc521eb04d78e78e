"""An object far larger than what may be in memory, sent to DCMTK."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.upper.dimse_message import MoveOriginator
from dcm4py_leading.model.device import Connection, RemoteAE
from dcm4py_leading.model.values import AETitle
from tests.fixtures.dcmtk import StoreScp
from tests.fixtures.encoded import encoded
from tests.fixtures.outgoing import LEVELS, Retrieve, indexed, write_object
from tests.fixtures.rules import CT, application_entity, data_set, version_2_rule

SIZE = 300 << 20
SYNTAX = str(ExplicitVRLittleEndian)


def test_an_object_of_300_mebibytes_arrives_whole_and_coerced(
    tmp_path: Path, storescp: Callable[..., StoreScp]
) -> None:
    scp = storescp()
    ds = data_set(SOPClassUID=CT, SOPInstanceUID="1.2.3", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.2")
    header = b"\xe0\x7f\x10\x00OB\0\0" + SIZE.to_bytes(4, "little")
    path = write_object(tmp_path / "object", encoded(ds, EXPLICIT_LITTLE) + header, SYNTAX)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + SIZE)
    rule = version_2_rule(uri="merge-attrs:", merge_attributes=("StudyDescription=Coerced",))
    retrieve = Retrieve(tmp_path, rule)
    prepared = retrieve.instance(indexed(path, SYNTAX, [(ds, tags) for tags in LEVELS])).prepare([SYNTAX])
    here = Connection(dn="cn=dicom", hostname="127.0.0.1")
    there = replace(here, port=scp.port)
    remote = RemoteAE(dn="ae", ae_title=AETitle("STORESCP"), device_name="viewer", connections=(there,))
    local = replace(application_entity(), connections=(here,))
    with RequestedAssociation(local, remote, [(CT, [SYNTAX])], for_storage=True) as association:
        association.begin_store(prepared, 1, MoveOriginator("VIEWER", 1))
        assert association.store_response() == (1, 0x0000)
    (received,) = scp.received()
    with received.open("rb") as file:
        start = file.read(4096)
    assert b"StudyDescription" not in start and b"LO\x08\0Coerced " in start
    at = start.index(header) + len(header)
    assert received.stat().st_size == at + SIZE
    received.unlink()
