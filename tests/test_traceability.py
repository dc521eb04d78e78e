"""One LDAP attribute, end to end: schema, row, model, behaviour, test, docs agree, for every attribute that is read."""

import dataclasses
import subprocess
import sys

import pytest

from dcm4py_leading.config.attributes import OBJECT_CLASSES, ObjectClass
from dcm4py_leading.config.binding import many, one
from dcm4py_leading.config.converters import boolean, enumerated, milliseconds
from dcm4py_leading.config.report.status import PARTIAL, READ_BY_LOADER, UNUSED, shortcoming
from dcm4py_leading.model.archive import AttributeFilter
from dcm4py_leading.model.coercion import CoercionRule, UpdatePolicy
from dcm4py_leading.model.device import Connection
from scripts.config_docs import default_of, default_problem
from scripts.schema_text import Absence, load_schema, parse_attribute_type, parse_object_class
from scripts.trace_attribute import (
    DOCS,
    LOADER,
    PACKAGE,
    ROOT,
    TESTS,
    constants,
    field_uses,
    marked_tests,
    marks,
    names_in_code,
    row_lines,
    second_defaults,
    trace,
)

SCHEMA = load_schema()
ROWS = [(object_class, row) for object_class in OBJECT_CLASSES for row in object_class.rows]

MULTI_VALUED_BUT_READ_ONCE = {"cn", "dcmNullifyIssuerOfPatientID"}
"""cn names one entry; of the other dcm4chee reads one value."""
FOR_PEOPLE = {"dicomDescription"}
"""Shown, and nothing else."""
ANY_TEXT = {
    "dcmAttributeSetID",
    "dcmClientBindAddress",
    "dcmIssuerOfPatientID",
    "dicomDescription",
    "dicomDeviceSerialNumber",
    "dicomInstitutionAddress",
    "dicomInstitutionDepartmentName",
    "dicomInstitutionName",
    "dicomManufacturer",
    "dicomManufacturerModelName",
    "dicomSoftwareVersion",
    "dicomStationName",
}
"""Names, addresses and identifiers that only their users can tell right from wrong."""
NO_DEFAULT = {
    ("aa_timeout", "acceptor.py"),  # an explicit 0, no timeout: even then a rejected peer is not waited for for ever
    ("ae_title", "explain.py"),  # words, of a peer
}
"""Values that only look like a second default of a field."""
MISSING = {
    "cn": {"schema"},  # of the core schema
    "dcmEntity": {"behaviour"},  # the loader's: under which level the filter is kept
    "dicomDescription": {"behaviour"},  # for people
}


def named(pairs):
    return sorted({f"{object_class.name}.{row.attribute}" for object_class, row in pairs})


def test_every_row_is_of_an_attribute_of_the_schema():
    assert named((c, row) for c, row in ROWS if row.attribute not in SCHEMA.attribute_types) == []


def test_every_row_is_of_an_attribute_that_its_class_allows():
    classes = SCHEMA.object_classes
    assert (
        named((c, row) for c, row in ROWS if row.attribute not in (*classes[c.name].must, *classes[c.name].may)) == []
    )


def test_no_row_demands_what_the_schema_leaves_optional():
    classes = SCHEMA.object_classes
    assert named((c, row) for c, row in ROWS if row.required and row.attribute not in classes[c.name].must) == []


def test_a_row_reads_one_value_where_the_schema_says_single_value():
    different = {row.attribute for _, row in ROWS if row.single != SCHEMA.attribute_types[row.attribute].single}
    assert different == MULTI_VALUED_BUT_READ_ONCE


def test_every_row_fills_a_field_of_its_model():
    fields = {c.model: {field.name for field in dataclasses.fields(c.model)} for c in OBJECT_CLASSES}
    assert named((c, row) for c, row in ROWS if row.field not in fields[c.model]) == []


def test_every_default_is_what_the_schema_says_counts_if_absent():
    problems = [f"{row.attribute} of {c.name}: {problem}" for c, row in ROWS if (problem := default_problem(c, row))]
    assert problems == []


def test_every_attribute_is_shown_by_a_marked_test():
    marked = marked_tests()
    assert named((c, row) for c, row in ROWS if row.attribute not in marked) == []


def test_every_attribute_that_is_acted_on_is_shown_by_more_than_its_row():
    rows_only = TESTS / "config" / "test_rows.py"
    shown = {name for name, places in marked_tests().items() if any(place.path != rows_only for place in places)}
    lacking = {(c.name, row.attribute) for c, row in ROWS if row.attribute not in shown | FOR_PEOPLE}
    assert sorted(f"{name}.{attribute}" for name, attribute in lacking if not shortcoming(name, attribute)) == []


def test_every_attribute_is_checked_or_may_be_any_text():
    unchecked = {
        row.attribute
        for _, row in ROWS
        if not trace(row.attribute)["check"] and not names_in_code().keys() & {row.attribute}
    }
    assert unchecked == ANY_TEXT


def test_no_field_has_a_second_default():
    assert {(name, place.path.name) for name, place in second_defaults()} == NO_DEFAULT


@pytest.mark.parametrize("attribute", sorted({row.attribute for _, row in ROWS}))
def test_every_step_of_the_way_is_there(attribute):
    missing = {step for step, places in trace(attribute).items() if not places}
    allowed = {"check", *MISSING.get(attribute, ())}  # a check may stand where the behaviour is
    if any(shortcoming(c.name, attribute) for c, row in ROWS if row.attribute == attribute):
        allowed.add("behaviour")
    assert missing <= allowed


def test_every_mark_names_an_attribute_or_class_of_the_schema():
    named_by_marks = {name for path in TESTS.rglob("test_*.py") for name in marks(path)[0]}
    assert sorted(named_by_marks - set(SCHEMA.attribute_types) - set(SCHEMA.object_classes)) == []


def test_every_attribute_has_a_row_in_the_docs_of_its_class():
    sections = {}
    for section in DOCS.read_text("utf-8").split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        sections[title] = {line.split("`")[1] for line in body.splitlines() if line.startswith("| `")}
    assert named((c, row) for c, row in ROWS if row.attribute not in sections.get(c.name, ())) == []


def test_an_attribute_that_nothing_acts_on_is_not_called_supported():
    # By the field's name only, so a field that shares its name with others may pass; the rows never count.
    acted_on = {
        field
        for field, places in field_uses().items()
        if any(place.path.parent != PACKAGE / "config" / "attributes" for place in places)
    }
    idle = [(c, row) for c, row in ROWS if row.field not in acted_on and row.attribute not in FOR_PEOPLE]
    without_status = [(c, row) for c, row in idle if not {row.attribute, "*"} & PARTIAL.get(c.name, {}).keys()]
    assert named(without_status) == []
    called_idle = [(c, row) for c, row in ROWS if PARTIAL.get(c.name, {}).get(row.attribute) == UNUSED]
    assert set(named(called_idle)) <= set(named(idle))


def test_every_status_is_of_an_attribute_that_is_read():
    read = {(c.name, row.attribute) for c, row in ROWS} | {(c.name, "*") for c in OBJECT_CLASSES}
    assert {(name, attribute) for name, found in PARTIAL.items() for attribute in found} <= read


def test_attributes_read_without_a_row_are_documented():
    read = set(constants(LOADER)) & set(SCHEMA.attribute_types) - {row.attribute for _, row in ROWS}
    documented = {attribute for found in READ_BY_LOADER.values() for attribute in found}
    assert read == documented - {row.attribute for _, row in ROWS}


# The means by which the above is found.


def test_absence_is_told_from_the_meaning():
    found = parse_attribute_type(
        "( 1.2 NAME 'dcmX' DESC 'How long to wait, in ms; 0 for ever; 10 if absent (dcm4che: no timeout)'"
        " SYNTAX 1.3 SINGLE-VALUE )"
    )
    assert (found.name, found.single) == ("dcmX", True)
    assert found.meaning == "How long to wait, in ms; 0 for ever"
    assert found.absence("dcmNetworkConnection") == Absence(text="10", remark="dcm4che: no timeout")


def test_absence_differs_by_class():
    policy = SCHEMA.attribute_types["dcmAttributeUpdatePolicy"]
    texts = {c.name: policy.absence(c.name) for c, row in ROWS if row.attribute == policy.name}
    assert {name: absence and absence.text for name, absence in texts.items()} == {
        "dcmAttributeFilter": "PRESERVE",
        "dcmArchiveAttributeCoercion": "MERGE",
        "dcmArchiveAttributeCoercion2": "MERGE",
    }


def test_words_of_a_description_are_no_keywords():
    attribute_type = parse_attribute_type("( 1.2 NAME 'dcmX' DESC 'not SINGLE-VALUE' SYNTAX 1.3 )")
    object_class = parse_object_class("( 1.2 NAME 'dcmX' DESC 'what one MAY do' SUP top MUST cn MAY ( a $ b ) )")
    assert not attribute_type.single
    assert attribute_type.absence("dcmX") is None
    assert (object_class.must, object_class.may) == (("cn",), ("a", "b"))


@pytest.mark.parametrize("text", ["any", "any AE may call", "dicomHostname"])
def test_words_are_no_value(text):
    assert not SCHEMA.is_value(text)


@pytest.mark.parametrize("text", ["0", "TRUE", "PT1M", "RANDOM_PATH", "{now,date,yyyy}"])
def test_a_value_is_one(text):
    assert SCHEMA.is_value(text)


@pytest.mark.parametrize(
    ("name", "model", "row", "problem"),
    [
        ("dcmNetworkConnection", Connection, one("dcmAARQTimeout", "aarq_timeout", milliseconds), None),
        ("dcmNetworkConnection", Connection, one("dcmAARQTimeout", "idle_timeout", milliseconds), "the schema 10000"),
        ("dcmNetworkConnection", Connection, one("dcmTCPNoDelay", "hostname", boolean), "no default"),
        ("dcmNetworkConnection", Connection, one("dcmBindAddress", "tcp_backlog"), "the schema no value"),
        ("dcmNetworkConnection", Connection, many("dcmTCPBacklog", "tls_cipher_suites"), "the schema 50"),
        ("dcmNetworkConnection", Connection, one("dcmTCPBacklog", "tcp_backlog", boolean), "expected TRUE or FALSE"),
        (
            "dcmAttributeFilter",
            AttributeFilter,
            one("dcmAttributeUpdatePolicy", "attribute_update_policy", enumerated(UpdatePolicy)),
            None,
        ),
        (
            "dcmAttributeFilter",
            CoercionRule,
            one("dcmAttributeUpdatePolicy", "attribute_update_policy", enumerated(UpdatePolicy)),
            "the schema PRESERVE",
        ),
    ],
)
def test_default_that_is_not_the_schemas_is_found(name, model, row, problem):
    found = default_problem(ObjectClass(name, model, (row,)), row)
    assert found is None if problem is None else problem in (found or "")


def test_default_made_by_a_factory_counts():
    assert default_of(CoercionRule, "sop_classes") == frozenset()


def test_every_row_is_found_in_the_source():
    assert set(row_lines()) == {row.attribute for _, row in ROWS}


def printed(attribute):
    command = [sys.executable, str(ROOT / "scripts" / "trace_attribute.py"), attribute]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_trace_leads_from_schema_to_docs():
    done = printed("dcmleadingcfindscp")
    assert done.returncode == 0
    files = dict.fromkeys((line.split(": ")[1], line.split(":")[0]) for line in done.stdout.splitlines())
    for step in [
        ("schema", "schema/dcm4chee-archive.schema"),
        ("row", "dcm4py_leading/config/attributes/coercion.py"),
        ("model", "dcm4py_leading/model/coercion.py"),
        ("check", "dcm4py_leading/config/check.py"),
        ("behaviour", "dcm4py_leading/coercion/steps/step.py"),
        ("behaviour", "dcm4py_leading/leading/lookup.py"),
        ("test", "tests/wire/test_leading_retrieve.py"),
        ("docs", "docs/configuration.md"),
    ]:
        assert step in files


def test_trace_of_an_unknown_attribute_fails():
    done = printed("dcmLeadingCFindSPC")
    assert (done.returncode, done.stdout) == (1, "")
    assert "dcmLeadingCFindSPC" in done.stderr
