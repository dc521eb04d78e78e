"""The files that come with the program."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dcm4py_leading.__main__ import main
from dcm4py_leading.installation.shared import FOLDERS, examples
from tests.fixtures.slapd import OUR_LDIF, REPOSITORY


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("**/*") if path.is_file()}


def test_every_ldif_file_is_an_example() -> None:
    code, listed, _ = run("ldif", "example")
    assert code == 0
    ours = sorted(path.relative_to(OUR_LDIF).with_suffix("").as_posix() for path in OUR_LDIF.rglob("*.ldif"))
    assert listed.splitlines() == ours


@pytest.mark.parametrize("name", examples())
@pytest.mark.parametrize("form", ["{}", "{}.ldif", "ldif/{}.ldif"])
def test_example_is_the_file_of_the_repository(name: str, form: str) -> None:
    code, text, _ = run("ldif", "example", form.format(name))
    assert (code, text) == (0, (OUR_LDIF / f"{name}.ldif").read_text("utf-8"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("quikstart", "quickstart?"),
        ("../setup", "without NAME it prints those that there are"),
        ("/etc/passwd", "without NAME it prints those that there are"),
    ],
)
def test_unknown_example_is_wrong_usage(name: str, told: str) -> None:
    code, text, errors = run("ldif", "example", name)
    assert (code, text) == (2, "")
    assert told in errors


def test_files_are_copied_with_their_folders(tmp_path: Path) -> None:
    code, text, told = run("files", str(tmp_path / "new" / "folder"))
    assert (code, text) == (0, "")
    assert "schema, ldif, deploy, docs" in told
    for folder in FOLDERS:
        copied = files_below(tmp_path / "new" / "folder" / folder)
        assert copied
        assert copied == files_below(REPOSITORY / folder)


def test_files_never_replace_others(tmp_path: Path) -> None:
    mine = tmp_path / "ldif"
    mine.write_text("mine")
    code, _, told = run("files", str(tmp_path))
    assert code == 1
    assert f"{tmp_path} is not empty" in told
    assert [path.name for path in tmp_path.iterdir()] == ["ldif"]
    assert mine.read_text() == "mine"


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, told = run("files", str(tmp_path / "file" / "below"))
    assert code == 1
    assert f"{tmp_path}/file/below: Not a directory" in told


def test_commands_of_the_documents_work_in_the_copied_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("files", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code, told, _ = run("check", "--ldif", "ldif/quickstart.ldif", "--ldif", "ldif/leading-cfind-scp.ldif")
    assert code == 0
    assert "can be put in force" in told
