"""A window of operations proposed to peers that know none: one object at a time, as before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.model.device import Connection, RemoteAE
from dcm4py_leading.model.values import AETitle
from tests.fixtures.datasets import read_sample
from tests.fixtures.dcmtk import StoreScp
from tests.fixtures.links import CT, IMPLICIT, prepared
from tests.fixtures.rules import application_entity
from tests.wire.test_upper_layer import encoded


def test_dcmtk_takes_one_object_at_a_time_where_more_are_proposed(storescp: Callable[..., StoreScp]) -> None:
    scp = storescp()
    here = Connection(dn="cn=dicom", hostname="127.0.0.1", max_ops_invoked=16)
    there = Connection(dn="cn=dicom", hostname="127.0.0.1", port=scp.port)
    remote = RemoteAE(dn="ae", ae_title=AETitle("STORESCP"), device_name="viewer", connections=(there,))
    local = replace(application_entity(), connections=(here,))
    ds = read_sample("CT_small.dcm")
    with RequestedAssociation(local, remote, [(CT, [IMPLICIT])], for_storage=True, windowed=True) as association:
        assert association.window == 1
        association.begin_store(prepared(encoded(ds), uid=ds.SOPInstanceUID), 1, None)
        assert association.store_response() == (1, 0x0000)
    assert len(scp.received()) == 1
