"""Changes on real servers: nothing is overwritten, and what fails in the middle is taken back, or told."""

from __future__ import annotations

import ssl
from contextlib import ExitStack

import pytest

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldap.session import Session
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.writing.changes import changes_between
from dcm4py_leading.config.writing.ldap_writer import LdapWriter
from dcm4py_leading.config.writing.state import etag
from dcm4py_leading.errors import (
    ConfigUnavailable,
    ReadOnlyDirectory,
    WriteConflict,
    WriteDenied,
    WriteInterrupted,
    WriteRefused,
)
from tests.fixtures.directories import SERVERS, SHORT
from tests.fixtures.directory import BASE_DN
from tests.fixtures.slapd import OUR_SCHEMA, Slapd
from tests.fixtures.trees import AE, DEVICE, TREE

pytestmark = pytest.mark.peers

RULE = f"cn=leading,{DEVICE}"
OTHER = f"cn=other,{DEVICE}"
RULE_LDIF = (
    f"dn: {RULE}\nobjectClass: dcmArchiveAttributeCoercion\ncn: leading\ndcmRulePriority: 1\n"
    "dcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\n"
)
DIRECTION = {"dcmDIMSE": ["C_STORE_RQ"], "dicomTransferRole": ["SCP"]}
OTHERS = {"FALSE": "TRUE"}
OCTETS = b"\xe4\xff\x00 octets \x80".decode("utf-8", "backslashreplace")


def source(*servers, **options):
    given = {"bind_dn": servers[0].bind_dn, "password": servers[0].password, **options}
    return LdapSource([f"{server.url}/{BASE_DN}" for server in servers], **given)


def entries(server):
    return source(server).read_entries(DEVICE, with_below=True)


def device(server):
    return next(found for found in entries(server) if found.is_a("dicomDevice"))


def rule(dn=RULE, **attributes):
    name = dn.partition(",")[0].removeprefix("cn=")
    return Entry.of(dn, {"objectClass": ["dcmArchiveAttributeCoercion"], "cn": [name], **DIRECTION, **attributes})


def changed(found, **attributes):
    return Entry.of(found.dn, {**found.attributes, **{name.lower(): values for name, values in attributes.items()}})


def planned(server, *new, without=(), at=DEVICE, **attributes):
    """Changes that give the entry these attributes, add the new entries, and delete those of these DNs."""
    before = entries(server)
    key, gone = Entry(at, {}).key, [Entry(dn, {}).key for dn in without]
    after = [changed(found, **attributes) if found.key == key else found for found in before if found.key not in gone]
    return changes_between(before, [*after, *new])


def write(server, changes, **options):
    LdapWriter(source(server, **options)).write(changes)


@pytest.fixture(params=SERVERS)
def server(request, directory_of):
    """A server with our tree and a rule, which is left as it was."""
    found = directory_of(request.param, SHORT)
    before = entries(found)
    found.load(RULE_LDIF)
    yield found
    write(found, changes_between(entries(found), before))
    assert etag(entries(found)) == etag(before)


@pytest.fixture
def slapd(slapd_factory):
    return slapd_factory(content=[TREE, RULE_LDIF])


def modify(server, *lines, dn=DEVICE):
    done = server.ldapmodify("\n".join((f"dn: {dn}", "changetype: modify", *lines, "-")) + "\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "attributes",
    [
        {"dicomDescription": ["Ä ü, with a comma; and = signs"]},
        {"dicomSoftwareVersion": ["1", "2", "3"], "dicomInstalled": ["FALSE"]},
        {"dicomVendorData": [OCTETS]},
        {"dcmKeyStorePin": ["tulip"]},
    ],
)
def test_values_come_change_and_go(server, attributes):
    before = device(server)
    there = {name: before.values(name) for name in attributes}
    write(server, planned(server, **attributes))
    assert {name: sorted(device(server).values(name)) for name in attributes} == attributes
    other = {
        name: ["TRUE" if value == "FALSE" else f"{value}x" for value in values] for name, values in attributes.items()
    }
    write(server, planned(server, **other))
    assert {name: sorted(device(server).values(name)) for name in other} == other
    write(server, planned(server, **there))
    assert device(server) == before


def test_other_case_is_written_where_the_server_ignores_case(server):
    write(server, planned(server, dicomDescription=["the archive"]))
    write(server, planned(server, dicomDescription=["The  Archive"]))
    assert device(server).values("dicomDescription") == ("The  Archive",)


def test_entry_comes_changes_and_goes(server):
    before = entries(server)
    write(server, planned(server, rule(OTHER, dcmRulePriority=["5"])))
    assert {"cn=other", "cn=leading"} <= {found.dn.partition(",")[0] for found in entries(server)}
    write(server, planned(server, at=OTHER, dcmRulePriority=["6"]))
    write(server, planned(server, without=[OTHER]))
    assert etag(entries(server)) == etag(before)


def test_value_that_somebody_else_has_changed_is_kept_and_told(server):
    changes = planned(server, at=RULE, dcmRulePriority=["7"])
    modify(server, "replace: dcmRulePriority", "dcmRulePriority: 9", dn=RULE)
    with pytest.raises(WriteConflict) as conflict:
        write(server, changes)
    found = conflict.value
    assert (found.attribute, found.expected, found.found) == ("dcmRulePriority", ("1",), ("9",))
    assert server.entry(RULE)["dcmrulepriority"] == ["9"]


def test_value_that_somebody_else_has_given_is_kept_and_told(server):
    changes = planned(server, dicomStationName=["A"])
    modify(server, "add: dicomStationName", "dicomStationName: B")
    with pytest.raises(WriteConflict) as conflict:
        write(server, changes)
    assert (conflict.value.attribute, conflict.value.expected, conflict.value.found) == ("dicomStationName", (), ("B",))
    assert device(server).values("dicomStationName") == ("B",)


def test_same_value_that_somebody_else_has_given_is_told(server):
    changes = planned(server, dicomSoftwareVersion=["1", "2"])
    modify(server, "add: dicomSoftwareVersion", "dicomSoftwareVersion: 2")
    with pytest.raises(WriteConflict) as conflict:
        write(server, changes)
    assert conflict.value.found == ("2",)


def test_other_value_of_the_same_attribute_is_kept(server):
    changes = planned(server, dicomSoftwareVersion=["1"])
    modify(server, "add: dicomSoftwareVersion", "dicomSoftwareVersion: 2")
    write(server, changes)
    assert sorted(device(server).values("dicomSoftwareVersion")) == ["1", "2"]


def test_octets_that_cannot_be_compared_are_not_overwritten(server):
    write(server, planned(server, dicomVendorData=[OCTETS]))
    changes = planned(server, dicomVendorData=[OCTETS + "mine"])
    modify(server, "replace: dicomVendorData", "dicomVendorData: theirs")
    with pytest.raises(WriteConflict):
        write(server, changes)
    assert device(server).values("dicomVendorData") == ("theirs",)


def test_entry_that_somebody_else_has_made_is_kept(server):
    changes = planned(server, rule(OTHER, dcmRulePriority=["5"]))
    server.load(RULE_LDIF.replace("leading", "other"))
    with pytest.raises(WriteConflict) as conflict:
        write(server, changes)
    assert (conflict.value.dn, conflict.value.attribute) == (OTHER, None)
    assert server.entry(OTHER)["dcmrulepriority"] == ["1"]


def test_entry_that_somebody_else_has_deleted_is_told(server):
    changes = planned(server, at=RULE, dcmRulePriority=["7"])
    server.ldapmodify(f"dn: {RULE}\nchangetype: delete\n")
    with pytest.raises(WriteConflict) as conflict:
        write(server, changes)
    assert conflict.value.attribute is None


def test_entry_that_somebody_else_has_changed_is_not_deleted(server):
    changes = planned(server, without=[RULE])
    modify(server, "replace: dcmRulePriority", "dcmRulePriority: 9", dn=RULE)
    with pytest.raises(WriteConflict) as conflict:
        write(server, changes)
    assert (conflict.value.expected, conflict.value.found) == (("1",), ("9",))
    assert server.entry(RULE)["dcmrulepriority"] == ["9"]


def test_entry_below_which_somebody_else_has_made_one_is_not_deleted(server):
    server.load(RULE_LDIF.replace(RULE, f"cn=leading,{AE}"))
    changes = [found for found in planned(server, without=[AE, f"cn=leading,{AE}"]) if found.dn.startswith("dicomAE")]
    with pytest.raises(WriteConflict):
        write(server, changes)


def test_entry_whose_parent_is_gone_is_told(server):
    changes = planned(server, rule(f"cn=below,{OTHER}"))
    with pytest.raises(WriteConflict) as conflict:
        write(server, changes)
    assert conflict.value.dn == OTHER


def test_entry_that_the_schema_forbids_is_refused(server):
    with pytest.raises(WriteRefused) as refused:
        write(server, planned(server, at=RULE, dcmRulePriority=["many"]))
    (problem,) = refused.value.problems
    assert problem.dn == RULE
    assert "refuses it" in problem.reason


def test_changes_before_the_one_that_fails_are_taken_back(server):
    before = entries(server)
    changes = planned(server, rule(OTHER, dcmRulePriority=["5"]), dicomStationName=["A"])
    changes += planned(server, at=RULE, dcmRulePriority=["7"])
    modify(server, "replace: dcmRulePriority", "dcmRulePriority: 9", dn=RULE)
    with pytest.raises(WriteConflict) as conflict:
        write(server, changes)
    assert (conflict.value.written, conflict.value.left) == ((), (OTHER, DEVICE, RULE))
    modify(server, "replace: dcmRulePriority", "dcmRulePriority: 1", dn=RULE)
    assert etag(entries(server)) == etag(before)


def test_deleted_entry_is_not_made_again_but_told(server):
    changes = planned(server, without=[RULE])
    server.load(RULE_LDIF.replace("leading", "other"))
    changes += planned(server, without=[OTHER])[-1:]
    modify(server, "replace: dcmRulePriority", "dcmRulePriority: 9", dn=OTHER)
    with pytest.raises(WriteConflict, match=r"changed already: cn=leading.*; not changed: cn=other") as conflict:
        write(server, changes)
    assert (conflict.value.written, conflict.value.left) == ((RULE,), (OTHER,))


def test_nobody_is_asked_about_nothing():
    LdapWriter(LdapSource([f"ldap://127.0.0.1:1/{BASE_DN}"])).write(())


def test_certificate_is_written_octet_by_octet(slapd, authority):
    modify(slapd, "add: objectClass", "objectClass: pkiUser")
    der = ssl.PEM_cert_to_DER_cert(authority.ca_file.read_text()).decode("utf-8", "backslashreplace")
    write(slapd, planned(slapd, **{"userCertificate;binary": [der]}))
    assert device(slapd).values("userCertificate;binary") == (der,)
    write(slapd, planned(slapd, dicomStationName=["A"]))
    assert device(slapd).values("userCertificate;binary") == (der,)


class GuardedSlapd(Slapd):
    """Its second user may change the device, and nothing else."""

    user = f"cn=editor,{BASE_DN}"

    def _write_config_file(self, schema):
        path = super()._write_config_file(OUR_SCHEMA)
        rules = (
            f'access to dn.base="{DEVICE}" by dn.base="{self.user}" write by anonymous auth by * read\n'
            "access to attrs=userPassword by anonymous auth\naccess to * by * read\n"
        )
        path.write_text(path.read_text("utf-8").replace("database monitor", f"{rules}database monitor"), "utf-8")
        return path


@pytest.fixture
def guarded(tmp_path, slapd_factory):
    user = (
        f"\ndn: {GuardedSlapd.user}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n"
        "cn: editor\nuserPassword: tulip\n"
    )
    with GuardedSlapd(tmp_path, content=[TREE + user + "\n" + RULE_LDIF]) as server:
        yield server


AS_EDITOR = {"bind_dn": GuardedSlapd.user, "password": "tulip"}


def test_permitted_changes_are_carried_out(guarded):
    write(guarded, planned(guarded, dicomStationName=["A"]), **AS_EDITOR)
    assert device(guarded).values("dicomStationName") == ("A",)


def test_denied_change_takes_back_the_others(guarded):
    changes = planned(guarded, dicomStationName=["A"]) + planned(guarded, at=RULE, dcmRulePriority=["7"])
    with pytest.raises(WriteDenied, match="insufficientAccessRights") as denied:
        write(guarded, changes, **AS_EDITOR)
    assert (denied.value.written, denied.value.left) == ((), (DEVICE, RULE))
    assert RULE in str(denied.value)
    assert device(guarded).values("dicomStationName") == ()


def test_anonymous_user_is_denied(guarded):
    with pytest.raises(WriteDenied):
        write(guarded, planned(guarded, dicomStationName=["A"]), bind_dn=None, password=None)


def test_server_that_is_down_is_unavailable_and_nothing_was_changed(slapd):
    changes = planned(slapd, dicomStationName=["A"])
    slapd.stop()
    with pytest.raises(ConfigUnavailable, match="cannot connect") as unavailable:
        write(slapd, changes)
    assert not isinstance(unavailable.value, WriteInterrupted)


def test_server_that_goes_down_in_the_middle_leaves_what_is_told(slapd, monkeypatch):
    changes = planned(slapd, rule(OTHER), dicomStationName=["A"]) + planned(slapd, at=RULE, dcmRulePriority=["7"])
    carried_out = Session.modify

    def dies_after_the_device(session, dn, modifications):
        result = carried_out(session, dn, modifications)
        slapd.stop()
        return result

    monkeypatch.setattr(Session, "modify", dies_after_the_device)
    with pytest.raises(WriteInterrupted) as interrupted:
        write(slapd, changes)
    assert (interrupted.value.written, interrupted.value.left) == ((OTHER, DEVICE), (RULE,))
    assert f"whether {RULE} was changed is not known" in str(interrupted.value)
    slapd.start()
    assert device(slapd).values("dicomStationName") == ("A",)


class TwinSlapd(Slapd):
    """It has the same password as another, as the servers of one directory have."""

    more = ""

    def _write_config_file(self, schema):
        self.password = "tulip"
        self.password_file.write_text(self.password)
        path = super()._write_config_file(OUR_SCHEMA)
        path.write_text(path.read_text("utf-8") + self.more, "utf-8")
        return path


class ReplicaSlapd(TwinSlapd):
    """A copy, which refers whoever writes to its provider."""

    more = (
        "syncrepl rid=001 provider=ldap://127.0.0.1:1 type=refreshOnly interval=01:00:00:00"
        f' searchbase="{BASE_DN}" bindmethod=simple binddn="cn=x" credentials=x retry="3600 +"\n'
        "updateref ldap://provider.example.org\n"
    )


@pytest.fixture
def twins(tmp_path, slapd_factory):
    """Start servers of the same tree and password."""
    with ExitStack() as running:

        def start(*kinds):
            for number, kind in enumerate(kinds):
                (tmp_path / str(number)).mkdir()
                yield running.enter_context(kind(tmp_path / str(number), content=[TREE, RULE_LDIF]))

        yield lambda *kinds: list(start(*kinds))


def test_next_server_is_written_when_the_first_is_down(twins):
    first, second = twins(TwinSlapd, TwinSlapd)
    changes = planned(first, dicomStationName=["A"])
    first.stop()
    LdapWriter(source(first, second)).write(changes)
    assert device(second).values("dicomStationName") == ("A",)


def test_copy_is_read_only_and_names_the_server_that_is_not(twins):
    (replica,) = twins(ReplicaSlapd)
    with pytest.raises(ReadOnlyDirectory, match=r"is a copy and refers to ldap://provider\.example\.org"):
        write(replica, planned(replica, dicomStationName=["A"]))


def test_server_behind_a_copy_is_written(twins):
    replica, provider = twins(ReplicaSlapd, TwinSlapd)
    LdapWriter(source(replica, provider)).write(planned(replica, dicomStationName=["A"]))
    assert device(provider).values("dicomStationName") == ("A",)
    assert device(replica).values("dicomStationName") == ()
