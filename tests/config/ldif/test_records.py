import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.config.ldif.records import AddEntry, DeleteEntry, ModifyEntry, Operation, parse_ldif, read_ldif
from dcm4py_leading.errors import ConfigUnavailable

FRAGMENTS = [
    "\n",
    "\r\n",
    " ",
    "-",
    "dn: cn=a\n",
    "dn:: !\n",
    "changetype: modify\n",
    "changetype: add\n",
    "add: cn\n",
    "cn: b\n",
    "cn:: YQ==\n",
    "version: 1\n",
    "#x\n",
    "-\n",
    " dn: cn=b\n",
    "\t",
    ":",
]


def records(text):
    file = parse_ldif(text, "a.ldif")
    assert file.problems == ()
    return file.records


def reasons(text):
    return [problem.reason for problem in parse_ldif(text, "a.ldif").problems]


def test_content_record_keeps_line_numbers_and_values():
    (entry,) = records("version: 1\n\n# remark\ndn: cn=a,cn=x\nobjectClass: top\ncn:a\ncn:   b \n")
    assert isinstance(entry, AddEntry)
    assert entry.is_content
    assert entry.line == 4
    assert [(line.number, line.name, line.value) for line in entry.attributes] == [
        (5, "objectClass", "top"),
        (6, "cn", "a"),
        (7, "cn", "b "),
    ]


def test_folded_lines_and_folded_comments_are_unfolded():
    (entry,) = records("dn: cn=a,\n cn=x\n# a remark\n  that goes on\ndescription: one \n two\n")
    assert entry.dn == "cn=a,cn=x"
    assert entry.attributes[0].value == "one two"
    assert entry.attributes[0].number == 5


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\ndn: cn=a\ncn: a\n",
        "version: 1\n\ndn: cn=a\ncn: a",
        "version: 1\r\n\r\ndn: cn=a\r\ncn: a\r\n",
        "\n\ndn: cn=a\ncn: a\n\n\n",
        "dn:: Y249YQ==\ncn:: YQ==\n",
        "DN: cn=a\ncn: a\n",
    ],
)
def test_ways_to_write_one_entry(text):
    (entry,) = records(text)
    assert (entry.dn, entry.attributes[0].value) == ("cn=a", "a")


def test_base64_is_utf_8_and_binary_shows_as_escapes():
    (entry,) = records("dn: cn=a\ndescription:: w7Y=\ndicomVendorData:: /w==\n")
    assert [line.value for line in entry.attributes] == ["ö", r"\xff"]


def test_change_records():
    add, modify, delete = records(
        "dn: cn=a\nchangetype: add\ncn: a\n\n"
        "dn: cn=a\nchangetype: modify\n"
        "replace: description\ndescription: one\n-\n"
        "add: cn\ncn: b\ncn: c\n-\n"
        "delete: seeAlso\n-\n\n"
        "dn: cn=b\nchangetype: Delete\n"
    )
    assert isinstance(add, AddEntry)
    assert not add.is_content
    assert isinstance(modify, ModifyEntry)
    assert [(m.line, m.operation, m.attribute, [v.value for v in m.values]) for m in modify.modifications] == [
        (7, Operation.REPLACE, "description", ["one"]),
        (10, Operation.ADD, "cn", ["b", "c"]),
        (14, Operation.DELETE, "seeAlso", []),
    ]
    assert isinstance(delete, DeleteEntry)


def test_last_modification_needs_no_hyphen():
    (modify,) = records("dn: cn=a\nchangetype: modify\nreplace: cn\ncn: b\n")
    assert len(modify.modifications) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dn: cn=a\njpegPhoto:< file:///etc/passwd\ncn: a\n", "from a URL are not read"),
        ("dn: cn=a\ncn:: !!\ncn: a\n", "expected base64"),
        ("dn: cn=a\ncn a\ncn: b\n", "expected 'attribute: value', not 'cn a'"),
        ("cn: a\nsn: b\n", "must begin with 'dn:', not 'cn'"),
        ("dn: a\ncn: a\n", "distinguished name"),
        ("dn: cn=a\ncn: a\ndn: cn=b\ncn: b\n", "put a blank line before it"),
        ("dn: cn=a\n", "no attributes"),
        ("dn: cn=a\nchangetype: add\ncn: a\n-\n", "'-' ends a modification.*remove the line"),
        ("dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b\n", "expected newrdn, deleteoldrdn"),
        ("dn: cn=a\nchangetype: modrdn\nnewrdn: b\ndeleteoldrdn: 1\n", "has no '='"),
        ("dn: cn=a\nchangetype: moddn\nnewrdn: cn=b\ndeleteoldrdn: yes\n", "expected 0 or 1"),
        ("dn: cn=a\nchangetype: change\n", "expected changetype add, delete, modify or modrdn, not 'change'"),
        ("dn: cn=a\nchangetype: modify\n", "without a modification"),
        ("dn: cn=a\nchangetype: modify\ncn: b\n", "must begin with add:, delete: or replace:, not 'cn'"),
        ("dn: cn=a\nchangetype: modify\nincrement: uid\nuid: 1\n", "not 'increment'"),
        ("dn: cn=a\nchangetype: modify\nadd: cn\n-\n", "add: cn has no value"),
        ("dn: cn=a\nchangetype: modify\nadd: cn\ncn: b\nreplace: sn\nsn: c\n", "a line with '-' missing above"),
        ("dn: cn=a\nchangetype: delete\ncn: a\n", "nothing may follow"),
        ("dn: cn=a\ncn: a\nchangetype: add\n", "directly below the dn"),
        ("dn: cn=a\ncontrol: 1.2.3 true\nchangetype: delete\n", "controls are not applied"),
        ("version: 2\ndn: cn=a\ncn: a\n", "expected version: 1"),
        ("dn: cn=a\ncn: a\n   \ndn: cn=b\ncn: b\n", "line 3: the line holds only blanks"),
        ("\n cn=a\n", "no line before it to continue"),
    ],
)
def test_fault_is_told_with_its_remedy(text, reason):
    found = reasons(text)
    assert any(re.search(reason, told) for told in found), found


def test_every_fault_of_a_file_is_found_with_file_and_line():
    text = "dn: cn=a\ncn a\nsn: a\n\ndn: cn=b\ncn:: !\nsn: b\n\ndn: cn=c\nchangetype: add\ncn: c\n-\n"
    told = reasons(text)
    assert told[0].startswith("line 2: ")
    assert told[1].startswith("line 6: ")
    assert any(reason.startswith("a.ldif, line 12: ") for reason in told)


def test_record_without_changetype_among_changes_is_told_what_to_add():
    file = parse_ldif("dn: cn=a\nchangetype: delete\n\ndn: cn=b\ncn: b\n-\n", "a.ldif")
    assert [problem.dn for problem in file.problems] == ["cn=b", "cn=b"]
    assert "remove the line" in file.problems[0].reason
    assert "put 'changetype: add' below the dn" in file.problems[1].reason


@pytest.mark.parametrize("first", ["version: 1\n      dn: cn=a\n      cn: a\n", "      dn: cn=a\n      cn: a\n"])
def test_pasted_indentation_is_one_fault_and_does_not_hide_the_rest(first):
    file = parse_ldif(first + "      \n      dn: cn=b\n      cn:: !\n      cn: b\n", "a.ldif")
    assert [record.dn for record in file.records] == ["cn=a", "cn=b"]
    assert len(file.problems) == 2
    assert "remove the indentation" in file.problems[0].reason
    assert "base64" in file.problems[1].reason


def test_file_that_is_missing_is_unavailable(tmp_path):
    with pytest.raises(ConfigUnavailable, match=r"absent\.ldif: No such file"):
        read_ldif(tmp_path / "absent.ldif")


def test_file_in_another_encoding_is_told_with_the_line(tmp_path):
    path = tmp_path / "latin.ldif"
    path.write_bytes(b"dn: cn=a\ndescription: \xf6\n")
    (problem,) = read_ldif(path).problems
    assert "line 2: expected UTF-8" in problem.reason


def test_byte_order_mark_is_ignored(tmp_path):
    path = tmp_path / "bom.ldif"
    path.write_bytes(b"\xef\xbb\xbfdn: cn=a\ncn: a\n")
    assert read_ldif(path).records[0].dn == "cn=a"


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join) | st.text(max_size=60))
def test_any_text_is_either_read_or_told(text):
    file = parse_ldif(text, "a.ldif")
    assert all(problem.reason for problem in file.problems)
    assert all(record.line >= 1 for record in file.records)


@given(st.lists(st.tuples(st.sampled_from(["cn", "dcmProperty"]), st.text(min_size=1)), min_size=1))
def test_values_in_base64_survive(values):
    lines = [f"{name}:: {base64.b64encode(value.encode()).decode()}" for name, value in values]
    (entry,) = records("\n".join(["dn: cn=a", *lines]))
    assert [(line.name, line.value) for line in entry.attributes] == values
