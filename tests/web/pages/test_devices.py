"""The list of devices: what it shows, finds, and costs."""

from __future__ import annotations

import pytest

from dcm4py_leading.config.dn import escape_rdn_value
from tests.fixtures.pages import RULE, Reader
from tests.fixtures.slapd import Slapd
from tests.fixtures.trees import DEVICES

pytestmark = pytest.mark.peers

MANY = 2000
_HOSTILE = "<script>alert(1)</script>"


def _device(name: str, description: str) -> str:
    return (
        f"dn: dicomDeviceName={escape_rdn_value(name)},{DEVICES}\nobjectClass: dicomDevice\ndicomDeviceName: {name}\n"
        f"dicomInstalled: TRUE\ndicomDescription: {description}\n"
    )


def _many() -> str:
    return "\n".join(_device(f"modality{number:04}", f"Scanner {number}") for number in range(MANY))


def test_devices_are_listed_with_a_link(reader: Reader) -> None:
    page = reader.get("/ui/devices")
    assert page.tree.xpath("//a[@href='/ui/devices/dcm4chee-arc']")
    assert "this service" in page.text
    assert page.text.count("Devices: 3") == 1


def test_filter_finds_all_words_in_any_order(reader: Reader) -> None:
    page = reader.get("/ui/devices?q=ARCHIVE+long")
    assert [link.text for link in page.tree.xpath("//tbody//a")] == ["dcm4chee-arc"]
    assert page.tree.get_element_by_id("q").get("value") == "ARCHIVE long"


def test_hostile_names_stay_text(reader: Reader, directory: Slapd) -> None:
    directory.load(_device(_HOSTILE, _HOSTILE))
    page = reader.get("/ui/devices")
    assert _HOSTILE not in page.html
    assert page.text.count(_HOSTILE) == 2
    link = page.tree.xpath("//a[contains(@href, 'script')]")[0]
    found = reader.get(link.get("href"))
    assert found.status == 200
    assert _HOSTILE not in found.html
    assert _HOSTILE in found.tree.findtext(".//h1", "")


def _searches(directory: Slapd, reader: Reader, path: str) -> int:
    """How often a page asks the directory."""
    assert reader.get(path).status == 200
    before = directory.served()
    reader.get(path)
    after = directory.served()
    own = directory.served() - after
    return (after - before - own).searches


@pytest.mark.parametrize("path", ["/ui/devices/dcm4chee-arc", RULE, "/ui/devices/dcm4chee-arc/coercions"])
def test_a_page_costs_as_many_searches_with_two_thousand_devices_as_with_three(
    directory: Slapd, reader: Reader, path: str
) -> None:
    few = _searches(directory, reader, path)
    directory.load(_many())
    assert _searches(directory, reader, path) == few <= 6


def test_the_list_costs_a_search_for_each_thousand_devices(directory: Slapd, reader: Reader) -> None:
    few = _searches(directory, reader, "/ui/devices")
    directory.load(_many())
    assert _searches(directory, reader, "/ui/devices") <= few + MANY // 1000 <= 4


def test_a_long_list_has_pages(directory: Slapd, reader: Reader) -> None:
    directory.load(_many())
    page = reader.get("/ui/devices?q=Scanner")
    assert f"Devices: {MANY}" in page.text
    assert len(page.tree.xpath("//tbody/tr")) == 200
    page = reader.get("/ui/devices?q=Scanner&from=1900")
    assert len(page.tree.xpath("//tbody/tr")) == 100
    assert page.tree.xpath("//a[text()='Previous']")[0].get("href") == "?q=Scanner&from=1700"
    assert not page.tree.xpath("//a[text()='Next']")


def test_a_directory_that_is_down_is_told(reader: Reader, directory: Slapd) -> None:
    directory.stop()
    page = reader.get("/ui/devices")
    assert page.status == 503
    assert "The directory gives no answer" in page.text
