"""LDIF mended: accepted by ldapmodify, and no more changed than that takes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dcm4py_leading.config.ldif.fix import fix_ldif
from dcm4py_leading.config.ldif.records import parse_ldif
from tests.fixtures.ldif import FRAGMENTS, seed_ldif
from tests.fixtures.slapd import OUR_LDIF

MODIFY = "dn: cn=a\nchangetype: modify\n"
ADD = "dn: cn=a\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\n"
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)


def fixed(text):
    return fix_ldif(text).text


def mended(text):
    return [(fault.line, fault.reason) for fault in fix_ldif(text).mended]


def server_faults(text):
    return [fault for fault in parse_ldif(text, "a.ldif").faults if not fault.is_ours]


@given(TEXTS)
@example("# a\n  dn: x\n")
@example("    dn: cn=a\n  dn: cn=b\n")
def test_whatever_comes_out_can_be_read_and_needs_no_more_mending(text):
    first = fix_ldif(text)
    again = fix_ldif(first.text)
    assert server_faults(first.text) == []
    assert again.text == first.text
    assert (again.mended, again.left_out) == ((), ())
    assert len(first.origins) == first.text.count("\n")


@given(st.text() | st.text(alphabet=" \n:-#dnac=\t\r"))
def test_any_characters_come_out_readable(text):
    first = fixed("dn: cn=a\n" + text)
    assert server_faults(first) == []
    assert fixed(first) == first


@pytest.mark.parametrize("indented", [False, True])
def test_the_seed_becomes_what_ldapmodify_takes(indented):
    rule = "objectClass: dcmArchiveAttributeCoercion\ncn: Leading DCMQRSCP\n"
    text = fixed(seed_ldif(indented=indented))
    assert text.startswith("version: 1\ndn: dicomDeviceName=dcm4chee-arc,")
    assert "replace: dcmLeadingCFindSCPQueryCacheStaleTimeout\n" in text
    assert f"changetype: add\n{rule}" in text
    assert text.endswith("dcmLeadingCFindSCP: QRSCP\n\n")
    assert [line for line, _ in mended(seed_ldif())] == [4, 10, 14, 21]


@pytest.mark.parametrize("path", sorted(OUR_LDIF.rglob("*.ldif")), ids=lambda path: path.name)
def test_our_own_files_lose_nothing_but_their_folds(path):
    text = path.read_text("utf-8")
    result = fix_ldif(text)
    assert result.left_out == ()
    before, after = parse_ldif(text, "").records, parse_ldif(result.text, "").records
    assert [record.dn for record in after] == [record.dn for record in before]
    comments = [line for line in result.text.splitlines() if line.startswith("#")]
    assert comments == [line for line in text.splitlines() if line.startswith("#")]


def test_a_good_change_stays_as_it_is():
    text = "# why\nversion: 1\n\n# what\n" + MODIFY + "replace: cn\ncn: b\n# more\ncn: c\n-\n\n" + ADD + "cn: a\n\n"
    result = fix_ldif(text)
    assert (result.text, result.mended, result.left_out, result.unrepeatable) == (text, (), (), ())


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("\ufeff" + ADD, ADD),
        (ADD.replace("\n", "\r\n"), ADD),
        (ADD + "cn: a \n", ADD + "cn: a\n"),
        (ADD + "cn: a\ncn: a\n", ADD + "cn: a\n"),
        (ADD + "cn:: IGE=\n", ADD + "cn:: IGE=\n"),
        (ADD + "-\n", ADD),
        (ADD + "\ncn: a\n", ADD + "cn: a\n"),
        (ADD + "entryUUID: 1\n", ADD),
        (ADD + "dcmRetrieveAsReceived: true\n", ADD + "dcmRetrieveAsReceived: TRUE\n"),
        ("dn: cn=a\nobjectClass: top\nchangetype: add\n", "dn: cn=a\nchangetype: add\nobjectClass: top\n"),
        ("dn: cn=a\nobjectClass: top\n", "dn: cn=a\nchangetype: add\nobjectClass: top\n"),
        ("dn: cn=a\nreplace: cn\ncn: b\n-\n", MODIFY + "replace: cn\ncn: b\n-\n"),
        (ADD.replace("add\n", "ADD \n"), ADD),
        (ADD + ADD.replace("cn=a", "cn=b"), ADD + "\n" + ADD.replace("cn=a", "cn=b")),
        (MODIFY + "replace: cn\ncn: b", MODIFY + "replace: cn\ncn: b\n-\n"),
        (MODIFY + "replace: cn\ncn: b\n- \n", MODIFY + "replace: cn\ncn: b\n-\n"),
        (
            MODIFY + "replace: cn\ncn: b\nreplace: sn \nsn: c\n",
            MODIFY + "replace: cn\ncn: b\n-\nreplace: sn\nsn: c\n-\n",
        ),
        (MODIFY + "delete: cn\n-\n", MODIFY + "replace: cn\n-\n"),
        (
            "dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b \ndeleteoldrdn: 1 \n-\n",
            "dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b\ndeleteoldrdn: 1\n",
        ),
        ("dn: cn=a\nchangetype: delete\n-\n", "dn: cn=a\nchangetype: delete\n"),
        ("version: 2\n" + ADD, "version: 1\n" + ADD),
    ],
)
def test_mended_faults(text, becomes):
    assert fixed(text) == becomes + "\n"


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_leading_archive_of_a_version_2_rule_is_moved_to_its_uri():
    rule = ADD.replace("Coercion\n", "Coercion2\n")
    assert fixed(rule + "dcmLeadingCFindSCP: QRSCP\n") == rule + "dcmURI: leading-arc:QRSCP\n\n"
    both = rule + "dcmURI: merge-attrs:\ndcmLeadingCFindSCP: QRSCP\n"
    assert fixed(both) == both + "\n"


@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheSize")
def test_single_valued_attribute_is_always_replaced():
    text = MODIFY + "add: dcmLeadingCFindSCPQueryCacheSize\ndcmLeadingCFindSCPQueryCacheSize: 50\n-\n\n"
    assert fixed(text) == text.replace("add: ", "replace: ")
    assert fix_ldif(text).unrepeatable == ()


def test_value_added_among_others_is_told_not_to_be_repeatable():
    text = MODIFY + "add: dcmProperty\ndcmProperty: a=b\n-\n\n"
    result = fix_ldif(text)
    assert result.text == text
    assert [fault.line for fault in result.unrepeatable] == [3]


def test_value_added_after_all_were_removed_can_be_repeated():
    text = MODIFY + "delete: dcmProperty\n-\nadd: dcmProperty\ndcmProperty: a=b\n-\n"
    assert fix_ldif(text).unrepeatable == ()


@pytest.mark.parametrize(
    "record",
    [
        "dn: cn=a\nchangetype: modify\ngarbage\n",
        "dn: nothing\ncn: a\n",
        "dn: cn=a\nchangetype: modify\nreplace: cn\nsn: b\n-\n",
        "dn: cn=a\nchangetype: modify\n",
        "dn: cn=a\nchangetype: delete\ncn: a\n",
        "dn: cn=a\nchangetype: copy\n",
        "dn: cn=a\nchangetype: add\nchangetype: modify\ncn: a\n",
    ],
)
def test_record_that_cannot_be_mended_becomes_a_comment_as_a_whole(record):
    result = fix_ldif(ADD + "\n" + record + "\n" + ADD.replace("cn=a", "cn=b"))
    commented = "".join(f"# {line}\n" for line in record.splitlines())
    assert result.text == ADD + "\n" + commented + "\n" + ADD.replace("cn=a", "cn=b") + "\n"
    assert all(5 <= fault.line <= 9 for fault in result.left_out)
    assert result.left_out


@pytest.mark.parametrize(
    "record",
    [
        "dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b\ndeleteoldrdn: 1\n\n",
        "dn: cn=a\ncontrol: 1.2.3\nchangetype: delete\n\n",
    ],
)
def test_changes_that_only_a_server_makes_stay(record):
    assert fixed(record) == record


def test_lines_are_those_of_the_old_text():
    result = fix_ldif("\n\n  dn: cn=a\n  cn: b\n\n  dn: cn=b\n  cn: b\n")
    assert result.text == "dn: cn=a\nchangetype: add\ncn: b\n\ndn: cn=b\nchangetype: add\ncn: b\n\n"
    assert result.origins == (3, 3, 4, 0, 6, 6, 7, 0)
