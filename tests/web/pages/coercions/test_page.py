"""The page of coercion rules."""

from __future__ import annotations

import pytest

from dcm4py_leading.config.dn import escape_rdn_value
from tests.fixtures.pages import Reader
from tests.fixtures.slapd import Slapd
from tests.fixtures.trees import AE, DEVICE

pytestmark = pytest.mark.peers

PAGE = "/ui/devices/dcm4chee-arc/coercions"
AE_PAGE = "/ui/devices/dcm4chee-arc/aes/DCM4CHEE/coercions"


def _add(directory: Slapd, cn: str, parent: str = DEVICE, **attributes: str) -> None:
    lines = [
        f"dn: cn={escape_rdn_value(cn)},{parent}",
        "objectClass: dcmArchiveAttributeCoercion",
        f"cn: {cn}",
        "dcmDIMSE: C_STORE_RQ",
        "dicomTransferRole: SCP",
        *(f"{name}: {value}" for name, value in attributes.items()),
    ]
    directory.load("\n".join(lines) + "\n")


def _rows(reader: Reader, path: str) -> list[str]:
    rows = reader.get(path).tree.xpath("//caption[text()='Rules in order']/..//tbody/tr")
    return [" ".join(row.text_content().split()) for row in rows]


def test_rules_stand_in_order_with_what_hides_them(reader: Reader, directory: Slapd) -> None:
    _add(directory, "All", dcmRulePriority="1", dcmNullifyTag="00104000")
    rows = _rows(reader, PAGE)
    assert [row.split()[:2] for row in rows] == [["1", "All"], ["2", "Leading"]]
    assert "hidden by All" in rows[1]
    assert "Nullify Tag: 00104000" in rows[0]


def test_no_rule_shows_a_secret(reader: Reader, directory: Slapd) -> None:
    secrets = {
        "dcmURI": "xslt:https://me:s3cret@host/x",
        "dcmProperty": "StudyDescription=https://me:s3cret@host",
        "userPassword": "s3cret",
        "objectClass": "extensibleObject",
    }
    _add(directory, "Of another schema", **secrets)
    (_, row) = _rows(reader, PAGE)
    assert "xslt:https://me:***@host/x" in row
    assert "s3cret" not in reader.get(PAGE).html


def test_rules_of_an_ae_stand_with_those_of_its_device(reader: Reader, directory: Slapd) -> None:
    _add(directory, "Of AE", AE, dcmProperty="ReceivingApplicationEntityTitle=S.*")
    rows = _rows(reader, AE_PAGE)
    assert "of the AE" in rows[0]
    assert "Matches: STORESCP" in rows[0]
    assert "of the device" in rows[1]
    assert "only where Of AE does not apply" in rows[1]


def test_a_rule_of_the_device_is_copied_to_the_ae_whose_page_it_is(reader: Reader) -> None:
    (link,) = reader.get(AE_PAGE).tree.xpath("//a[starts-with(., 'Copy to DCM4CHEE')]/@href")
    assert reader.get(link).send("save", cn="Of AE").status == 200
    rows = _rows(reader, AE_PAGE)
    assert "of the AE" in next(row for row in rows if "Of AE" in row)


def test_each_rule_can_be_edited_copied_and_deleted(reader: Reader) -> None:
    page = reader.get(PAGE)
    links = page.tree.xpath("//caption[text()='Rules in order']/..//a/@href")
    assert len(links) == 3
    for link in links:
        assert reader.get(link).status == 200


def test_new_rules_of_both_versions_are_offered_below_the_ae(reader: Reader) -> None:
    links = reader.get(AE_PAGE).tree.xpath("//main/p/a/@href")
    assert [link.partition("kind=")[2] for link in links] == [
        "rule&at=dicomAETitle%3DDCM4CHEE",
        "rule2&at=dicomAETitle%3DDCM4CHEE",
    ]
    for link in links:
        assert reader.get(link).status == 200


def test_hostile_rule_stays_text(reader: Reader, directory: Slapd) -> None:
    hostile = "<img src=x>"
    _add(directory, hostile, dcmProperty=f"Modality={hostile}")
    html = reader.get(PAGE).html
    assert hostile not in html
    assert "&lt;img src=x&gt;" in html


@pytest.mark.parametrize(
    ("key", "operator", "value", "said"),
    [
        ("ReceivingApplicationEntityTitle", "=", "QR.*", "Matches: QRSCP"),
        ("ReceivingApplicationEntityTitle", "!=", "QR.*", "Matches: DCM4CHEE, STORESCP"),
        ("ReceivingApplicationEntityTitle", "=", "NOBODY", "Matches no AE title"),
        ("ReceivingAETitle", "=", "X", "did you mean ReceivingApplicationEntityTitle?"),
        ("Modality", "=", "(", "bad regular expression"),
        ("Modality", "=", "CT", ""),
        ("", "=", "CT", ""),
    ],
)
def test_a_condition_says_what_it_matches_while_it_is_typed(
    reader: Reader, key: str, operator: str, value: str, said: str
) -> None:
    typed = {"dcmProperty.key": key, "dcmProperty.operator": operator, "dcmProperty.value": value}
    answer = reader.client.post("/ui/matches", data=typed)
    assert answer.status_code == 200
    assert said in answer.text
    if not said:
        assert not answer.text.strip()
