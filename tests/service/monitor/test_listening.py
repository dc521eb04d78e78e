"""Where a device is to listen, and why it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dcm4py_leading.model.device import ApplicationEntity, Connection, ConnectionProtocol, Device
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.monitor.listening import listeners_of

DICOM = Connection(dn="cn=dicom", cn="dicom", hostname="archive.example", port=11112)


def ae(title: str, *connections: Connection, is_acceptor: bool = True) -> ApplicationEntity:
    return ApplicationEntity(
        dn=f"dicomAETitle={title}",
        ae_title=AETitle(title),
        association_initiator=True,
        association_acceptor=is_acceptor,
        connections=connections,
    )


def device(*aes: ApplicationEntity) -> Device:
    return Device(dn="", device_name="d", connections=(DICOM,), application_entities=aes)


def test_port_is_listed_once_with_its_aes() -> None:
    aes = ae("A", DICOM), ae("B", DICOM), ae("INITIATOR", DICOM, is_acceptor=False)
    (found,) = listeners_of(device(*aes), {("archive.example", 11112)})
    assert (found.name, found.host, found.port) == ("dicom", "archive.example", 11112)
    assert (found.ae_titles, found.is_bound, found.why_not) == (("A", "B"), True, None)


def test_the_address_is_that_on_which_it_is_bound() -> None:
    bound_elsewhere = replace(DICOM, bind_address="0.0.0.0")
    (found,) = listeners_of(device(ae("A", bound_elsewhere)), {("0.0.0.0", 11112)})
    assert (found.host, found.is_bound) == ("0.0.0.0", True)


@pytest.mark.parametrize(
    ("connection", "why_not"),
    [
        (DICOM, "stopped by an administrator"),
        (replace(DICOM, installed=False), "not installed"),
        (replace(DICOM, tls_cipher_suites=("TLS_AES_128_GCM_SHA256",)), "TLS is not served"),
        (replace(DICOM, protocol=ConnectionProtocol.HL7), "HL7 is not served"),
    ],
)
def test_one_that_is_not_bound_tells_why(connection: Connection, why_not: str) -> None:
    (found,) = listeners_of(device(ae("A", connection)), set())
    assert (found.is_bound, found.why_not) == (False, why_not)


def test_a_connection_that_only_initiates_is_no_listener() -> None:
    assert listeners_of(device(ae("A", replace(DICOM, port=None))), set()) == ()
