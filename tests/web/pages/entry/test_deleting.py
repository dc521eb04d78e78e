"""Deleting an entry: asked for first, and never more than was seen."""

from __future__ import annotations

import pytest

from tests.fixtures.pages import RULE_DN, Page, Reader
from tests.fixtures.slapd import Slapd
from tests.fixtures.trees import DEVICE

pytestmark = pytest.mark.peers

ASKED = "/ui/devices/dcm4chee-arc/delete?at=cn%3DLeading%20DCMQRSCP"


def _sent(reader: Reader, page: Page, action: str) -> Page:
    expected = page.tree.xpath("//input[@name='expected']/@value")[0]
    return reader.post(ASKED, expected=expected, action=action)


def _is_there(directory: Slapd) -> bool:
    return bool(directory.ldapsearch(filter_="(cn=Leading DCMQRSCP)"))


def test_asking_deletes_nothing(reader: Reader, directory: Slapd) -> None:
    page = reader.get(ASKED)
    assert "QRSCP" in page.text
    assert _is_there(directory)


def test_rule_is_deleted_and_the_reload_shown(reader: Reader, directory: Slapd) -> None:
    page = _sent(reader, reader.get(ASKED), "reload")
    assert "Saved" in page.text
    assert reader.service.reloads == 1
    assert not _is_there(directory)


def test_preview_and_ldif_delete_nothing(reader: Reader, directory: Slapd) -> None:
    assert "changetype: delete" in _sent(reader, reader.get(ASKED), "preview").text
    assert _sent(reader, reader.get(ASKED), "ldif").html == f"dn: {RULE_DN}\nchangetype: delete\n"
    assert _is_there(directory)


def test_entry_that_changed_meanwhile_is_not_deleted(reader: Reader, directory: Slapd) -> None:
    page = reader.get(ASKED)
    record = f"dn: {RULE_DN}\nchangetype: modify\nreplace: dcmLeadingCFindSCP\ndcmLeadingCFindSCP: OTHER\n"
    assert directory.ldapmodify(record).returncode == 0
    refused = _sent(reader, page, "save")
    assert refused.status == 409
    assert "Somebody else has changed it in the meantime" in refused.text
    assert "OTHER" in refused.text
    assert _is_there(directory)


def test_an_ae_goes_with_what_is_below_it_unless_that_is_refused(reader: Reader, directory: Slapd) -> None:
    asked = "/ui/devices/dcm4chee-arc/delete?at=dicomAETitle%3DDCM4CHEE"
    page = reader.get(asked)
    count = len(directory.ldapsearch("dn", base=f"dicomAETitle=DCM4CHEE,{DEVICE}")) - 1
    assert f"with {count} entries below it" in page.text
    expected = page.tree.xpath("//input[@name='expected']/@value")[0]
    preview = reader.post(asked, expected=expected, action="preview")
    assert preview.text.count("changetype: delete") >= count
