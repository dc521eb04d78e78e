"""The files of ldif/ do in a real slapd what their comments say, under our schema and under dcm4chee's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.slapd import BASE_DN, OUR_CONFIG_SCHEMA, OUR_LDIF, OUR_SCHEMA, Slapd, SlapdFactory, Upstream

QUICKSTART = OUR_LDIF / "quickstart.ldif"
LEADING = OUR_LDIF / "leading-cfind-scp.ldif"
STOCK_PEERS = OUR_LDIF / "stock-peers.ldif"

CONFIGURATION = f"cn=DICOM Configuration,{BASE_DN}"
DEVICES = f"cn=Devices,{CONFIGURATION}"
ARCHIVE = f"dicomDeviceName=dcm4chee-arc,{DEVICES}"
RULE = f"cn=Leading DCMQRSCP,{ARCHIVE}"

ALREADY_EXISTS = 68

STOCK_LIKE = f"""\
dn: {BASE_DN}
objectClass: dcObject
objectClass: organization
dc: dcm4che
o: test

dn: {CONFIGURATION}
objectClass: dicomConfigurationRoot
cn: DICOM Configuration

dn: {DEVICES}
objectClass: dicomDevicesRoot
cn: Devices

dn: cn=Unique AE Titles Registry,{CONFIGURATION}
objectClass: dicomUniqueAETitlesRegistryRoot
cn: Unique AE Titles Registry

dn: {ARCHIVE}
objectClass: dicomDevice
objectClass: dcmDevice
objectClass: dcmArchiveDevice
dicomDeviceName: dcm4chee-arc
dicomInstalled: TRUE
dcmFuzzyAlgorithmClass: org.dcm4che3.soundex.ESoundex
dcmLeadingCFindSCPQueryCacheStaleTimeout: PT10M

dn: dicomDeviceName=storescp,{DEVICES}
objectClass: dicomDevice
dicomDeviceName: storescp
dicomInstalled: TRUE

dn: cn=dicom,dicomDeviceName=storescp,{DEVICES}
objectClass: dicomNetworkConnection
objectClass: dcmNetworkConnection
cn: dicom
dicomHostname: localhost
dicomPort: 11117

dn: dicomAETitle=STORESCP,dicomDeviceName=storescp,{DEVICES}
objectClass: dicomNetworkAE
dicomAETitle: STORESCP
dicomNetworkConnectionReference: cn=dicom,dicomDeviceName=storescp,{DEVICES}
dicomAssociationInitiator: TRUE
dicomAssociationAcceptor: TRUE
"""
"""What the change files meet in dcm4chee's default-config, as far as our part of the schema can hold it."""


@pytest.fixture(params=["our schema", "upstream's schema"])
def schema(request: pytest.FixtureRequest) -> tuple[Path, ...]:
    if request.param == "our schema":
        return OUR_SCHEMA
    upstream: Upstream = request.getfixturevalue("upstream")
    return upstream.schema


@pytest.fixture
def quickstart(slapd_factory: SlapdFactory, schema: tuple[Path, ...]) -> Slapd:
    return slapd_factory(schema=schema, content=[QUICKSTART])


@pytest.fixture(params=["like the stock tree, our schema", "the stock tree, upstream's schema"])
def stock(request: pytest.FixtureRequest, slapd_factory: SlapdFactory) -> Slapd:
    if request.param.startswith("like"):
        return slapd_factory(content=[STOCK_LIKE])
    upstream: Upstream = request.getfixturevalue("upstream")
    return slapd_factory(schema=upstream.schema, content=upstream.stock_content)


def where_aes_listen(slapd: Slapd) -> dict[str, tuple[str, str]]:
    """Host and port of each dicomNetworkAE, through its first connection."""
    found = {}
    for ae in slapd.ldapsearch(base=DEVICES, filter_="(objectClass=dicomNetworkAE)"):
        connection = slapd.entry(ae["dicomnetworkconnectionreference"][0])
        found[ae["dicomaetitle"][0]] = (connection["dicomhostname"][0], connection["dicomport"][0])
    return found


def reserved_ae_titles(slapd: Slapd) -> set[str]:
    found = slapd.ldapsearch(base=f"cn=Unique AE Titles Registry,{CONFIGURATION}", scope="one")
    return {entry["dicomaetitle"][0] for entry in found}


def assert_leading_is_configured(slapd: Slapd) -> None:
    device = slapd.entry(ARCHIVE)
    assert device["dcmleadingcfindscpquerycachestaletimeout"] == ["PT5M"]
    assert device["dcmleadingcfindscpquerycachesize"] == ["50"]
    assert slapd.entry(RULE) == {
        "dn": [RULE],
        "objectclass": ["dcmArchiveAttributeCoercion"],
        "cn": ["Leading DCMQRSCP"],
        "dcmdimse": ["C_STORE_RQ"],
        "dicomtransferrole": ["SCP"],
        "dcmproperty": ["ReceivingApplicationEntityTitle=STORESCP"],
        "dcmleadingcfindscp": ["QRSCP"],
    }


SCENE = {
    "DCM4CHEE": ("localhost", "11112"),
    "QRSCP": ("localhost", "11113"),
    "STORESCP": ("localhost", "11115"),
}


@pytest.mark.peers
def test_quickstart_holds_the_archive_the_leading_archive_and_the_viewer(quickstart: Slapd) -> None:
    assert where_aes_listen(quickstart) == SCENE
    assert reserved_ae_titles(quickstart) == set(SCENE)


@pytest.mark.peers
def test_quickstart_is_accepted_by_ldapadd(slapd_factory: SlapdFactory, schema: tuple[Path, ...]) -> None:
    slapd = slapd_factory(schema=schema)

    added = slapd.ldapadd(QUICKSTART)

    assert added.returncode == 0, added.stderr
    assert where_aes_listen(slapd) == SCENE


@pytest.mark.peers
def test_quickstart_is_accepted_under_cn_config(slapd_factory: SlapdFactory) -> None:
    assert where_aes_listen(slapd_factory(config_schema=OUR_CONFIG_SCHEMA, content=[QUICKSTART])) == SCENE


@pytest.mark.peers
def test_quickstart_asks_no_leading_archive_yet(quickstart: Slapd) -> None:
    assert quickstart.ldapsearch(filter_="(dcmDIMSE=*)") == []
    assert not any("querycache" in name for name in quickstart.entry(ARCHIVE))


@pytest.mark.peers
def test_quickstart_keeps_every_leading_return_key_in_the_index(quickstart: Slapd) -> None:
    filters = quickstart.ldapsearch("dcmTag", base=ARCHIVE, filter_="(objectClass=dcmAttributeFilter)")
    (leading,) = quickstart.ldapsearch("dcmTag", base=ARCHIVE, filter_="(dcmAttributeSetType=LEADING_CFIND_SCP)")

    assert set(leading["dcmtag"]) <= {tag for found in filters for tag in found["dcmtag"]}


@pytest.mark.peers
def test_quickstart_stores_and_sends_the_same_classes_and_transfer_syntaxes(quickstart: Slapd) -> None:
    def capabilities(role: str) -> dict[str, set[str]]:
        found = quickstart.ldapsearch(
            "dicomSOPClass",
            "dicomTransferSyntax",
            base=ARCHIVE,
            filter_=f"(&(objectClass=dicomTransferCapability)(dicomTransferRole={role})(cn=*Storage*))",
        )
        return {entry["dicomsopclass"][0]: set(entry["dicomtransfersyntax"]) for entry in found}

    assert len(capabilities("SCP")) > 100
    assert capabilities("SCP") == capabilities("SCU")


@pytest.mark.peers
@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_leading_change_is_accepted_on_the_quickstart_tree(quickstart: Slapd) -> None:
    changed = quickstart.ldapmodify(LEADING)

    assert changed.returncode == 0, changed.stderr
    assert_leading_is_configured(quickstart)


@pytest.mark.peers
def test_leading_change_is_accepted_where_the_stale_timeout_is_set_already(stock: Slapd) -> None:
    assert "dcmleadingcfindscpquerycachestaletimeout" in stock.entry(ARCHIVE)

    changed = stock.ldapmodify(LEADING)

    assert changed.returncode == 0, changed.stderr
    assert_leading_is_configured(stock)


@pytest.mark.peers
def test_leading_change_repeated_sets_its_values_anew_and_finds_its_rule(quickstart: Slapd) -> None:
    quickstart.ldapmodify(LEADING)
    quickstart.ldapmodify(
        f"dn: {ARCHIVE}\nchangetype: modify\nreplace: dcmLeadingCFindSCPQueryCacheSize\n"
        "dcmLeadingCFindSCPQueryCacheSize: 7\n-\n"
    )

    repeated = quickstart.ldapmodify(LEADING)

    assert repeated.returncode == ALREADY_EXISTS
    assert_leading_is_configured(quickstart)


@pytest.mark.peers
def test_stock_peers_adds_the_leading_archive_and_moves_the_viewer(stock: Slapd) -> None:
    assert where_aes_listen(stock)["STORESCP"] == ("localhost", "11117")

    changed = stock.ldapmodify(STOCK_PEERS)

    assert changed.returncode == 0, changed.stderr
    listening = where_aes_listen(stock)
    assert listening["QRSCP"] == SCENE["QRSCP"]
    assert listening["STORESCP"] == SCENE["STORESCP"]
    assert "QRSCP" in reserved_ae_titles(stock)


@pytest.mark.peers
def test_stock_peers_repeated_moves_the_viewer_again_and_finds_the_leading_archive(stock: Slapd) -> None:
    stock.ldapmodify(STOCK_PEERS)

    repeated = stock.ldapmodify(STOCK_PEERS)

    assert repeated.returncode == ALREADY_EXISTS
    assert where_aes_listen(stock)["STORESCP"] == SCENE["STORESCP"]


@pytest.mark.parametrize("path", sorted(OUR_LDIF.glob("*.ldif")), ids=lambda path: path.name)
def test_every_file_ends_with_an_empty_line(path: Path) -> None:
    # Without it ldaptor loses the last record; a carriage return would be part of the value for some readers.
    text = path.read_bytes()

    assert text.endswith(b"\n\n")
    assert b"\r" not in text


@pytest.mark.parametrize("path", sorted(OUR_LDIF.glob("*.ldif")), ids=lambda path: path.name)
def test_no_value_ends_with_a_blank(path: Path) -> None:
    # slapd would store it.
    assert [line for line in path.read_text("utf-8").splitlines() if line != line.rstrip()] == []
