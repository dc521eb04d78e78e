"""What is told of a server's schema without a server."""

import subprocess
import sys

import pytest

from dcm4py_leading.config.ldif.schema import (
    NOT_FOR_USERS,
    Syntax,
    attribute_types,
    dn_fault,
    entry_faults,
    is_known_attribute,
    is_known_class,
    is_single_valued,
    object_classes,
    unknown_attribute,
    unknown_class,
)
from scripts.schema_ldif import SCHEMA
from scripts.schema_text import load_schema

RULE = {"objectClass": ["dcmArchiveAttributeCoercion"], "cn": ["a"], "dcmDIMSE": ["x"], "dicomTransferRole": ["SCP"]}


def test_table_is_up_to_date():
    script = SCHEMA.parent / "scripts" / "schema_table.py"
    assert subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True).returncode == 0


def test_table_says_what_the_schema_files_say():
    schema = load_schema()
    ours = {found.name: found.single for found in attribute_types().values()}
    assert ours == {name: found.single for name, found in schema.attribute_types.items() if name != "cn"}
    classes = {found.name: (found.must, found.may) for found in object_classes().values()}
    assert classes == {name: (found.must, found.may) for name, found in schema.object_classes.items()}


@pytest.mark.parametrize(
    ("syntax", "taken", "refused"),
    [
        (Syntax.BOOLEAN, ["TRUE", "FALSE"], ["true", "TRUE ", "yes", ""]),
        (Syntax.INTEGER, ["0", "-3", "99999999999999999999"], ["007", "+5", "-0", "", "1.0", "50 "]),
        (Syntax.OID, ["1.2.840.10008.1.2", "1"], ["1.02.3", "abc", "1.2.3 ", ""]),
        (Syntax.IA5, ["", "a "], ["ä"]),
        (Syntax.TEXT, ["ä", "a "], ["", " "]),
        (Syntax.DN, ["cn=a, dc=b", " ", ""], ["a", "foo=bar"]),
        (Syntax.OCTETS, ["", "ä"], []),
        (Syntax.BINARY, ["ä"], []),
    ],
)
def test_values_are_taken_and_refused_as_by_a_server(syntax, taken, refused):
    assert [value for value in taken if syntax.fault(value) is not None] == []
    assert [value for value in refused if syntax.fault(value) is None] == []


@pytest.mark.parametrize(
    "name",
    [
        "dcmleadingcfindscp",
        "DICOMAETITLE",
        "cn",
        "sn",
        "userCertificate;binary",
        "dcmuiConfigName",
        "2.5.4.3",
        "dcmIanDelay",
    ],
)
def test_names_of_any_schema_are_known(name):
    assert is_known_attribute(name)


@pytest.mark.parametrize("name", ["top", "dcmQueue", "inetOrgPerson", "dcmuiConfig", "groupOfNames", "2.5.6.0"])
def test_classes_of_any_schema_are_known(name):
    assert is_known_class(name)


@pytest.mark.parametrize(
    ("name", "meant"), [("dcmLeadingCFindSPC", "dcmLeadingCFindSCP"), ("dicomAETtile", "dicomAETitle")]
)
def test_misspelt_attribute_is_told_what_was_meant(name, meant):
    assert not is_known_attribute(name)
    assert f"did you mean {meant}" in unknown_attribute(name)


def test_misspelt_class_is_told_what_was_meant():
    assert "did you mean dcmArchiveAttributeCoercion" in unknown_class("dcmArchiveAttributeCoersion")


def test_name_that_resembles_nothing_is_only_called_unknown():
    assert unknown_attribute("x") == "no schema has this attribute"


def test_single_value_is_told_in_any_case_and_with_options():
    assert is_single_valued("DCMLEADINGCFINDSCP")
    assert not is_single_valued("dcmProperty")
    assert not is_single_valued("description")


def test_operational_attributes_are_not_for_users():
    assert {"entryuuid", "createtimestamp"} <= NOT_FOR_USERS
    assert not NOT_FOR_USERS & {"cn", "objectclass", "userpassword"}


def faults(attributes, naming=("cn",)):
    return [(attribute, reason) for attribute, _, reason in entry_faults(attributes, naming)]


def test_complete_rule_has_no_fault():
    assert faults({**RULE, "dcmLeadingCFindSCP": ["QRSCP"]}) == []


def test_required_attributes_are_told_but_for_those_of_the_rdn():
    (fault,) = faults({"objectClass": ["dcmArchiveAttributeCoercion"], "dcmDIMSE": ["C_STORE_RQ"]})
    assert fault == ("dicomTransferRole", "is required by dcmArchiveAttributeCoercion, but absent")


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_leading_archive_of_a_version_2_rule_is_told_where_it_stands():
    rule = {**RULE, "objectClass": ["dcmArchiveAttributeCoercion2"], "dcmURI": ["a:"], "dcmLeadingCFindSCP": ["QRSCP"]}
    (fault,) = faults(rule)
    assert fault[0] == "dcmLeadingCFindSCP"
    assert "dcmURI: leading-arc:AET" in fault[1]


def test_attribute_of_another_class_is_told_with_that_class():
    (fault,) = faults({**RULE, "dicomHostname": ["h"]})
    assert "dicomHostname belongs to dicomNetworkConnection" in fault[1]


def test_attributes_that_only_dcm4chee_allows_are_no_fault():
    device = {"objectClass": ["dicomDevice", "dcmArchiveDevice"], "dicomDeviceName": ["a"], "dicomInstalled": ["TRUE"]}
    more = {"dcmFuzzyAlgorithmClass": ["x"], "dcmIanDelay": ["PT1M"]}
    assert faults({**device, **more}) == []
    assert [name for name, _ in faults({**RULE, **more})] == ["dcmFuzzyAlgorithmClass", "dcmIanDelay"]


def test_class_that_we_do_not_carry_may_allow_anything():
    assert faults({"objectClass": ["dcmQueue"], "dcmQueueName": ["q"], "dicomHostname": ["h"]}) == []


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        (["dcmDevice"], "expected a structural object class as well"),
        (["top"], "expected a structural object class as well"),
        (["dicomDevice", "dcmStorage"], "expected one structural object class"),
        (["dicomDevise"], "did you mean dicomDevice"),
        ([], "is required, but absent"),
    ],
)
def test_classes_that_cannot_make_an_entry(classes, reason):
    found = [why for attribute, why in faults({"objectClass": classes}) if attribute == "objectClass"]
    assert len(found) == 1
    assert reason in found[0]


def test_names_of_a_dn_must_be_known():
    assert dn_fault("cn=a,dc=b") is None
    assert "'nosuch'" in str(dn_fault("nosuch=a,dc=b"))
    assert dn_fault("a,dc=b") is not None
