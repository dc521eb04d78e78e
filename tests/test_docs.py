"""What the documents name is there, and what is generated is up to date."""

import configparser
import os
import re
from pathlib import Path

import pytest

from scripts import bounds_docs, field_help
from scripts.config_docs import TARGET, document

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dcm4py_leading"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```[^\n]*\n(?P<block>.*?)^```|`(?P<span>[^`\n]+)`", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"[\w.*/-]+")
_FILE_OF_OURS = re.compile(r"[\w-]+\.(?:py|cfg|toml|ini)")


def links(markdown):
    """The targets of links, without those to other sites and to headings."""
    targets = (target.partition("#")[0] for target in _LINK.findall(markdown) if "://" not in target)
    return {target for target in targets if target}


def paths_in_code(markdown):
    """Words in code that look like paths of the repository, or of the package: setup.cfg, docs/, leading/cache.py."""
    code = " ".join(match["block"] or match["span"] for match in _CODE.finditer(markdown))
    for word in _WORD.findall(code):
        path = word.rstrip(".")
        first, slash, _ = path.partition("/")
        in_a_folder = slash and first and any((folder / first).is_dir() for folder in (ROOT, PACKAGE))
        if in_a_folder or _FILE_OF_OURS.fullmatch(path):
            yield path


def exists(path, *folders):
    return any(any(folder.glob(path)) for folder in folders)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document):
    found = links(document.read_text("utf-8"))
    assert sorted(target for target in found if not exists(target, document.parent)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_in_code_exists(document):
    found = set(paths_in_code(document.read_text("utf-8")))
    assert sorted(path for path in found if not exists(path, ROOT, PACKAGE)) == []


def test_paths_are_told_from_other_code():
    markdown = (
        "`docs/architecture.md`, `leading/`, `GET /health/live`, `setup.cfg`, `a/b`, `index.sqlite`, docs/no-code.md\n"
        "```sh\nscripts/demo --keep  # and more\n```\n`model/*.py`, `--data-dir /var/lib/dcm4py`"
    )
    assert list(paths_in_code(markdown)) == [
        "docs/architecture.md",
        "leading/",
        "setup.cfg",
        "scripts/demo",
        "model/*.py",
    ]
    assert links("[a](docs/a.md#part), [b](https://example.org/b), [c](#part)") == {"docs/a.md"}


def test_configuration_reference_is_up_to_date():
    assert TARGET.read_text("utf-8") == document(), "run scripts/config_docs.py"


def test_help_of_the_fields_is_generated():
    assert field_help.TARGET.read_text("utf-8") == field_help.document(), "run scripts/field_help.py"


def test_table_of_bounds_is_up_to_date():
    page = bounds_docs.PAGE.read_text("utf-8")
    assert page == bounds_docs.page(page), "run scripts/bounds_docs.py"


@pytest.mark.parametrize("command", ["scripts/demo", "scripts/test"])
def test_readme_names_its_two_commands(command):
    assert command in paths_in_code((ROOT / "README.md").read_text("utf-8"))
    assert os.access(ROOT / command, os.X_OK)


def layers():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", "utf-8")
    return set(re.findall(r"[\w.]+", settings["importlinter:contract:layers"]["layers"]))


def test_every_layer_is_a_module():
    modules = {name: ROOT.joinpath(*name.split(".")) for name in layers()}
    assert modules
    missing = [
        name
        for name, path in modules.items()
        if not path.with_suffix(".py").is_file() and not (path / "__init__.py").is_file()
    ]
    assert missing == []


def test_every_module_belongs_to_a_layer():
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert {f"dcm4py_leading.{name}" for name in modules - {"__init__"}} == layers()


def walks():
    """The walks of docs/architecture.md: title, and stations with the names to look for there."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    for part in text.partition("## Four walks")[2].partition("\n## ")[0].split("### ")[1:]:
        rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", part, re.MULTILINE)
        yield part.partition("\n")[0], [(path, re.match(r"`(\w+)`", there)) for path, there in rows]


def test_walks_in_the_docs_are_short_and_name_existing_code():
    found = dict(walks())
    assert len(found) == 4
    assert {title: len(stations) for title, stations in found.items() if not 5 <= len(stations) <= 12} == {}
    named = [(path, name[1]) for stations in found.values() for path, name in stations if name]
    assert len(named) > 8
    assert [one for one in named if not re.search(rf"\b(def|class) {one[1]}\b", (ROOT / one[0]).read_text())] == []


def test_every_room_says_what_it_is_for():
    rooms = [path for path in PACKAGE.rglob("__init__.py") if "share" not in path.parts]
    assert [str(path.relative_to(ROOT)) for path in rooms if not path.read_text("utf-8").startswith('"""')] == []
