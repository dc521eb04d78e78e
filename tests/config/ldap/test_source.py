"""Against a real slapd."""

import logging
import time
from pathlib import Path

import pytest

from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.ldap.url import LdapUrl
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.snapshot import load_snapshot
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable
from tests.fixtures.slapd import BASE_DN, OUR_LDIF
from tests.fixtures.trees import DEVICE, DEVICES, ROOT, TREE


def source(server, **options):
    given = {"bind_dn": server.bind_dn, "password": server.password, **options}
    return LdapSource([f"{server.url}/{BASE_DN}"], **given)


def snapshot(source):
    return load_snapshot(source, "dcm4chee-arc", properties={}, data_dir=Path("/srv/data"), environment={})


@pytest.fixture
def slapd(slapd_factory, upstream):
    return slapd_factory(schema=upstream.schema, content=[TREE])


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("ldap://host:1389/dc=a", ("ldap", "host", 1389, "dc=a")),
        ("LDAPS://host/dc=a,dc=b", ("ldaps", "host", 636, "dc=a,dc=b")),
        ("ldap://host", ("ldap", "host", 389, "")),
        ("ldap:///dc=a", ("ldap", "localhost", 389, "dc=a")),
        ("ldap://[::1]:1389/dc=a", ("ldap", "::1", 1389, "dc=a")),
        ("ldap://host/cn=My%20Root,dc=a", ("ldap", "host", 389, "cn=My Root,dc=a")),
        ("ldapi://%2Frun%2Fslapd%2Fldapi/dc=a", ("ldapi", "/run/slapd/ldapi", 0, "dc=a")),
    ],
)
def test_url_is_taken_apart(url, parsed):
    found = LdapUrl.parse(url)
    assert (found.scheme, found.host, found.port, found.base_dn) == parsed
    assert LdapUrl.parse(str(found)) == found


@pytest.mark.parametrize(
    "url",
    [
        "host:389",
        "http://host/dc=a",
        "ldap://host:x/dc=a",
        "ldap://h:99999/dc=a",
        "ldap://h/dc=a?x",
        "ldap://h/a",
        "ldapi:///dc=a",
    ],
)
def test_broken_url_is_refused_with_what_was_expected(url):
    with pytest.raises(ValueError, match="expected"):
        LdapUrl.parse(url)


@pytest.mark.parametrize("urls", [[], ["ldap://host"], ["ldap://a/dc=a", "ldap://b"]])
def test_base_dn_is_needed(urls):
    with pytest.raises(ValueError, match="base DN"):
        LdapSource(urls)


def test_base_dn_of_the_last_url_serves_all():
    assert LdapSource(["ldap://a", "ldap://b/dc=x"]).describe() == "ldap://a:389/dc=x, ldap://b:389/dc=x"


def test_bind_dn_without_a_password_is_refused():
    with pytest.raises(ValueError, match="password"):
        LdapSource(["ldap://a/dc=x"], bind_dn="cn=admin")


def test_password_over_the_network_without_tls_is_warned_of(caplog):
    LdapSource(["ldap://ldap.example/dc=x"], bind_dn="cn=admin", password="s3cret")
    assert "without TLS" in caplog.text
    assert "s3cret" not in caplog.text
    caplog.clear()
    LdapSource(["ldaps://ldap.example/dc=x", "ldap://127.0.0.1/dc=x"], bind_dn="cn=admin", password="s3cret")
    LdapSource(["ldap://ldap.example/dc=x"], bind_dn="cn=admin", password="s3cret", start_tls=True)
    assert caplog.text == ""


def test_device_is_read_with_everything_below_it(slapd):
    entries = source(slapd).read_device("DCM4CHEE-ARC")
    assert [entry.dn for entry in entries] == [DEVICE, f"cn=dicom,{DEVICE}", f"dicomAETitle=DCM4CHEE,{DEVICE}"]
    assert source(slapd).read_device("other, or not") == ()


def test_reference_spelt_another_way_is_the_same_connection(slapd):
    assert snapshot(source(slapd)).device.application_entities[0].connections[0].port == 11112


def test_ae_is_found_by_its_exact_title(slapd):
    assert source(slapd).read_ae("DCM4CHEE")[0].dn == DEVICE
    assert source(slapd).read_ae("dcm4chee") == ()
    assert source(slapd).read_ae("*") == ()
    assert source(slapd).read_ae("A)(objectClass=*") == ()


def test_anonymous_read(slapd):
    assert LdapSource([f"{slapd.url}/{BASE_DN}"]).read_ae("DCM4CHEE")


def test_base_dn_may_be_spelt_with_blanks_and_lie_at_the_root_entry(slapd):
    assert LdapSource([f"{slapd.url}/cn=DICOM Configuration, dc=dcm4che, dc=org"]).read_ae("DCM4CHEE")


@pytest.mark.parametrize("base_dn", ["dc=elsewhere", f"cn=Devices,{ROOT}"])
def test_base_dn_without_a_configuration_is_invalid(slapd, base_dn):
    with pytest.raises(ConfigInvalid, match="no dicomConfigurationRoot"):
        LdapSource([f"{slapd.url}/{base_dn}"]).read_device("dcm4chee-arc")


DICOM = "dicomConfigurationRoot (schema/dicom.schema)"
DCM4CHE = "dcmDevice (schema/dcm4che.schema)"
ARCHIVE = "dcmArchiveDevice (schema/dcm4chee-archive.schema)"


@pytest.mark.parametrize(
    ("parts", "missing"),
    [(0, [DICOM, DCM4CHE, ARCHIVE]), (1, [DCM4CHE, ARCHIVE]), (2, [ARCHIVE])],
)
def test_part_of_the_schema_that_the_server_lacks_is_named(slapd_factory, upstream, parts, missing):
    tree = TREE.replace("objectClass: dcmArchiveDevice\n", "").replace("dcmFuzzyAlgorithmClass: ", "dicomDescription: ")
    content = tree if parts else tree.partition(f"dn: {ROOT}")[0]
    server = slapd_factory(schema=upstream.schema[:parts], content=[content])
    with pytest.raises(ConfigInvalid) as caught:
        source(server).read_device("dcm4chee-arc")
    (problem,) = caught.value.problems
    assert f"127.0.0.1:{server.port} has no {', no '.join(missing)}: load it" in problem.reason


def test_stock_tree_is_the_same_device_from_a_server_and_from_its_files(slapd_factory, upstream):
    server = slapd_factory(schema=upstream.schema, content=upstream.stock_content)
    live, embedded = snapshot(source(server)), snapshot(LdifSource(upstream.stock_content))
    assert live.device == embedded.device
    assert live.fingerprint == embedded.fingerprint
    assert [str(problem) for problem in live.problems] == [str(problem) for problem in embedded.problems]


def test_answer_that_the_servers_size_limit_cuts_off_is_unavailable(slapd_factory, upstream):
    server = slapd_factory(schema=upstream.schema, content=upstream.stock_content)
    with pytest.raises(ConfigUnavailable, match="size limit"):
        LdapSource([f"{server.url}/{BASE_DN}"]).read_device("dcm4chee-arc")


def test_referral_is_unavailable_with_the_server_to_name(slapd_factory, upstream):
    referral = (
        f"\ndn: dicomDeviceName=far,{DEVICES}\nobjectClass: referral\nobjectClass: extensibleObject\n"
        "dicomDeviceName: far\nref: ldap://other.example/dicomDeviceName=far\n"
    )
    server = slapd_factory(schema=upstream.schema, content=[TREE + referral])
    with pytest.raises(ConfigUnavailable, match=r"ldap://other\.example"):
        source(server).read_device("far")
    with pytest.raises(ConfigUnavailable, match=r"ldap://other\.example"):
        source(server).read_ae("DCM4CHEE")


def test_wrong_password_is_unavailable_and_never_logged(slapd, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = source(slapd, password="wr0ng-s3cret")
    with pytest.raises(ConfigUnavailable, match=r"refuses the bind as cn=admin.*invalidCredentials") as caught:
        wrong.read_device("dcm4chee-arc")
    told = f"{caught.value!r} {caught.value.__cause__!r} {wrong!r} {wrong.describe()} {caplog.text}"
    assert "s3cret" not in told


def test_stopped_server_is_unavailable_and_read_again_when_it_is_back(slapd):
    directory = source(slapd)
    slapd.stop()
    with pytest.raises(ConfigUnavailable, match=rf"ldap://127\.0\.0\.1:{slapd.port}/"):
        directory.read_device("dcm4chee-arc")
    slapd.start()
    assert directory.read_device("dcm4chee-arc")


def test_frozen_server_is_unavailable_after_the_receive_timeout(slapd):
    directory = source(slapd, receive_timeout_seconds=1)
    with slapd.frozen():
        begun = time.monotonic()
        with pytest.raises(ConfigUnavailable, match=str(slapd.port)):
            directory.read_device("dcm4chee-arc")
        assert time.monotonic() - begun < 5


def test_next_server_is_asked_when_the_first_is_down(slapd, slapd_factory, upstream, caplog):
    second = slapd_factory(schema=upstream.schema, content=[TREE])
    slapd.stop()
    both = LdapSource([f"{slapd.url}/{BASE_DN}", f"{second.url}/{BASE_DN}"])
    assert both.read_ae("DCM4CHEE")
    assert str(slapd.port) in caplog.text
    second.stop()
    with pytest.raises(ConfigUnavailable, match=rf"{slapd.port}.*{second.port}"):
        both.read_ae("DCM4CHEE")


def test_server_without_starttls_is_refused_before_the_password_is_sent(slapd):
    with pytest.raises(ConfigUnavailable, match="startTLS"):
        source(slapd, start_tls=True).read_device("dcm4chee-arc")


@pytest.mark.ldap("dcmLeadingCFindSCP")
@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheSize")
def test_shipped_quickstart_and_change_are_the_same_device_from_a_server_and_from_files(slapd_factory):
    server = slapd_factory(content=[OUR_LDIF / "quickstart.ldif"])
    change = OUR_LDIF / "leading-cfind-scp.ldif"
    assert server.ldapmodify(change).returncode == 0
    live = snapshot(source(server))
    embedded = snapshot(LdifSource([OUR_LDIF / "quickstart.ldif", change]))
    assert live.device == embedded.device
    assert live.fingerprint == embedded.fingerprint
    assert live.problems == embedded.problems == ()
    assert live.device.archive.leading_cfind_scp_query_cache_size == 50
    assert [rule.leading_cfind_scp for rule in live.device.archive.coercion_rules] == ["QRSCP"]


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_shipped_change_applies_to_the_stock_tree_and_its_hidden_rule_is_told(upstream):
    files = [*upstream.stock_content, OUR_LDIF / "stock-peers.ldif", OUR_LDIF / "leading-cfind-scp.ldif"]
    found = snapshot(LdifSource(files))
    (hidden,) = (problem for problem in found.problems if problem.dn.startswith("cn=Leading DCMQRSCP,"))
    assert "on DCM4CHEE" in hidden.reason
    assert "RemoveEncapsulatedPixelDataValueTotalLength" in hidden.reason
