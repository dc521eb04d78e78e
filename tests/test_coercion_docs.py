"""The page on coercion and its examples: complete, and every example can be put in force."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pydicom import Dataset

from dcm4py_leading.coercion.schemes import LEGACY_ACTIONS, SCHEMES
from dcm4py_leading.coercion.steps.deidentification_table import Option
from dcm4py_leading.coercion.steps.native_model import from_native, to_native
from dcm4py_leading.coercion.steps.xslt import StyleSheet, compile_xslt
from dcm4py_leading.composition.check import Checked, check
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.model.coercion import CoercionRule, CoercionRule2
from dcm4py_leading.model.options import parse_options
from dcm4py_leading.model.values import AETitle
from tests.fixtures.rules import RETRIEVE, data_set
from tests.fixtures.slapd import OUR_LDIF, REPOSITORY, SlapdFactory

EXAMPLES = sorted((OUR_LDIF / "coercion").glob("*.ldif"))
STYLE_SHEETS = sorted((OUR_LDIF / "coercion").glob("*.xsl"))
PAGE = (REPOSITORY / "docs" / "coercion.md").read_text("utf-8")
QUICKSTART = OUR_LDIF / "quickstart.ldif"


def checked(data_dir: Path, *examples: Path) -> Checked:
    """The quickstart tree with examples; the style sheets where the examples say that they have to be."""
    (data_dir / "temp").mkdir()
    for style_sheet in STYLE_SHEETS:
        shutil.copy(style_sheet, data_dir / "temp")
    source = LdifSource([QUICKSTART, *examples])
    return check(Site(source=source, device_name="dcm4chee-arc", properties={}, data_dir=data_dir))


def named(word: str) -> bool:
    """Whether the page has it in code."""
    return re.search(rf"`[^`\n]*(?<![\w-]){re.escape(word)}(?![\w-])[^`\n]*`", PAGE) is not None


@pytest.mark.parametrize("path", [*EXAMPLES, *STYLE_SHEETS], ids=lambda path: path.name)
def test_every_example_is_named(path: Path) -> None:
    assert named(f"ldif/coercion/{path.name}")


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """The tree without examples."""
    return checked(tmp_path_factory.mktemp("quickstart"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads_and_every_rule_of_it_does_something(tmp_path: Path, quickstart: Checked, path: Path) -> None:
    found = checked(tmp_path, path)

    rules = found.rules[AETitle("DCM4CHEE")]
    assert rules
    assert all(rule.steps for rule in rules)
    # The examples name systems of their own, which no directory has.
    others = [p for p in found.snapshot.problems if "has no dicomNetworkAE that" not in p.reason]
    assert others == list(quickstart.snapshot.problems)


def test_the_examples_load_together(tmp_path: Path) -> None:
    rules = checked(tmp_path, *EXAMPLES).rules[AETitle("DCM4CHEE")]

    assert len({rule.rule.dn for rule in rules}) == len(rules) >= len(EXAMPLES)


def test_there_is_an_example_of_everything_that_a_rule_can_do(tmp_path: Path) -> None:
    rules = [compiled.rule for compiled in checked(tmp_path, *EXAMPLES).rules[AETitle("DCM4CHEE")]]

    legacy = [rule for rule in rules if isinstance(rule, CoercionRule)]
    without = {a.attribute for a in LEGACY_ACTIONS if all(a.value(rule) is None for rule in legacy)}
    schemes = {rule.uri.partition(":")[0] for rule in rules if isinstance(rule, CoercionRule2)}
    assert without == set()
    assert schemes == set(SCHEMES)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_is_described(scheme: str) -> None:
    assert f"\n### {scheme}\n" in PAGE
    assert named(f"{scheme}:")


@pytest.mark.parametrize("attribute", [action.attribute for action in LEGACY_ACTIONS])
def test_every_legacy_attribute_is_described(attribute: str) -> None:
    assert named(attribute)


def test_every_setting_is_described() -> None:
    with pytest.raises(ValueError, match="expected one of") as refused:
        parse_options(["no-such-setting=1"])

    settings = str(refused.value).partition("expected one of ")[2].split(", ")
    assert [setting for setting in settings if not named(setting)] == []


@pytest.mark.parametrize("option", [option.value for option in Option])
def test_every_option_of_de_identification_is_described(option: str) -> None:
    assert named(option)


@pytest.mark.peers
def test_a_directory_server_accepts_every_example(slapd_factory: SlapdFactory) -> None:
    slapd = slapd_factory(content=[QUICKSTART])

    refused = {path.name: done.stderr for path in EXAMPLES if (done := slapd.ldapmodify(path)).returncode}

    assert refused == {}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_ends_with_an_empty_line_and_has_no_trailing_blanks(path: Path) -> None:
    text = path.read_text("utf-8")

    assert text.endswith("\n\n")
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("no_keywords", [True, False])
def test_the_style_sheet_for_objects_names_the_institution_of_one_department(no_keywords: bool) -> None:
    folder = OUR_LDIF / "coercion"
    step = compile_xslt(f"{folder}/institution.xsl", no_keywords=no_keywords, folders=[folder], expand=str)

    (change,) = step.changes(data_set(InstitutionalDepartmentName="Cardiology", Modality="CT"), RETRIEVE)

    assert change.element is not None
    assert (change.path, change.element.value) == ((0x00080080,), "Heart Centre")
    assert step.changes(data_set(InstitutionalDepartmentName="Surgery", Modality="CT"), RETRIEVE) == []


def test_the_style_sheet_for_worklist_items_makes_a_request_of_one() -> None:
    scheduled = data_set(ScheduledProcedureStepID="SPS1", ScheduledProcedureStepDescription="Hand", Modality="DX")
    item = data_set(
        AccessionNumber="A1",
        PatientName="Doe^Jane",
        RequestedProcedureID="RP1",
        RequestedProcedureDescription="Both hands",
        ScheduledProcedureStepSequence=[scheduled],
    )
    folder = OUR_LDIF / "coercion"

    tree = StyleSheet(folder / "worklist.xsl", [folder]).transform(to_native(item, keywords=True), {})

    assert tree is not None
    request = data_set(
        RequestedProcedureID="RP1", ScheduledProcedureStepID="SPS1", ScheduledProcedureStepDescription="Hand"
    )
    expected = data_set(AccessionNumber="A1", StudyDescription="Both hands", RequestAttributesSequence=[request])
    found: Dataset = from_native(tree)
    assert found == expected
