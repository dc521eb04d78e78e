"""OpenLDAP, 389 Directory Server and ApacheDS: our schema and our files load, and each tells the same configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from dcm4py_leading.__main__ import main
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable
from scripts.schema_ldif import Definition, definitions
from tests.fixtures.directories import SERVERS, TREES, DirectoryOf, content_of
from tests.fixtures.directory import BASE_DN, DirectoryServer
from tests.fixtures.slapd import OUR_LDIF, OUR_SCHEMA

pytestmark = pytest.mark.peers

LEADING = OUR_LDIF / "leading-cfind-scp.ldif"
STOCK_PEERS = OUR_LDIF / "stock-peers.ldif"
CHANGES = {"ours": (LEADING,), "stock": (STOCK_PEERS, LEADING)}
SUBSCHEMA = {"slapd": "cn=subschema", "389": "cn=schema", "apacheds": "cn=schema"}

Told = tuple[int, object]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=TREES)
def tree(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def changed(directory_of: DirectoryOf, server: str, tree: str) -> Iterator[DirectoryServer]:
    """The tree with what our change files add, as ldapmodify applies it."""
    directory = directory_of(server, tree)
    for change in CHANGES[tree]:
        done = directory.ldapmodify(change, "-c")
        # A test before this one has added the entries already.
        assert done.returncode in (0, 68), done.stderr
    yield directory


def told(command: str, *source: str, password: str = "") -> Told:
    result = CliRunner().invoke(main, [command, *source, "--json"], env={"DCM4PY_BIND_PASSWORD": password})
    assert result.exit_code == 0, result.output
    return result.exit_code, json.loads(result.stdout)


def live(command: str, directory: DirectoryServer) -> Told:
    url = f"{directory.url}/{BASE_DN}"
    return told(command, "--ldap-url", url, "--bind-dn", directory.bind_dn, password=directory.password)


def files(command: str, paths: tuple[Path, ...]) -> Told:
    return told(command, *(option for path in paths for option in ("--ldif", str(path))))


def test_every_server_and_the_files_tell_the_same_effective_configuration(
    changed: DirectoryServer, tree: str, request: pytest.FixtureRequest
) -> None:
    paths = (*content_of(tree, request), *CHANGES[tree])

    assert live("show", changed) == files("show", paths)
    assert live("check", changed) == files("check", paths)


def facts(definition: Definition) -> tuple[object, ...]:
    """What a schema says, apart from descriptions and from what counts if nothing is said."""
    listed = (sorted(definition.values.get(keyword, ())) for keyword in ("NAME", "EQUALITY", "SYNTAX", "MUST", "MAY"))
    return (*listed, definition.flags & {"SINGLE-VALUE", "AUXILIARY"})


def test_our_schema_is_published_as_it_was_written(directory_of: DirectoryOf, server: str) -> None:
    written = [Definition.parse(text) for path in OUR_SCHEMA for _, text in definitions(path.read_text("utf-8"))]
    (subschema,) = directory_of(server, "ours").ldapsearch(
        "attributeTypes", "objectClasses", base=SUBSCHEMA[server], scope="base", filter_="(objectClass=subschema)"
    )
    texts = (*subschema["attributetypes"], *subschema["objectclasses"])
    published = {definition.oid: definition for definition in map(Definition.parse, texts)}

    assert {definition.oid: facts(published[definition.oid]) for definition in written} == {
        definition.oid: facts(definition) for definition in written
    }


REFUSED = {
    "an attribute that no schema knows": ("dcmLeadingCFindSPC: QRSCP\n", {16, 17, 65}),
    "two values of a single-valued attribute": ("dcmLeadingCFindSCP: A\ndcmLeadingCFindSCP: B\n", {19, 65}),
    "an attribute that the class does not allow": ("dicomHostname: localhost\n", {65}),
    "a number that is none": ("dcmRulePriority: high\n", {21}),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_every_server_refuses_what_the_schema_forbids(directory_of: DirectoryOf, server: str, fault: str) -> None:
    line, codes = REFUSED[fault]
    record = (
        f"dn: cn=Refused,dicomDeviceName=dcm4chee-arc,cn=Devices,cn=DICOM Configuration,{BASE_DN}\n"
        "changetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: Refused\ndcmDIMSE: C_STORE_RQ\n"
        f"dicomTransferRole: SCP\n{line}\n"
    )

    assert directory_of(server, "ours").ldapmodify(record).returncode in codes


def anonymous(directory: DirectoryServer) -> LdapSource:
    return LdapSource([f"{directory.url}/{BASE_DN}"])


@pytest.mark.parametrize("server", [server for server in ("slapd", "apacheds") if server in SERVERS])
def test_an_answer_that_a_size_limit_cuts_off_is_no_configuration(directory_of: DirectoryOf, server: str) -> None:
    # OpenLDAP's limit is 500 entries, ApacheDS's 1000, paged or not, for all but the administrator.
    with pytest.raises(ConfigUnavailable, match="size limit cuts off the answer: raise it for this bind DN"):
        anonymous(directory_of(server, "stock")).read_device("dcm4chee-arc")


READ_BY_ALL = (
    'aci: (targetattr="*")(version 3.0; acl "all read"; allow (read, search, compare) userdn="ldap:///anyone";)'
)
LIMITS = "cn=config,cn=ldbm database,cn=plugins,cn=config"


def test_search_stopped_by_the_server_is_reported_with_remedy(directory_of: DirectoryOf) -> None:
    # 389 looks through 5000 entries at most for all but the administrator.
    directory = directory_of("389", "ours")
    lower = f"dn: {LIMITS}\nchangetype: modify\nreplace: nsslapd-lookthroughlimit\nnsslapd-lookthroughlimit: 50\n-\n"
    directory.ldapmodify(f"dn: {BASE_DN}\nchangetype: modify\nadd: aci\n{READ_BY_ALL}\n-\n\n{lower}")
    try:
        with pytest.raises(ConfigUnavailable, match="adminLimitExceeded: let it index dicomAETitle for equality"):
            anonymous(directory).read_device("dcm4chee-arc")
    finally:
        directory.ldapmodify(f"dn: {BASE_DN}\nchangetype: modify\ndelete: aci\n-\n\n{lower.replace(' 50', ' 5000')}")


def test_a_tree_that_the_bind_may_not_read_is_no_empty_tree(directory_of: DirectoryOf) -> None:
    # 389 lets nobody but the administrator read, until an ACI says otherwise.
    with pytest.raises(ConfigInvalid, match="may we read it"):
        anonymous(directory_of("389", "ours")).read_device("dcm4chee-arc")
