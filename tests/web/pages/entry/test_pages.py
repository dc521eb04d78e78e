"""An entry's page without JavaScript, over a real directory: shown, previewed, saved, and never overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.dn import escape_rdn_value
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.editing import editor_of
from dcm4py_leading.errors import ConfigInvalid, Problem
from tests.fixtures.pages import RULE, RULE_DN, Reader, reading
from tests.fixtures.slapd import OUR_LDIF, Slapd
from tests.fixtures.trees import DEVICE, DEVICES

pytestmark = pytest.mark.peers

PAGE = "/ui/devices/dcm4chee-arc"
TIMEOUT = "dcmLeadingCFindSCPQueryCacheStaleTimeout"
SIZE = "dcmLeadingCFindSCPQueryCacheSize"


def _modified(directory: Slapd, dn: str, attribute: str, value: str) -> None:
    """Somebody else changes an attribute."""
    record = f"dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n"
    assert directory.ldapmodify(record).returncode == 0


def test_fields_stand_by_task_with_their_values_in_words(reader: Reader) -> None:
    page = reader.get(PAGE)
    leading = page.tree.xpath("//section[@aria-labelledby='t-leading']")[0]
    assert leading.xpath(f".//input[@name='{TIMEOUT}']")[0].value == "PT5M"
    assert "5 minutes" in leading.text_content()
    assert "Leading C-Find SCP Query Cache Size" in leading.text_content()


def test_each_field_has_a_label_and_what_describes_it(reader: Reader) -> None:
    for path in (PAGE, RULE):
        tree = reader.get(path).tree
        ids = [element.get("id") for element in tree.xpath("//*[@id]")]
        assert len(ids) == len(set(ids))
        for element in tree.xpath("//form[@method='post']//*[self::input or self::select or self::textarea]"):
            if element.get("type") not in ("hidden", "checkbox"):
                named = element.get("aria-label") or tree.xpath(f"//label[@for='{element.get('id')}']")
                assert named, element.get("name")
            for name in (element.get("aria-describedby") or "").split():
                assert name in ids


def test_german_page_has_german_labels(reader: Reader) -> None:
    page = reader.get(f"{PAGE}?lang=de")
    assert "Führendes Archiv" in page.text
    assert "5 Minuten" in page.text


def test_preview_shows_what_it_would_do_and_writes_nothing(reader: Reader, directory: Slapd) -> None:
    page = reader.get(PAGE).send("preview", **{TIMEOUT: "PT1M"})
    preview = page.tree.get_element_by_id("preview").text_content()
    assert page.status == 200
    assert "from PT5M to PT1M" in preview
    assert f"delete: {TIMEOUT}\n{TIMEOUT}: PT5M\n-\nadd: {TIMEOUT}\n{TIMEOUT}: PT1M" in preview
    assert page.form().fields[TIMEOUT] == "PT1M"
    assert directory.entry(DEVICE)[TIMEOUT.lower()] == ["PT5M"]


def test_preview_can_be_saved(reader: Reader, directory: Slapd) -> None:
    page = reader.get(PAGE).send("preview", **{TIMEOUT: "PT1M", SIZE: "0"}).send("save")
    assert page.status == 200
    assert "Saved" in page.text
    found = directory.entry(DEVICE)
    assert (found[TIMEOUT.lower()], found[SIZE.lower()]) == (["PT1M"], ["0"])
    assert reader.service.reloads == 0
    assert page.tree.xpath("//form[@action='/ui/control/reload']")


def test_saving_changes_nothing_else(reader: Reader, directory: Slapd) -> None:
    before = directory.ldapsearch(base=DEVICE)
    reader.get(PAGE).send("save", **{TIMEOUT: "PT1M"})
    after = directory.ldapsearch(base=DEVICE)
    for entry, other in zip(before, after, strict=True):
        changed = {name for name in entry.keys() | other.keys() if entry.get(name) != other.get(name)}
        assert changed <= {TIMEOUT.lower()}


def test_a_page_that_is_sent_as_it_is_changes_nothing(reader: Reader, directory: Slapd) -> None:
    before = directory.ldapsearch(base=DEVICE)
    for path in (PAGE, RULE, f"{PAGE}/entry?at=dicomAETitle%3DDCM4CHEE", f"{PAGE}/entry?at=dcmEntity%3DStudy"):
        assert "There is nothing to change" in reader.get(path).send("save").text
    assert directory.ldapsearch(base=DEVICE) == before


def test_save_and_reload_shows_the_result_of_the_reload(reader: Reader) -> None:
    page = reader.get(PAGE).send("reload", **{TIMEOUT: "PT1M"})
    assert reader.service.reloads == 1
    assert "The configuration of the directory is in force." in page.text


def test_a_reload_that_is_refused_is_shown_with_its_problems(reader: Reader) -> None:
    reader.service.fails_with = ConfigInvalid([Problem(dn="cn=x", attribute="dcmURI", reason="is no URI")])
    page = reader.get(PAGE).send("reload", **{TIMEOUT: "PT1M"})
    assert "The reload is refused" in page.text
    assert page.tree.xpath("//td[contains(., 'is no URI')]")


def test_a_wrong_value_is_told_at_its_field_and_kept(reader: Reader, directory: Slapd) -> None:
    page = reader.get(PAGE).send("save", **{TIMEOUT: "5 minutes"})
    field = page.tree.xpath(f"//input[@name='{TIMEOUT}']")[0]
    assert page.status == 422
    assert field.get("aria-invalid") == "true"
    assert f"e-{TIMEOUT}" in field.get("aria-describedby").split()
    assert "expected an ISO 8601 duration" in page.tree.get_element_by_id(f"e-{TIMEOUT}").text_content()
    assert field.value == "5 minutes"
    assert directory.entry(DEVICE)[TIMEOUT.lower()] == ["PT5M"]


def test_invalid_value_of_directory_is_shown_when_the_page_opens(reader: Reader, directory: Slapd) -> None:
    _modified(directory, DEVICE, TIMEOUT, "5 minutes")
    page = reader.get(PAGE)
    assert page.status == 200
    assert "expected an ISO 8601 duration" in page.tree.get_element_by_id(f"e-{TIMEOUT}").text_content()


def test_a_name_that_other_archives_use_is_no_fault(reader: Reader, directory: Slapd) -> None:
    directory.load(f"dn: dcmEntity=MPPS,{DEVICE}\nobjectClass: dcmAttributeFilter\ndcmEntity: MPPS\ndcmTag: 00100010\n")
    page = reader.get(f"{PAGE}/entry?at=dcmEntity%3DMPPS")
    assert page.status == 200
    assert not page.tree.xpath("//*[@class='error']")
    assert "To rename: copy, then delete" in page.text


def test_preview_claims_nothing_about_a_change_while_the_directory_has_errors(reader: Reader, directory: Slapd) -> None:
    _modified(directory, DEVICE, TIMEOUT, "5 minutes")
    preview = reader.get(RULE).send("preview", dcmRulePriority="1").tree.get_element_by_id("preview").text_content()
    assert "cannot be told: there are errors" in preview
    assert "acts on nothing" not in preview


def test_fault_hidden_by_an_error_is_not_called_mended(reader: Reader, directory: Slapd) -> None:
    directory.load(
        f"dn: cn=mpps,{DEVICE}\nobjectClass: dcmArchiveAttributeCoercion\ncn: mpps\ndcmDIMSE: N_CREATE_RQ\n"
        "dicomTransferRole: SCU\ndcmNullifyTag: 00104000\n"
    )
    page = reader.get(RULE).send("preview", **{"dcmProperty.value": "("})
    assert page.status == 422
    assert "What it fixes" not in page.text


def test_a_viewer_is_offered_nothing_of_an_archive(reader: Reader) -> None:
    page = reader.get("/ui/devices/storescp")
    assert page.tree.xpath("//a[contains(@href, 'kind=ae')]")
    assert not page.tree.xpath("//a[contains(@href, 'kind=storage')]")
    assert "Coercion rules" not in page.tree.xpath("//h2/text()")


def test_change_that_a_reload_would_refuse_is_not_saved(reader: Reader, directory: Slapd) -> None:
    page = reader.get(PAGE).send("save", **{TIMEOUT: "", SIZE: "0"})
    assert page.status == 422
    assert "Refused" in page.text
    assert directory.entry(DEVICE)[SIZE.lower()] == ["50"]


def test_conflict_shows_all_three_values_and_overwrites_nothing(reader: Reader, directory: Slapd) -> None:
    page = reader.get(PAGE)
    _modified(directory, DEVICE, TIMEOUT, "PT7M")
    conflict = page.send("save", **{TIMEOUT: "PT1M"})
    assert conflict.status == 409
    assert [conflict.tree.xpath(f"//dd[{place}]//code/text()") for place in (1, 2, 3)] == [["PT5M"], ["PT7M"], ["PT1M"]]
    assert directory.entry(DEVICE)[TIMEOUT.lower()] == ["PT7M"]


def test_conflict_is_decided_by_whoever_saves(reader: Reader, directory: Slapd) -> None:
    page = reader.get(PAGE)
    _modified(directory, DEVICE, TIMEOUT, "PT7M")
    conflict = page.send("save", **{TIMEOUT: "PT1M", SIZE: "20"})
    theirs = conflict.send("save", **{f"keep.{TIMEOUT}": "theirs"})
    assert "Saved" in theirs.text
    found = directory.entry(DEVICE)
    assert (found[TIMEOUT.lower()], found[SIZE.lower()]) == (["PT7M"], ["20"])
    assert "Saved" in conflict.send("save", **{f"keep.{TIMEOUT}": "mine"}).text
    assert directory.entry(DEVICE)[TIMEOUT.lower()] == ["PT1M"]


def test_a_conflict_that_changes_again_is_asked_again(reader: Reader, directory: Slapd) -> None:
    page = reader.get(PAGE)
    _modified(directory, DEVICE, TIMEOUT, "PT7M")
    conflict = page.send("save", **{TIMEOUT: "PT1M"})
    _modified(directory, DEVICE, TIMEOUT, "PT8M")
    again = conflict.send("save", **{f"keep.{TIMEOUT}": "mine"})
    assert again.status == 409
    assert directory.entry(DEVICE)[TIMEOUT.lower()] == ["PT8M"]


def test_changes_of_others_beside_it_stay_and_are_reported(reader: Reader, directory: Slapd) -> None:
    page = reader.get(PAGE)
    _modified(directory, DEVICE, "dicomDescription", "theirs")
    saved = page.send("save", **{TIMEOUT: "PT1M"})
    assert "Changed by somebody else in the meantime, and kept: Description" in saved.text
    assert directory.entry(DEVICE)["dicomdescription"] == ["theirs"]


def test_an_entry_that_went_meanwhile_is_told(reader: Reader, directory: Slapd) -> None:
    page = reader.get(RULE)
    assert directory.ldapmodify(f"dn: {RULE_DN}\nchangetype: delete\n").returncode == 0
    assert page.send("save", dcmLeadingCFindSCP="OTHER").status == 404


def test_ldif_can_be_taken_away_and_is_what_ldapmodify_takes(reader: Reader, directory: Slapd) -> None:
    page = reader.get(PAGE)
    answer = page.send("ldif", **{TIMEOUT: "PT1M"}).answer
    assert answer.headers["content-disposition"] == 'attachment; filename="dcm4chee-arc.ldif"'
    assert answer.headers["content-type"].startswith("text/plain")
    assert directory.ldapmodify(answer.text).returncode == 0
    assert directory.entry(DEVICE)[TIMEOUT.lower()] == ["PT1M"]


def test_files_that_may_not_be_written_offer_ldif_alone(tmp_path: Path) -> None:
    site = Site(
        source=LdifSource([OUR_LDIF / "quickstart.ldif"]), device_name="dcm4chee-arc", properties={}, data_dir=tmp_path
    )
    with reading(editor_of(site)) as reader:
        page = reader.get(PAGE)
        assert "Nothing can be saved here" in page.text
        assert set(page.tree.xpath("//div[@class='actions-bar']//button/@value")) == {"preview", "ldif"}
        assert f"{TIMEOUT}: PT1M" in page.send("ldif", **{TIMEOUT: "PT1M"}).html
        refused = page.send("save", **{TIMEOUT: "PT1M"})
        assert refused.status == 422
        assert "Saving failed" in refused.text


def test_a_new_rule_is_made_and_its_name_refused_the_second_time(reader: Reader, directory: Slapd) -> None:
    typed = {
        "cn": "Second, with <odd> name",
        "dcmDIMSE": "C_FIND_RSP",
        "dicomTransferRole": "SCU",
        "dcmURI.scheme": "leading-arc",
        "dcmURI.specific": "QRSCP",
        "dcmProperty.key": ["SendingApplicationEntityTitle", ""],
        "dcmProperty.operator": ["!=", "="],
        "dcmProperty.value": ["STORESCP", ""],
        "dcmSOPClass": ["Study Root Query/Retrieve Information Model - FIND", ""],
    }
    saved = reader.get(f"{PAGE}/new?kind=rule2").send("save", **typed)
    assert "Saved" in saved.text
    found = directory.ldapsearch(filter_="(objectClass=dcmArchiveAttributeCoercion2)")[0]
    assert found["cn"] == ["Second, with <odd> name"]
    assert found["dcmuri"] == ["leading-arc:QRSCP"]
    assert found["dcmproperty"] == ["SendingApplicationEntityTitle!=STORESCP"]
    assert found["dcmsopclass"] == ["1.2.840.10008.5.1.4.1.2.2.1"]
    again = reader.get(f"{PAGE}/new?kind=rule2").send("save", **typed)
    assert again.status == 422
    assert "this name already exists" in again.text
    page = reader.get(saved.tree.xpath("//main/p[last()]/a/@href")[0])
    assert page.form().fields["dcmURI.specific"] == "QRSCP"


def test_rule_without_required_fields_is_refused_at_these_fields(reader: Reader) -> None:
    page = reader.get(f"{PAGE}/new?kind=rule").send("save", dcmLeadingCFindSCP="QRSCP")
    assert page.status == 422
    for name in ("cn", "dcmDIMSE", "dicomTransferRole"):
        assert "is required" in page.tree.get_element_by_id(f"e-{name}").text_content()


def test_a_copy_begins_like_its_original_but_for_the_name(reader: Reader, directory: Slapd) -> None:
    link = reader.get(RULE).tree.xpath("//a[text()='Copy']/@href")[0]
    page = reader.get(link)
    assert page.form().fields["cn"] == ""
    assert "Saved" in page.send("save", cn="Another").text
    original, copy = (directory.entry(f"cn={cn},{DEVICE}") for cn in ("Leading DCMQRSCP", "Another"))
    assert {**copy, "dn": None, "cn": None} == {**original, "dn": None, "cn": None}


def test_conditions_are_edited_in_parts(reader: Reader, directory: Slapd) -> None:
    page = reader.get(RULE)
    assert "Matches: STORESCP" in page.text
    page.send(
        "save",
        **{
            "dcmProperty.key": ["ReceivingApplicationEntityTitle", "Modality"],
            "dcmProperty.operator": ["=", "!="],
            "dcmProperty.value": ["STORESCP|OTHER", "SR"],
        },
    )
    found = directory.entry(RULE_DN)["dcmproperty"]
    assert sorted(found) == ["Modality!=SR", "ReceivingApplicationEntityTitle=STORESCP|OTHER"]


def test_more_lines_keep_what_was_typed(reader: Reader) -> None:
    page = reader.get(RULE).send("more", dcmLeadingCFindSCP="TYPED")
    assert page.form().fields["dcmLeadingCFindSCP"] == "TYPED"
    assert len(page.tree.xpath("//input[@name='dcmProperty.key']")) == 9


def test_titles_are_suggested_other_titles_too(reader: Reader, directory: Slapd) -> None:
    record = f"dn: dicomAETitle=DCM4CHEE,{DEVICE}\nchangetype: modify\nadd: dcmOtherAETitle\ndcmOtherAETitle: OLDPACS\n"
    assert directory.ldapmodify(record).returncode == 0
    titles = reader.get(RULE).tree.xpath("//datalist[@id='ae-titles']/option/@value")
    assert {"DCM4CHEE", "QRSCP", "STORESCP", "OLDPACS"} <= set(titles)


def test_all_attributes_that_are_not_known_stay(reader: Reader, directory: Slapd) -> None:
    record = f"dn: {DEVICE}\nchangetype: modify\nadd: dicomVendorData\ndicomVendorData:: AAEC\n"
    assert directory.ldapmodify(record).returncode == 0
    page = reader.get(PAGE)
    assert "dicomVendorData" not in json.loads(page.form().fields["base"])
    page.send("save", **{TIMEOUT: "PT1M"})
    assert directory.entry(DEVICE)["dicomvendordata"] == ["\x00\x01\x02"]


def test_secrets_are_neither_shown_nor_lost(reader: Reader, directory: Slapd) -> None:
    record = f"dn: {DEVICE}\nchangetype: modify\nadd: dcmKeyStorePin\ndcmKeyStorePin: hunter2\n"
    assert directory.ldapmodify(record).returncode == 0
    page = reader.get(PAGE)
    assert "hunter2" not in page.html
    preview = page.send("preview", **{TIMEOUT: "PT1M"})
    assert "hunter2" not in preview.html
    preview.send("save")
    assert directory.entry(DEVICE)["dcmkeystorepin"] == ["hunter2"]


def test_search_finds_fields_of_entries_below(reader: Reader) -> None:
    page = reader.get(f"{PAGE}?q=leading+scp+qrscp")
    hrefs = page.tree.xpath("//div[@id='found']//a/@href")
    assert f"{RULE}#f-dcmLeadingCFindSCP" in hrefs
    assert reader.get(f"{PAGE}?q=stale+timeout").tree.xpath(f"//a[@href='{PAGE}#f-{TIMEOUT}']")
    assert "No field contains all these words" in reader.get(f"{PAGE}?q=xyzzy").text


@pytest.mark.parametrize(
    ("value", "said"),
    [("PT90S", "1 minute 30 seconds"), ("PT5", "expected an ISO 8601 duration"), ("P1DT1H", "1 day 1 hour"), ("", "")],
)
def test_a_value_is_checked_while_it_is_typed(reader: Reader, value: str, said: str) -> None:
    answer = reader.client.post(f"/ui/check?class=dcmArchiveDevice&attribute={TIMEOUT}", data={TIMEOUT: value})
    assert said in answer.text
    assert ("error" in answer.text) is said.startswith("expected")


@pytest.mark.parametrize(
    "path",
    [
        "/ui/devices/nothing",
        "/ui/devices/",
        f"{PAGE}/entry?at=cn%3Dnothing",
        f"{PAGE}/entry?at=nonsense",
        f"{PAGE}/new?kind=nothing",
        f"{PAGE}/new?kind=capability",
        f"{PAGE}/delete",
        f"{PAGE}/aes/NOBODY/coercions",
    ],
)
def test_unknown_address_is_a_page_that_says_so(reader: Reader, path: str) -> None:
    assert reader.get(path).status == 404


@pytest.mark.parametrize("base", ["", "null", "[]", '{"dcmURI": "text"}', "{", "[" * 100_000])
def test_a_form_of_nobody_is_refused(reader: Reader, base: str) -> None:
    assert reader.post(PAGE, base=base, action="save").status == 400


_ODD = "a/b?c#d%41 +&\"é'"


def test_odd_names_lead_to_their_pages(reader: Reader, directory: Slapd) -> None:
    device = f"dicomDeviceName={escape_rdn_value(_ODD)},{DEVICES}"
    rule = f"cn={escape_rdn_value(_ODD)},{device}"
    directory.load(
        f"dn: {device}\nobjectClass: dicomDevice\ndicomDeviceName: {_ODD}\ndicomInstalled: TRUE\n\n"
        f"dn: {rule}\nobjectClass: dcmArchiveAttributeCoercion\ncn: {_ODD}\n"
        "dcmDIMSE: C_STORE_RQ\ndicomTransferRole: SCP\n"
    )
    listed = reader.get("/ui/devices").tree.xpath("//tbody//a[contains(., 'a/b')]/@href")[0]
    page = reader.get(listed)
    assert page.tree.findtext(".//h1", "").strip().startswith(_ODD)
    assert page.tree.get_element_by_id("q").get("hx-get") == listed
    rules = reader.get(page.tree.xpath("//a[contains(@href, '/coercions')]/@href")[0])
    edited = reader.get(rules.tree.xpath("//tbody//th/a/@href")[0])
    assert "Saved" in edited.send("save", dcmLeadingCFindSCP="QRSCP").text
    assert directory.entry(rule)["dcmleadingcfindscp"] == ["QRSCP"]


def test_entries_of_other_services_are_listed_and_kept(reader: Reader, directory: Slapd) -> None:
    directory.load(f"dn: ou=other,{DEVICE}\nobjectClass: organizationalUnit\nou: other\ndescription: theirs\n")
    link = reader.get(PAGE).tree.xpath("//a[text()='other']/@href")[0]
    page = reader.get(link)
    assert "theirs" in page.text
    assert "There is nothing to change" in page.send("save").text
