"""Who may what on the pages."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.gate.identity import Identity, Role
from tests.fixtures.pages import RULE, reading, site_of
from tests.fixtures.slapd import Slapd

pytestmark = pytest.mark.peers


class Door:
    """Lets everybody in as a viewer."""

    async def identify(self, request: Request) -> Identity:
        return Identity("anna", frozenset({Role.VIEWER}))


def test_viewer_sees_everything_and_changes_nothing(directory: Slapd, tmp_path_factory: pytest.TempPathFactory) -> None:
    editor = editor_of(site_of(directory, tmp_path_factory.mktemp("data")))
    with reading(editor, doorkeeper=Door()) as reader:
        page = reader.get(RULE)
        assert "Logged in as anna" in page.text
        assert page.tree.xpath("//form[@method='post']/fieldset[@disabled]")
        assert not page.tree.xpath("//main//button[@name='action'][@value='save']")
        assert page.send("save", dcmLeadingCFindSCP="OTHER").status == 403
        assert reader.get("/ui/control").status == 200
        assert reader.client.post("/ui/new-device").status_code == 403
        assert "New device" not in reader.get("/ui/devices").text
        for path in ("/ui/control/reload", "/ui/control/stop", "/ui/control/abort"):
            assert reader.client.post(path).status_code == 403
        assert reader.service.reloads == 0
