"""What every page has in common."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.pages.language import accepted
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import Language
from tests.fixtures.http import served


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    async def page(request: Request) -> Response:
        request.state.nonce = "a-nonce"
        return render(request, "base.html")

    with served(Route("/ui/page", needs(Role.VIEWER, page))) as made:
        yield made


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", Language.GERMAN),
        ("en-GB, de;q=0.9", Language.ENGLISH),
        ("fr, de;q=0.4, en;q=0.7", Language.ENGLISH),
        ("fr", None),
        ("de;q=0", None),
        ("de;q=much", None),
        ("", None),
    ],
)
def test_language_is_the_best_that_is_accepted(header: str, language: Language | None) -> None:
    assert accepted(header) is language


def test_page_says_its_language(client: httpx.Client) -> None:
    answer = client.get("/ui/page", headers={"Accept-Language": "de"})
    assert answer.headers["content-language"] == "de"
    assert '<html lang="de">' in answer.text
    assert "Zum Inhalt" in answer.text


def test_language_that_was_chosen_is_remembered(client: httpx.Client) -> None:
    client.get("/ui/page?lang=de", headers={"Accept-Language": "en"})
    assert client.get("/ui/page", headers={"Accept-Language": "en"}).headers["content-language"] == "de"


def test_the_switch_keeps_the_rest_of_the_query(client: httpx.Client) -> None:
    assert 'href="?q=a%26b&amp;lang=de"' in client.get("/ui/page?q=a%26b").text


def test_a_language_that_there_is_not_is_passed_over(client: httpx.Client) -> None:
    answer = client.get("/ui/page?lang=xx")
    assert answer.headers["content-language"] == "en"
    assert "set-cookie" not in answer.headers


def test_scripts_have_the_nonce_of_the_request(client: httpx.Client) -> None:
    text = client.get("/ui/page").text
    assert text.count("<script") == text.count('<script src="/ui/assets/') == text.count('nonce="a-nonce" defer')
