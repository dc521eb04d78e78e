"""Assets: those of others are what their manifest says, and the pages take nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources
from pathlib import Path

from dcm4py_leading.web.pages import assets

FOLDER = Path(str(resources.files(assets)))
TEMPLATES = FOLDER.parent / "templates"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text("utf-8"))


def test_vendored_assets_are_those_of_the_manifest() -> None:
    for vendored in MANIFEST["vendored"]:
        assert set(vendored) == {"file", "name", "version", "licence", "source", "path", "sha256"}
        digest = hashlib.sha256((FOLDER / vendored["file"]).read_bytes()).hexdigest()
        assert digest == vendored["sha256"], vendored["file"]
        assert f"/{vendored['name']}/-/{vendored['name']}-{vendored['version']}.tgz" in vendored["source"]


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
