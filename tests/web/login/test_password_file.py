"""The password file: what is written, who may read it, who can log in by it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dcm4py_leading.errors import LoginRefused, LoginUnavailable
from dcm4py_leading.model.bounds import PASSWORD_FILE_BYTES
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.login.password_file import FileUsers, PasswordFileError, add_user, read_users, remove_user
from dcm4py_leading.web.login.password_hash import PasswordHash

VIEWER, ADMINISTRATOR = frozenset({Role.VIEWER}), frozenset({Role.ADMINISTRATOR})
PASSWORD = "Anna's password"


@pytest.fixture(scope="module")
def annas_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be copied: to hash a password takes long, as it is meant to."""
    path = tmp_path_factory.mktemp("annas") / "users"
    add_user(path, "anna", ADMINISTRATOR | {Role.SERVICE}, PASSWORD)
    return path


@pytest.fixture
def file(annas_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(annas_file, tmp_path))


def test_right_password_tells_name_and_roles(file: Path) -> None:
    users = FileUsers(file)
    assert users.authenticate("anna", PASSWORD) == Identity("anna", ADMINISTRATOR | {Role.SERVICE})
    assert users.authenticate("ANNA", PASSWORD).name == "anna"


@pytest.mark.parametrize(
    ("user", "password"),
    [("anna", "wrong"), ("anna", ""), ("anna", PASSWORD.lower()), ("nobody", PASSWORD), ("", PASSWORD), ("anna:", "x")],
)
def test_others_are_refused_with_one_message(file: Path, user: str, password: str) -> None:
    with pytest.raises(LoginRefused, match=r"^wrong user name or password, or no role here$"):
        FileUsers(file).authenticate(user, password)


def test_unknown_user_costs_a_hash_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    monkeypatch.setattr(PasswordHash, "is_of", lambda self, password: hashed.append(password))
    for user in ("anna", "nobody"):
        with pytest.raises(LoginRefused):
            FileUsers(file).authenticate(user, "wrong")
    assert hashed == ["wrong", "wrong"]


def test_password_stands_nowhere_and_the_file_is_its_owners(file: Path) -> None:
    assert PASSWORD not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    add_user(file, "vera", VIEWER, PASSWORD)
    hashes = {str(user.hash) for user in read_users(file).values()}
    assert len(hashes) == 2, "each has a salt of its own"


def test_composed_and_decomposed_letters_are_one_password(file: Path) -> None:
    add_user(file, "rené", VIEWER, "caf\u00e9 cr\u00e8me")
    assert FileUsers(file).authenticate("rene\u0301", "cafe\u0301 cre\u0300me").name == "rené"


def test_removed_user_cannot_log_in(file: Path) -> None:
    users = FileUsers(file)
    remove_user(file, "Anna")
    with pytest.raises(LoginRefused):
        users.authenticate("anna", PASSWORD)
    with pytest.raises(PasswordFileError, match="no user anna"):
        remove_user(file, "anna")


def test_user_is_replaced_only_on_purpose(file: Path) -> None:
    with pytest.raises(PasswordFileError, match="a user anna already"):
        add_user(file, "ANNA", VIEWER, "another password")
    add_user(file, "anna", VIEWER, "another password", may_replace=True)
    assert FileUsers(file).authenticate("anna", "another password").roles == VIEWER
    assert len(read_users(file)) == 1


def test_comments_order_mode_and_place_of_the_file_stay(file: Path, tmp_path: Path) -> None:
    file.write_text(f"# those who run it\n{file.read_text()}\n")
    file.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(file)
    add_user(link, "vera", VIEWER, "Vera's password")
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert [line.partition(":")[0] for line in file.read_text().splitlines()] == ["# those who run it", "anna", "vera"]
    assert {path.name for path in tmp_path.iterdir()} == {"link", "users"}


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o606, 0o650])
def test_file_that_others_may_read_or_change_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(PasswordFileError, match=f"its mode is {mode:04o}"):
        FileUsers(file)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("vera", "NAME:ROLE"),
        ("vera:viewer", "NAME:ROLE"),
        (":viewer:scrypt$2$1$1$YQ==$YQ==", "NAME:ROLE"),
        ("vera:king:scrypt$2$1$1$YQ==$YQ==", "king"),
        ("vera::scrypt$2$1$1$YQ==$YQ==", "Role"),
        ("vera:viewer:plain", "expected scrypt"),
        ("vera:viewer:scrypt$32768$8$1$!$YQ==", "expected scrypt"),
        ("vera:viewer:scrypt$32768$8$x$YQ==$YQ==", "expected scrypt"),
        ("vera:viewer:scrypt$32768$8$1$YQ==$YQ==", "32 bytes"),
        ("vera:viewer:scrypt$1000$8$1$YQ==$YQ==", "power of two"),
        ("vera:viewer:scrypt$1073741824$8$1$YQ==$YQ==", "at most"),
        ("vera:viewer:scrypt$32768$8$100$YQ==$YQ==", "at most"),
    ],
)
def test_line_that_cannot_be_read_is_told_by_its_number(file: Path, line: str, told: str) -> None:
    file.write_text(f"{file.read_text()}{line}\n")
    with pytest.raises(PasswordFileError, match=f"line 2: .*{told}"):
        FileUsers(file)


def test_two_lines_of_one_user_are_refused(file: Path) -> None:
    file.write_text(file.read_text() + file.read_text().replace("anna", "Anna"))
    with pytest.raises(PasswordFileError, match=r"line 2: .*already"):
        FileUsers(file)


def test_length_is_bounded(file: Path) -> None:
    file.write_text("#" * PASSWORD_FILE_BYTES + "#")
    with pytest.raises(PasswordFileError, match="longer than"):
        FileUsers(file)


def test_file_that_is_gone_is_no_wrong_password(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    users = FileUsers(file)
    file.unlink()
    with pytest.raises(LoginUnavailable):
        users.authenticate("anna", PASSWORD)
    assert str(file) in caplog.text
    with pytest.raises(PasswordFileError, match="No such file"):
        FileUsers(file)


@pytest.mark.parametrize("name", ["", "a:b", "#a", " a", "a ", "a\nb", "a" * 300])
def test_name_that_a_line_cannot_hold_is_refused(file: Path, name: str) -> None:
    with pytest.raises(PasswordFileError, match="user name"):
        add_user(file, name, VIEWER, PASSWORD)


@pytest.mark.parametrize("password", ["", "short", "        ", "with\0zero", "x" * 2000])
def test_password_that_is_too_weak_or_impossible_is_refused(file: Path, password: str) -> None:
    with pytest.raises(PasswordFileError, match="password"):
        add_user(file, "vera", VIEWER, password)


def test_user_without_a_role_is_refused(file: Path) -> None:
    with pytest.raises(PasswordFileError, match="role"):
        add_user(file, "vera", frozenset(), PASSWORD)


def test_file_without_users_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "users"
    path.touch(0o600)
    FileUsers(path)
    assert "nobody can log in" in caplog.text
