"""Our schema is accepted by slapd, and means what dcm4che's and dcm4chee's means."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from ldap3.protocol.rfc4512 import AttributeTypeInfo, ObjectClassInfo

from tests.fixtures.slapd import OUR_CONFIG_SCHEMA, OUR_SCHEMA, REPOSITORY, Slapd, SlapdFactory, Upstream

pytestmark = pytest.mark.peers

PARTIAL_CLASSES = {"dcmArchiveDevice", "dcmArchiveNetworkAE"}
"""Of these our schema has the attributes that the project reads; every other class is complete."""


@dataclass(frozen=True)
class Schema:
    """What slapd has understood, by name; only what dicom.schema, dcm4che.schema and dcm4chee-archive.schema add."""

    attribute_types: Mapping[str, AttributeTypeInfo]
    object_classes: Mapping[str, ObjectClassInfo]


def published(slapd: Slapd) -> Schema:
    subschema = slapd.entry("cn=subschema", "attributeTypes", "objectClasses")
    types = AttributeTypeInfo.from_definition(subschema["attributetypes"])
    classes = ObjectClassInfo.from_definition(subschema["objectclasses"])
    return Schema(
        {name: info for name, info in types.items() if name.startswith(("dicom", "dcm", "hl7"))},
        {name: info for name, info in classes.items() if name.startswith(("dicom", "dcm"))},
    )


@pytest.fixture
def ours(slapd_factory: SlapdFactory) -> Schema:
    return published(slapd_factory())


@pytest.fixture
def theirs(slapd_factory: SlapdFactory, upstream: Upstream) -> Schema:
    return published(slapd_factory(schema=upstream.schema))


def without_description(info: AttributeTypeInfo) -> str:
    # slapd writes every definition in one canonical form; ldap3 loses the SUBSTR rule.
    return re.sub(r" DESC '[^']*'", "", info.raw_definition)


def class_facts(info: ObjectClassInfo) -> tuple[object, ...]:
    return (info.oid, info.kind, info.superior, names(info.must_contain))


def names(listed: list[str] | None) -> set[str]:
    return set(listed or ())


@pytest.mark.parametrize("count", range(1, len(OUR_SCHEMA) + 1))
def test_each_file_needs_only_the_files_before_it(slapd_factory: SlapdFactory, count: int) -> None:
    assert published(slapd_factory(schema=OUR_SCHEMA[:count])).object_classes


def test_config_form_is_accepted_and_says_the_same(slapd_factory: SlapdFactory) -> None:
    from_files = slapd_factory().entry("cn=subschema", "attributeTypes", "objectClasses")
    from_config = slapd_factory(config_schema=OUR_CONFIG_SCHEMA).entry(
        "cn=subschema", "attributeTypes", "objectClasses"
    )

    assert sorted(from_config["attributetypes"]) == sorted(from_files["attributetypes"])
    assert sorted(from_config["objectclasses"]) == sorted(from_files["objectclasses"])


def test_attribute_types_have_upstreams_oid_syntax_and_matching(ours: Schema, theirs: Schema) -> None:
    assert {name: without_description(info) for name, info in ours.attribute_types.items()} == {
        name: without_description(theirs.attribute_types[name]) for name in ours.attribute_types
    }


def test_object_classes_have_upstreams_oid_kind_and_required_attributes(ours: Schema, theirs: Schema) -> None:
    assert {name: class_facts(info) for name, info in ours.object_classes.items()} == {
        name: class_facts(theirs.object_classes[name]) for name in ours.object_classes
    }


def test_complete_classes_allow_the_same_attributes(ours: Schema, theirs: Schema) -> None:
    complete = ours.object_classes.keys() - PARTIAL_CLASSES

    assert {name: names(ours.object_classes[name].may_contain) for name in complete} == {
        name: names(theirs.object_classes[name].may_contain) for name in complete
    }


@pytest.mark.parametrize("name", sorted(PARTIAL_CLASSES))
def test_partial_classes_allow_nothing_that_upstream_refuses(ours: Schema, theirs: Schema, name: str) -> None:
    allowed = names(ours.object_classes[name].may_contain)

    assert allowed
    assert allowed <= names(theirs.object_classes[name].may_contain)


def test_partial_classes_allow_every_attribute_of_theirs_that_we_define(ours: Schema, theirs: Schema) -> None:
    for name in PARTIAL_CLASSES:
        defined = names(theirs.object_classes[name].may_contain) & ours.attribute_types.keys()
        # dcmRetryDelay and the like belong to other classes too, never to these.
        assert names(ours.object_classes[name].may_contain) == defined


def test_descriptions_are_our_own_words(ours: Schema, theirs: Schema) -> None:
    def described(schema: Schema) -> set[str]:
        return {info.description for kind in (schema.attribute_types, schema.object_classes) for info in kind.values()}

    assert all(described(ours))
    assert not described(ours) & described(theirs)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(REPOSITORY / "schema", tmp_path / "schema")
    (tmp_path / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts" / "schema_ldif.py", tmp_path / "scripts")
    return tmp_path


@pytest.fixture
def schema_ldif(copied: Path) -> Callable[..., int]:
    def run(*options: str) -> int:
        script = copied / "scripts" / "schema_ldif.py"
        return subprocess.run([sys.executable, script, *options], check=False, capture_output=True).returncode

    return run


def test_config_form_is_up_to_date(schema_ldif: Callable[..., int]) -> None:
    assert schema_ldif("--check") == 0


def test_changed_schema_makes_the_config_form_out_of_date(copied: Path, schema_ldif: Callable[..., int]) -> None:
    with (copied / "schema" / "dicom.schema").open("a") as schema:
        schema.write("\nattributetype ( 1.2.3 NAME 'another' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n")

    assert schema_ldif("--check") == 1
    assert schema_ldif() == 0
    assert schema_ldif("--check") == 0
