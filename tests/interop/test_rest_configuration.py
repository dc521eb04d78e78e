"""The services of the configuration on real directory servers: what is written, what stays, and how often is asked."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from dcm4py_leading.config.device_json import document
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.editing import editor_of
from tests.fixtures.configured import ARC, DEVICE_URL, OWN, QUICKSTART, configured, site_of
from tests.fixtures.directories import SHORT_STOCK, DirectoryOf
from tests.fixtures.directory import BASE_DN, DirectoryServer
from tests.fixtures.every_attribute import NAME, every_attribute
from tests.fixtures.slapd import OUR_LDIF, Slapd, SlapdFactory
from tests.fixtures.tls import Authority
from tests.fixtures.trees import DEVICE, DEVICES

pytestmark = pytest.mark.peers

SIZE = "dcmLeadingCFindSCPQueryCacheSize"


def editor_for(directory: DirectoryServer, data_dir: Path) -> Editor:
    source = LdapSource([f"{directory.url}/{BASE_DN}"], bind_dn=directory.bind_dn, password=directory.password)
    return editor_of(site_of(source, data_dir))


def modifications(directory: DirectoryServer) -> int:
    """How many modifications, additions and deletions the server has carried out since its start."""
    if isinstance(directory, Slapd):
        names = ("Add", "Modify", "Delete")
        counted = [("monitorOpCompleted", f"cn={name},cn=Operations,cn=Monitor") for name in names]
    else:
        counted = [(name, "cn=snmp,cn=monitor") for name in ("addentryops", "modifyentryops", "removeentryops")]
    return sum(int(directory.entry(dn, name)[name.lower()][0]) for name, dn in counted)


@pytest.fixture(params=["slapd", "389"])
def stock(request: pytest.FixtureRequest, directory_of: DirectoryOf) -> DirectoryServer:
    return directory_of(request.param, "stock")


@pytest.fixture(params=["slapd", "389"])
def short(request: pytest.FixtureRequest, directory_of: DirectoryOf) -> DirectoryServer:
    return directory_of(request.param, SHORT_STOCK)


@pytest.fixture
def short_rest(short: DirectoryServer, tmp_path: Path) -> Iterator[httpx.Client]:
    with configured(editor_for(short, tmp_path)) as client:
        yield client


@pytest.fixture
def rest(stock: DirectoryServer, tmp_path: Path) -> Iterator[httpx.Client]:
    with configured(editor_for(stock, tmp_path)) as client:
        yield client


def test_every_device_of_the_stock_tree_is_taken_as_it_is_told_without_one_modification(
    stock: DirectoryServer, rest: httpx.Client
) -> None:
    before = modifications(stock)
    names = [found["dicomDeviceName"] for found in rest.get(f"{ARC}/devices").json()]
    for name in names:
        url = f"{ARC}/devices/{name}"
        assert rest.put(url, json=rest.get(url).json()).status_code == 204
    assert len(names) >= 6
    assert modifications(stock) == before


EDITS: list[tuple[Callable[[Any], Any], str, object]] = [
    (lambda told: told, "dicomStationName", "STATION"),
    (lambda told: told["dcmDevice"], "dcmLimitOpenAssociations", 77),
    (lambda told: told["dcmDevice"]["dcmArchiveDevice"], SIZE, 77),
    # Nothing here acts on it.
    (lambda told: told["dcmDevice"]["dcmArchiveDevice"], "dcmSeriesMetadataDelay", "PT77M"),
    (lambda told: told["dicomNetworkConnection"][0]["dcmNetworkConnection"], "dcmTCPConnectTimeout", 77),
    (lambda told: told["dicomNetworkAE"][0]["dcmNetworkAE"], "dcmOtherAETitle", ["OTHER"]),
    (
        lambda told: told["dicomNetworkAE"][0]["dicomTransferCapability"][0],
        "dicomTransferSyntax",
        ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.3.4"],
    ),
    (lambda told: told["dcmDevice"]["dcmArchiveDevice"]["dcmAttributeSet"][0], "dcmAttributeSetTitle", "Title"),
]


def test_each_edit_is_one_modification_of_one_attribute(
    short: DirectoryServer, short_rest: httpx.Client, tmp_path: Path
) -> None:
    editor = editor_for(short, tmp_path)
    first = short_rest.get(DEVICE_URL).json()
    told = copy.deepcopy(first)
    begun = entries = editor.entries(OWN)
    try:
        for where, name, value in EDITS:
            count = modifications(short)
            where(told)[name] = value
            assert short_rest.put(DEVICE_URL, json=told).status_code == 204
            assert modifications(short) == count + 1
            before, entries = entries, editor.entries(OWN)
            assert [attribute for _, attribute in _differing(before, entries)] == [name.lower()]
        assert short_rest.get(DEVICE_URL).json() == told
    finally:
        assert short_rest.put(DEVICE_URL, json=first).status_code == 204
    assert _differing(begun, editor.entries(OWN)) == []


def test_every_attribute_of_every_class_is_made_told_and_kept(
    short: DirectoryServer, short_rest: httpx.Client, tmp_path: Path
) -> None:
    editor = editor_for(short, tmp_path)
    wanted = every_attribute()
    url = f"{ARC}/devices/{quote(NAME)}"
    told: Any = document(wanted)
    told["dcmDevice"] |= dict.fromkeys(("dcmKeyStorePin", "dcmKeyStoreKeyPin", "dcmTrustStorePin"), "secret")
    archive_ae = told["dicomNetworkAE"][0]["dcmNetworkAE"]["dcmArchiveNetworkAE"]
    for holder in (told["dcmDevice"]["dcmArchiveDevice"], archive_ae):
        holder["dcmArchiveAttributeCoercion"][0].pop("dcmRetrieveAsReceived")
    made = short_rest.post(url, json=told)
    try:
        assert made.status_code == 204, made.text
        # Senseless beside the others.
        assert {attribute for _, attribute in _differing(wanted, _without_top(editor.entries(NAME)))} == {
            "dcmretrieveasreceived"
        }
        count = modifications(short)
        assert short_rest.put(url, json=short_rest.get(url).json()).status_code == 204
        assert modifications(short) == count
    finally:
        short_rest.delete(url)
    assert editor.entries(NAME) == ()


def test_certificates_vendor_data_and_foreign_entries_survive(
    short: DirectoryServer, short_rest: httpx.Client, tmp_path: Path, authority: Authority
) -> None:
    octets = base64.b64encode(bytes(range(256))).decode()
    certificate = "".join(authority.ca_file.read_text().split("\n")[1:-2])
    added = (
        f"dn: {DEVICE}\nchangetype: modify\nadd: dicomVendorData\ndicomVendorData:: {octets}\n-\n"
        f"add: objectClass\nobjectClass: strongAuthenticationUser\n-\n"
        f"add: userCertificate;binary\nuserCertificate;binary:: {certificate}\n-\n"
    )
    removed = (
        f"dn: {DEVICE}\nchangetype: modify\ndelete: dicomVendorData\n-\ndelete: userCertificate;binary\n-\n"
        "delete: objectClass\nobjectClass: strongAuthenticationUser\n-\n"
    )
    first = short_rest.get(DEVICE_URL).json()
    assert short.ldapmodify(added).returncode == 0
    try:
        editor = editor_for(short, tmp_path)
        entries = editor.entries(OWN)
        told = short_rest.get(DEVICE_URL).json()
        assert told["dicomVendorData"] is True
        told["dicomStationName"] = "STATION"
        assert short_rest.put(DEVICE_URL, json=told).status_code == 204
        assert [attribute for _, attribute in _differing(entries, editor.entries(OWN))] == ["dicomstationname"]
    finally:
        assert short.ldapmodify(removed).returncode == 0
        assert short_rest.put(DEVICE_URL, json=first).status_code == 204


def test_edit_after_ldapmodify_shows_both_values_and_overwrites_nothing(
    short: DirectoryServer, short_rest: httpx.Client
) -> None:
    def modify(text: str) -> None:
        record = f"dn: {DEVICE}\nchangetype: modify\nreplace: dicomStationName\n{text}-\n"
        assert short.ldapmodify(record).returncode == 0

    first = short_rest.get(DEVICE_URL)
    modify("dicomStationName: THEIRS\n")
    try:
        told = {**first.json(), "dicomStationName": "MINE"}
        answer = short_rest.put(DEVICE_URL, json=told, headers={"If-Match": first.headers["etag"]})
        assert answer.status_code == 412
        (conflict,) = answer.json()["conflicts"]
        assert (conflict["attribute"].lower(), conflict["found"]) == ("dicomstationname", ["THEIRS"])
        assert short_rest.get(DEVICE_URL).json()["dicomStationName"] == "THEIRS"
    finally:
        modify("")


def test_a_directory_that_is_down_is_503(slapd_factory: SlapdFactory, tmp_path: Path) -> None:
    slapd = slapd_factory(content=[OUR_LDIF / QUICKSTART])
    with configured(editor_for(slapd, tmp_path)) as rest:
        told = rest.get(DEVICE_URL).json()
        slapd.stop()
        for answer in (rest.get(DEVICE_URL), rest.get(f"{ARC}/aes"), rest.put(DEVICE_URL, json=told)):
            assert answer.status_code == 503
            assert answer.json()["errorMessage"]
            assert slapd.password not in answer.text


def test_lists_cost_the_same_number_of_searches_with_2000_devices(slapd_factory: SlapdFactory, tmp_path: Path) -> None:
    searches = []
    for count in (1, 2_000):
        slapd = slapd_factory(content=[OUR_LDIF / QUICKSTART, _devices(count)])
        with configured(editor_for(slapd, tmp_path)) as rest:
            for path, filtered in (("devices", "dicomDeviceName=d1"), ("aes", "dicomAETitle=AET1")):
                before = slapd.served()
                assert len(rest.get(f"{ARC}/{path}").json()) == count + 3
                assert len(rest.get(f"{ARC}/{path}?{filtered}").json()) == 1
                searches.append((slapd.served() - before).searches)
    assert searches[:2] == searches[2:]


def _without_top(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Without what 389 adds."""
    return tuple(
        Entry.of(
            entry.dn,
            {
                entry.spell(name): [value for value in entry.values(name) if (name, value) != ("objectclass", "top")]
                for name in entry
            },
        )
        for entry in entries
    )


def _devices(count: int) -> str:
    return "\n".join(
        f"dn: dicomDeviceName=d{number},{DEVICES}\nobjectClass: dicomDevice\ndicomDeviceName: d{number}\n"
        f"dicomInstalled: TRUE\n\n"
        f"dn: cn=dicom,dicomDeviceName=d{number},{DEVICES}\nobjectClass: dicomNetworkConnection\ncn: dicom\n"
        f"dicomHostname: localhost\ndicomPort: 104\n\n"
        f"dn: dicomAETitle=AET{number},dicomDeviceName=d{number},{DEVICES}\nobjectClass: dicomNetworkAE\n"
        f"dicomAETitle: AET{number}\ndicomAssociationInitiator: TRUE\ndicomAssociationAcceptor: TRUE\n"
        f"dicomNetworkConnectionReference: cn=dicom,dicomDeviceName=d{number},{DEVICES}\n"
        for number in range(1, count + 1)
    )


def _differing(old: tuple[Entry, ...], new: tuple[Entry, ...]) -> list[tuple[str, str]]:
    """DN and attribute of all that differs."""
    before, after = ({found.key: found for found in entries} for entries in (old, new))
    assert before.keys() == after.keys()
    return [
        (found.dn, name)
        for key, found in before.items()
        for name in sorted({*found, *after[key]})
        if sorted(found.values(name)) != sorted(after[key].values(name))
    ]
