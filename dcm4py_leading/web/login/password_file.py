"""Users without a directory: a file with a line ``NAME:ROLE,ROLE:HASH`` for each.

It is read at each log-in, so that whoever is removed cannot log in any more.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dcm4py_leading.errors import Dcm4pyError, LoginUnavailable
from dcm4py_leading.log import Repeated
from dcm4py_leading.model.bounds import LOGIN_NAME_CHARACTERS, PASSWORD_FILE_BYTES
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.login.credentials import Credentials, are_possible, name_key, refused
from dcm4py_leading.web.login.password_hash import NOBODYS, SALT_BYTES, PasswordHash

LOG = logging.getLogger(__name__)

LEAST_PASSWORD_CHARACTERS = 8
"""NIST SP 800-63B 5.1.1.2."""
_OTHERS = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
_PROBE = "-" * LEAST_PASSWORD_CHARACTERS


class PasswordFileError(Dcm4pyError):
    """The password file cannot be used, or the change of it is refused."""


@dataclass(frozen=True, slots=True)
class User:
    """One line of the file."""

    name: str
    roles: frozenset[Role]
    hash: PasswordHash

    def __str__(self) -> str:
        return f"{self.name}:{','.join(sorted(self.roles))}:{self.hash}"


def read_users(path: Path) -> Mapping[str, User]:
    """The users by `name_key`, in their order. Raises PasswordFileError."""
    users: dict[str, User] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            user = _user(line)
        except ValueError as err:
            raise PasswordFileError(f"{path}, line {number}: {err}") from err
        if name_key(user.name) in users:
            raise PasswordFileError(f"{path}, line {number}: there is a user of that name already")
        users[name_key(user.name)] = user
    return users


def add_user(
    path: Path,
    name: str,
    roles: frozenset[Role],
    password: str,
    *,
    may_replace: bool = False,
    random: Callable[[int], bytes] = os.urandom,
) -> None:
    """Enter a user into the file, which is made where there is none. Raises PasswordFileError."""
    if ":" in name or name.startswith("#") or not are_possible(Credentials(name, _PROBE)):
        raise PasswordFileError(
            f"expected a user name of at most {LOGIN_NAME_CHARACTERS} characters that can be printed, without ':',"
            f" and without blanks or '#' at its beginning, not {name!r}"
        )
    if len(password) < LEAST_PASSWORD_CHARACTERS or not are_possible(Credentials(name, password)):
        raise PasswordFileError(f"expected a password of at least {LEAST_PASSWORD_CHARACTERS} characters")
    if not roles:
        raise PasswordFileError("expected a role")
    users = dict(read_users(path)) if path.exists() else {}
    key = name_key(name)
    if key in users and not may_replace:
        raise PasswordFileError(f"{path}: there is a user {users[key].name} already")
    users[key] = User(name, roles, PasswordHash.of(password, random(SALT_BYTES)))
    _write(path, users)


def remove_user(path: Path, name: str) -> None:
    """Take a user out of the file. Raises PasswordFileError."""
    users = dict(read_users(path))
    if users.pop(name_key(name), None) is None:
        raise PasswordFileError(f"{path}: there is no user {name}")
    _write(path, users)


class FileUsers:
    """Users of a password file."""

    def __init__(self, path: Path) -> None:
        """Raises PasswordFileError for a file that cannot be used."""
        self._path = path
        self._unusable = Repeated(LOG)
        if not read_users(path):
            LOG.warning("%s has no users: nobody can log in", path)

    def authenticate(self, user: str, password: str) -> Identity:
        """The user, with roles. Raises LoginRefused, LoginUnavailable."""
        if not are_possible(Credentials(user, password)):
            raise refused()
        found = self._user(user)
        # An unknown user takes as long as a wrong password.
        is_right = (NOBODYS if found is None else found.hash).is_of(password)
        if found is None or not is_right:
            raise refused()
        return Identity(found.name, found.roles)

    def confirmed(self, identity: Identity) -> Identity | None:
        """The same user with the roles that he has now; None if he is not there. Raises LoginUnavailable."""
        found = self._user(identity.name)
        return None if found is None else Identity(found.name, found.roles)

    def _user(self, name: str) -> User | None:
        try:
            return read_users(self._path).get(name_key(name))
        except PasswordFileError as err:
            self._unusable.warning("nobody can log in: %s", err)
            raise LoginUnavailable("the password file cannot be used") from err


def _user(line: str) -> User:
    match line.split(":"):
        case [name, roles, hashed] if name:
            try:
                return User(name, frozenset(map(Role, roles.split(","))), PasswordHash.parse(hashed.strip()))
            except ValueError as err:
                raise ValueError(f"user {name!r}: {err}") from err
        case _:
            raise ValueError("expected NAME:ROLE,ROLE:HASH")


def _text(path: Path) -> str:
    """The file, which nobody else may read. Raises PasswordFileError."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(PASSWORD_FILE_BYTES + 1)
    except OSError as err:
        raise PasswordFileError(f"{path}: {err.strerror or err}") from err
    if mode & _OTHERS:
        raise PasswordFileError(
            f"{path}: its mode is {stat.S_IMODE(mode):04o}, so that others may read or change it: chmod 600 (or 640)"
        )
    if len(text) > PASSWORD_FILE_BYTES:
        raise PasswordFileError(f"{path}: longer than {PASSWORD_FILE_BYTES} bytes")
    try:
        return text.decode()
    except UnicodeDecodeError as err:
        raise PasswordFileError(f"{path}: not UTF-8") from err


def _write(path: Path, users: Mapping[str, User]) -> None:
    """The whole file at once, with the owner and mode that it had. Raises PasswordFileError."""
    path = path.resolve()
    comments = [line for line in _text(path).splitlines() if line.startswith("#")] if path.exists() else []
    text = "".join(f"{line}\n" for line in (*comments, *users.values()))
    try:
        before = path.stat() if path.exists() else None
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            new = Path(file.name)
            try:
                if before is not None:
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                    os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                new.replace(path)
            except BaseException:  # cleans up and raises on, whatever it was
                new.unlink(missing_ok=True)
                raise
    except OSError as err:
        raise PasswordFileError(f"{err.filename or path}: {err.strerror or err}") from err
