"""A device that is made on the pages."""

from __future__ import annotations

import pytest

from tests.fixtures.pages import Page, Reader
from tests.fixtures.slapd import Slapd
from tests.fixtures.trees import DEVICES, ROOT

pytestmark = pytest.mark.peers

PAGE = "/ui/new-device"
VIEWER = {
    "dicomDeviceName": "viewer, 2",
    "dicomDescription": "Second viewer",
    "dicomAETitle": "VIEWER2",
    "dicomHostname": "viewer2.example.org",
    "dicomPort": "104",
}
DN = f"dicomDeviceName=viewer\\, 2,{DEVICES}"


def _post(reader: Reader, action: str, **typed: str) -> Page:
    return reader.post(PAGE, action=action, **{**VIEWER, **typed})


def _exists(directory: Slapd, name: str) -> bool:
    return bool(directory.ldapsearch("dicomDeviceName", filter_=f"(dicomDeviceName={name})"))


def test_a_viewer_is_saved_with_its_ae_and_connection(reader: Reader, directory: Slapd) -> None:
    assert reader.get("/ui/devices").tree.xpath(f"//a[@href='{PAGE}']")
    page = _post(reader, "reload")
    assert page.status == 200
    assert reader.service.reloads == 1
    assert directory.entry(DN)["dicomdescription"] == ["Second viewer"]
    connection = directory.entry(f"cn=dicom,{DN}")
    assert (connection["dicomhostname"], connection["dicomport"]) == (["viewer2.example.org"], ["104"])
    ae = directory.entry(f"dicomAETitle=VIEWER2,{DN}")
    assert (ae["dicomassociationinitiator"], ae["dicomassociationacceptor"]) == (["TRUE"], ["TRUE"])
    assert directory.entry(f"dicomAETitle=VIEWER2,cn=Unique AE Titles Registry,{ROOT}")
    (link,) = page.tree.xpath("//main//a[text()='viewer, 2']/@href")
    assert "Second viewer" in reader.get(link).html


def test_preview_and_ldif_save_nothing(reader: Reader, directory: Slapd) -> None:
    page = _post(reader, "preview")
    assert page.status == 200
    assert "dicomHostname: viewer2.example.org" in page.text
    answer = reader.client.post(PAGE, data={**VIEWER, "action": "ldif"})
    assert answer.text.count("changetype: add") == 4
    assert "attachment" in answer.headers["content-disposition"]
    assert not _exists(directory, "viewer, 2")


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("dicomDeviceName", "dcm4chee-arc", "this name already exists"),
        ("dicomDeviceName", "", "is required, but absent"),
        ("dicomAETitle", "LONGER THAN SIXTEEN", "LONGER THAN SIXTEEN: "),
        ("dicomAETitle", "STORESCP", "this name already exists"),
        ("dicomPort", "99999", "expected a whole number"),
        ("dicomHostname", " ", "is required, but absent"),
    ],
)
def test_fault_is_reported_at_its_field(
    reader: Reader, directory: Slapd, attribute: str, value: str, said: str
) -> None:
    page = _post(reader, "save", **{attribute: value})
    assert page.status == 422
    field = page.tree.get_element_by_id(f"i-{attribute}")
    assert field.get("aria-invalid") == "true"
    assert field.get("value") == value.strip()
    assert said in page.tree.get_element_by_id(f"s-{attribute}").text_content()
    assert not _exists(directory, "viewer, 2")


def test_while_the_directory_is_down_it_is_said_how_what_was_typed_is_sent_again(
    reader: Reader, directory: Slapd
) -> None:
    directory.stop()
    page = _post(reader, "save")
    assert page.status == 503
    assert "load this page again" in page.text
    assert "load this page again" not in reader.get("/ui/devices").text
