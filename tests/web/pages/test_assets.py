"""Assets: those of others are what their manifest says, and the pages take nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources
from pathlib import Path

import pytest
from starlette.requests import Request

from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.pages import assets
from tests.fixtures.http import served

FOLDER = Path(str(resources.files(assets)))
TEMPLATES = FOLDER.parent / "templates"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text("utf-8"))


class Nobody:
    """Knows nobody."""

    async def identify(self, request: Request) -> None:
        return None


def test_vendored_assets_are_those_of_the_manifest() -> None:
    for vendored in MANIFEST["vendored"]:
        assert set(vendored) == {"file", "name", "version", "licence", "source", "path", "sha256"}
        digest = hashlib.sha256((FOLDER / vendored["file"]).read_bytes()).hexdigest()
        assert digest == vendored["sha256"], vendored["file"]
        assert vendored["source"] == f"npm:{vendored['name']}@{vendored['version']}"


def test_every_asset_is_in_the_manifest() -> None:
    named = {*MANIFEST["own"], *(vendored["file"] for vendored in MANIFEST["vendored"]), "manifest.json", "__init__.py"}
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == named


def test_an_address_holds_the_digest() -> None:
    assert re.fullmatch(r"/ui/assets/style\.css\?v=[0-9a-f]{12}", assets.address("style.css"))


def test_templates_hold_nothing_that_the_policy_refuses() -> None:
    for template in TEMPLATES.rglob("*.html"):
        text = template.read_text("utf-8")
        assert not re.search(r"<[^>]*\s(style|on\w+)=", text), template.name
        assert "<style" not in text, template.name
        assert "|safe" not in text.replace(" ", ""), template.name
        for tag in re.findall(r"<(?:script|link rel=\"stylesheet\")[^>]*>", text):
            assert 'nonce="{{ nonce }}"' in tag, template.name
            assert "{{ asset(" in tag, template.name


def test_style_sheet_takes_nothing_from_elsewhere() -> None:
    assert "url(" not in (FOLDER / "style.css").read_text("utf-8")


def test_assets_are_served_to_everybody_and_kept_for_ever() -> None:
    with served(app=guarded_app([assets.asset_route()], doorkeeper=Nobody())) as http:
        answer = http.get(assets.address("style.css"))
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/css")
        assert "immutable" in answer.headers["cache-control"]
        assert http.get(assets.address("htmx.min.js")).headers["content-type"].startswith("text/javascript")


def test_an_asset_of_another_version_is_not_kept() -> None:
    with served(app=guarded_app([assets.asset_route()], doorkeeper=Nobody())) as http:
        assert http.get("/ui/assets/style.css?v=0").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["manifest.json", "__init__.py", "nothing.css", "..%2frender.py", "%2e%2e"])
def test_nothing_else_is_served(name: str) -> None:
    with served(app=guarded_app([assets.asset_route()], doorkeeper=Nobody())) as http:
        assert http.get(f"/ui/assets/{name}").status_code == 404
