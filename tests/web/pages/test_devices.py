"""The list of devices: what it shows, finds, and costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcm4py_leading.config.dn import escape_rdn_value
from dcm4py_leading.editing import editor_of
from tests.fixtures.pages import Reader, reading, site_of
from tests.fixtures.slapd import Slapd, SlapdFactory
from tests.fixtures.trees import DEVICES, FRAME

pytestmark = pytest.mark.peers

MANY = 2000
_HOSTILE = "<script>alert(1)</script>"


def _device(name: str, description: str) -> str:
    return (
        f"dn: dicomDeviceName={escape_rdn_value(name)},{DEVICES}\nobjectClass: dicomDevice\ndicomDeviceName: {name}\n"
        f"dicomInstalled: TRUE\ndicomDescription: {description}\n"
    )


@pytest.fixture
def big(slapd_factory: SlapdFactory) -> Slapd:
    """A directory with many devices."""
    devices = "\n".join(_device(f"modality{number:04}", f"Scanner {number}") for number in range(MANY))
    return slapd_factory(content=[f"{FRAME}\n{devices}"])


def test_devices_are_listed_with_a_link(reader: Reader) -> None:
    page = reader.get("/ui/devices")
    assert page.tree.xpath("//a[@href='/ui/devices/dcm4chee-arc']")
    assert "this service" in page.text
    assert page.text.count("Devices: 3") == 1


def test_filter_finds_all_words_in_any_order(reader: Reader) -> None:
    page = reader.get("/ui/devices?q=ARCHIVE+long")
    assert [link.text for link in page.tree.xpath("//tbody//a")] == ["dcm4chee-arc"]
    assert page.tree.get_element_by_id("q").value == "ARCHIVE long"


def test_hostile_names_stay_text(reader: Reader, directory: Slapd) -> None:
    directory.load(_device(_HOSTILE, _HOSTILE))
    page = reader.get("/ui/devices")
    assert _HOSTILE not in page.html
    assert page.text.count(_HOSTILE) == 2
    link = page.tree.xpath("//a[contains(@href, 'script')]")[0]
    found = reader.get(link.get("href"))
    assert found.status == 200
    assert _HOSTILE not in found.html
    assert _HOSTILE in found.tree.findtext(".//h1")


def test_list_costs_three_searches_with_two_thousand_devices(big: Slapd, tmp_path: Path) -> None:
    with reading(editor_of(site_of(big, tmp_path))) as reader:
        reader.get("/ui/devices")
        before = big.served()
        page = reader.get("/ui/devices?q=Scanner")
        after = big.served()
        own = big.served() - after
        # Where the configuration is, and the list in two pages of 1000.
        assert (after - before - own).searches == 3
    assert f"Devices: {MANY}" in page.text
    assert len(page.tree.xpath("//tbody/tr")) == 200


def test_a_long_list_has_pages(big: Slapd, tmp_path: Path) -> None:
    with reading(editor_of(site_of(big, tmp_path))) as reader:
        page = reader.get("/ui/devices?q=Scanner&from=1900")
        assert len(page.tree.xpath("//tbody/tr")) == 100
        previous = page.tree.xpath("//a[text()='Previous']")[0].get("href")
        assert previous == "?q=Scanner&from=1700"
        assert not page.tree.xpath("//a[text()='Next']")


def test_a_directory_that_is_down_is_told(reader: Reader, directory: Slapd) -> None:
    directory.stop()
    page = reader.get("/ui/devices")
    assert page.status == 503
    assert "The directory gives no answer" in page.text
