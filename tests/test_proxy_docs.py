"""The page on the proxy: its commands do what it says, and what it names is there."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from dcm4py_leading.__main__ import main
from scripts.schema_text import load_schema

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "proxy.md").read_text("utf-8")


@pytest.mark.parametrize("picture", ["### Archive", "### Proxy", "### Both", "### Several PACSes"])
def test_every_picture_has_a_configuration_that_can_be_put_in_force(picture, monkeypatch):
    _, _, section = PAGE.partition(f"{picture}\n")
    (command,) = re.findall(r"^dcm4py-leading check .*$", section.partition("\n##")[0], re.MULTILINE)
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    assert "ERROR" not in result.output


def test_every_attribute_on_the_page_is_one():
    named = set(re.findall(r"`(dcm\w+|dicom\w+)", PAGE)) - {"dcmqrscp"}
    assert named
    assert sorted(named - load_schema().attribute_types.keys()) == []


def test_every_attribute_of_other_archives_is_on_the_page():
    ours = {
        name
        for name in load_schema().attribute_types
        if name.startswith(("dcmSpanningCFindSCP", "dcmFallbackCMoveSCP")) or name == "dcmCStoreSCUOfCMoveSCP"
    }
    assert sorted(name for name in ours - {"dcmFallbackCMoveSCPLevel"} if f"`{name}`" not in PAGE) == []
