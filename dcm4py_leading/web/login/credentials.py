"""A user name and a password as they came: whether they can be right at all, and how names are compared."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from typing import NamedTuple

from dcm4py_leading.errors import LoginRefused
from dcm4py_leading.model.bounds import LOGIN_NAME_CHARACTERS, LOGIN_PASSWORD_CHARACTERS

_WRONG = "wrong user name or password, or no role here"
"""The one message for all: which it was is nobody's business who does not know the password."""


class Credentials(NamedTuple):
    """User name and password that somebody typed."""

    user: str
    password: str


def refused() -> LoginRefused:
    """The error of every log-in that is refused."""
    return LoginRefused(_WRONG)


def are_possible(credentials: Credentials) -> bool:
    """True if a directory may be asked about them.

    No password, or one of which a server's preparation (RFC 4013) leaves nothing, would bind anonymously (RFC 4513
    5.1.2); so may one that ends at a NUL.
    """
    user, password = credentials
    return (
        len(user) <= LOGIN_NAME_CHARACTERS
        and len(password) <= LOGIN_PASSWORD_CHARACTERS
        and user.strip() == user
        and not any(unicodedata.category(char).startswith("C") for char in user)
        and not any(unicodedata.category(char) in ("Cc", "Cs") for char in password)
        and user != ""
        and any(unicodedata.category(char)[0] in "LMNPS" for char in password)
    )


def name_key(user: str) -> str:
    """A user name so that names which a directory may take for one are one: by case, width, accents and blanks."""
    decomposed = unicodedata.normalize("NFKD", user[: 2 * LOGIN_NAME_CHARACTERS])
    return "".join(char for char in decomposed.casefold() if unicodedata.category(char)[0] not in "CMZ")


def basic_credentials(authorization: str) -> Credentials | None:
    """Those of HTTP Basic (RFC 7617, UTF-8); None of another scheme. Raises LoginRefused for what cannot be read."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise refused() from None
    if not colon:
        raise refused()
    return Credentials(user, password)
