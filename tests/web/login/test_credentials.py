"""What cannot be right is refused before anybody is asked; names that are one to a directory are one."""

from __future__ import annotations

import base64

import pytest

from dcm4py_leading.errors import LoginRefused
from dcm4py_leading.model.bounds import LOGIN_NAME_CHARACTERS, LOGIN_PASSWORD_CHARACTERS
from dcm4py_leading.web.login.credentials import Credentials, are_possible, basic_credentials, name_key


@pytest.mark.parametrize("password", ["", " ", "\t", "\u00ad", "\u200b\u200d", "a\0", "\0", "a\nb", "\ud800"])
def test_password_that_a_server_may_take_for_none_is_impossible(password: str) -> None:
    assert not are_possible(Credentials("anna", password))


@pytest.mark.parametrize("user", ["", " ", " anna", "anna ", "anna\0", "an\u00adna", "an\u200bna", "\ud800"])
def test_name_that_looks_like_another_is_impossible(user: str) -> None:
    assert not are_possible(Credentials(user, "password"))


@pytest.mark.parametrize("user", ["anna", "anna@example.org", "EXAMPLE\\anna", "Anna Smith", "rené", "*)(uid=*"])
@pytest.mark.parametrize("password", ["p", "with blanks ", "ünï", "🔑", "'\"<>&"])
def test_others_are_possible(user: str, password: str) -> None:
    assert are_possible(Credentials(user, password))


def test_lengths_are_bounded() -> None:
    assert are_possible(Credentials("a" * LOGIN_NAME_CHARACTERS, "b" * LOGIN_PASSWORD_CHARACTERS))
    assert not are_possible(Credentials("a" * (LOGIN_NAME_CHARACTERS + 1), "b"))
    assert not are_possible(Credentials("a", "b" * (LOGIN_PASSWORD_CHARACTERS + 1)))


@pytest.mark.parametrize("other", ["ANNA", "\uff41nna", "an na", "ánna", "anna\u00ad", " anna"])
def test_spellings_of_a_name_are_one(other: str) -> None:
    assert name_key(other) == name_key("anna")


def test_other_names_are_others() -> None:
    assert len({name_key(name) for name in ("anna", "anne", "an-na", "anna1")}) == 4


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_basic_is_read() -> None:
    assert basic_credentials(basic("anna:a:b")) == Credentials("anna", "a:b")
    assert basic_credentials(basic("rené:ü")) == Credentials("rené", "ü")
    assert basic_credentials("bAsIc " + basic("a:b").partition(" ")[2]) == Credentials("a", "b")


def test_other_schemes_are_nothing_to_us() -> None:
    assert basic_credentials("Bearer abc") is None


@pytest.mark.parametrize(
    "value", ["Basic", "Basic !", basic("without a colon"), "Basic /w==", "Basic \xfc", "Basic YTpi YTpi"]
)
def test_basic_that_cannot_be_read_is_refused(value: str) -> None:
    with pytest.raises(LoginRefused):
        basic_credentials(value)
