"""The browser that the tests of the pages use."""

import pytest

from tests.fixtures.chromium import OpenWindow

pytestmark = pytest.mark.peers


def test_the_browser_runs_scripts(open_window: OpenWindow) -> None:
    page = open_window().page
    page.set_content("<p id=p></p><script>document.getElementById('p').textContent = String(6 * 7)</script>")
    assert page.inner_text("#p") == "42"
