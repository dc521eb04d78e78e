"""Commands and LDIF of README and of the pages for administrators do what the pages say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from dcm4py_leading import __version__
from dcm4py_leading.__main__ import main
from tests.fixtures.slapd import OUR_LDIF, SlapdFactory

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    name: (ROOT / name).read_text("utf-8")
    for name in (
        "README.md",
        "docs/comparison.md",
        "docs/installation.md",
        "docs/recipes.md",
        "docs/troubleshooting.md",
    )
}
SHELL = [
    (page, line.partition("  #")[0])
    for page, text in PAGES.items()
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
# --version ends the program before it looks at anything else.
OURS = [
    (page, line) for page, line in SHELL if line.startswith("dcm4py-leading ") and line != "dcm4py-leading --version"
]
LOCAL = [line for _, line in OURS if " --ldif ldif/" in line and " serve " not in line]
_RECIPE = re.compile(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```ldif\n(.*?)^```", re.MULTILINE | re.DOTALL)
LDIF = _RECIPE.findall(PAGES["docs/recipes.md"])
QUICKSTART, LEADING = OUR_LDIF / "quickstart.ldif", OUR_LDIF / "leading-cfind-scp.ldif"
CONTENTS = [
    "coercion",
    "configuration",
    "conformance",
    "installation",
    "operations",
    "performance",
    "proxy",
    "recipes",
    "troubleshooting",
]


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("command", dict.fromkeys(LOCAL))
def test_command_on_our_files_succeeds(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("page", "command"), dict.fromkeys(OURS))
def test_every_command_has_options_that_there_are(page: str, command: str) -> None:
    words = shlex.split(command.partition(" | ")[0])[1:]
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0, (page, result.output)
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in result.stdout, (page, command)


def test_there_are_recipes() -> None:
    assert [heading for heading, _ in LDIF] == [
        "Add a viewer",
        "Current names for all viewers",
        "A second leading archive",
        "Change a port",
        "Limit who may retrieve",
    ]


@pytest.mark.parametrize(("heading", "text"), LDIF)
def test_recipe_can_be_put_in_force(heading: str, text: str, tmp_path: Path) -> None:
    change = tmp_path / "change.ldif"
    change.write_text(text)
    source = [word for path in (QUICKSTART, LEADING) for word in ("--ldif", str(path))]
    told = CliRunner().invoke(main, ["ldif", "diff", *source, str(change)])
    assert told.exit_code == 0, told.output
    assert told.stdout
    assert "WARNING" not in told.stdout


@pytest.mark.peers
def test_directory_server_takes_every_recipe(slapd_factory: SlapdFactory) -> None:
    slapd = slapd_factory(content=[QUICKSTART])
    assert slapd.ldapmodify(LEADING).returncode == 0
    for heading, text in LDIF:
        done = slapd.ldapmodify(text)
        assert done.returncode == 0, (heading, done.stderr)


@pytest.mark.parametrize("name", CONTENTS)
def test_long_page_has_a_table_of_contents_of_all_its_sections(name: str) -> None:
    text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    contents = text.partition("\nContents: ")[2].partition("\n\n")[0]
    sections = [slug(heading) for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)]
    assert re.findall(r"\]\(#([^)]+)\)", contents) == sections


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=lambda path: path.name)
def test_every_link_to_a_heading_leads_there(page: Path) -> None:
    text = page.read_text("utf-8")
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, hash_, anchor = target.partition("#")
        if hash_ and "://" not in target:
            other = text if not path else (page.parent / path).read_text("utf-8")
            if anchor not in anchors(other):
                wrong.append(target)
    assert wrong == []


def test_readme_says_that_queries_need_a_rule_of_their_own() -> None:
    assert "answers to queries stay as they were stored" in PAGES["README.md"]
    assert "--ldif ldif/leading-cfind-query.ldif" in PAGES["README.md"]


def test_newest_release_of_the_changelog_is_this_version() -> None:
    releases = re.findall(
        r"^## (\d[\d.]*) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert releases[0] == __version__
