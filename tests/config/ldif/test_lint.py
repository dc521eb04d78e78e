"""What is found in LDIF before anybody imports it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.config.ldif.directory import Directory
from dcm4py_leading.config.ldif.lint import lint, locate
from dcm4py_leading.config.ldif.records import parse_ldif, read_ldif
from dcm4py_leading.config.placeholders import expander
from dcm4py_leading.errors import Problem, Severity
from dcm4py_leading.forecast import rule_problems
from tests.fixtures import trees
from tests.fixtures.ldif import FRAGMENTS, seed_ldif
from tests.fixtures.trees import AE, DEVICE

RULE = f"""dn: cn=lead,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion
cn: lead
dcmDIMSE: C_STORE_RQ
dicomTransferRole: SCP
"""
RULE2 = RULE.replace("Coercion\n", "Coercion2\n")
TREE = [trees.device(dcmFuzzyAlgorithmClass="x"), trees.connection(), trees.ae()]


def change(*modifications, dn=DEVICE):
    return f"dn: {dn}\nchangetype: modify\n" + "".join(f"{lines}\n-\n" for lines in modifications)


def findings(text, tree=None):
    directory = Directory(knows_all=False) if tree is None else Directory(tree)
    return lint([parse_ldif(text, "a.ldif")], directory, check_rule=rule_problems, expand=expander({}, {}))


def only(text, tree=None):
    (found,) = findings(text, tree)
    return found


def errors(text, tree=None):
    return [found for found in findings(text, tree) if found.is_error]


def test_correct_changes_have_no_fault():
    text = RULE + "dcmLeadingCFindSCP: QRSCP\n\n" + change("replace: dicomDescription\ndicomDescription: a")
    assert findings(text) == ()
    assert findings(text, TREE) == ()


@pytest.mark.parametrize("indented", [False, True])
def test_each_fault_of_the_seed_is_named_with_record_and_line(indented):
    found = errors(seed_ldif(indented=indented))
    told = [(finding.record, finding.line) for finding in found]
    assert told == ([(1, 1)] if indented else []) + [(3, 14), (3, 21)]
    assert "put 'changetype: add' below the dn" in found[-2].problem.reason
    assert "remove the line" in found[-1].problem.reason
    if indented:
        assert "remove the indentation" in found[0].problem.reason


@pytest.mark.ldap("dcmLeadingCFindSCPQueryCacheStaleTimeout")
def test_second_value_of_the_seed_is_named_when_the_tree_has_one():
    tree = [trees.device(dcmLeadingCFindSCPQueryCacheStaleTimeout="PT5M", dcmFuzzyAlgorithmClass="x")]
    found = errors(seed_ldif(), tree)
    assert (found[0].record, found[0].line) == (1, 5)
    assert found[0].problem.reason == "cannot add: the value is there already; use replace"


def test_adding_to_a_single_valued_attribute_is_doubtful_while_the_tree_is_unknown():
    text = change("add: dcmLeadingCFindSCPQueryCacheSize\ndcmLeadingCFindSCPQueryCacheSize: 50")
    found = only(text)
    assert (found.line, found.problem.severity) == (3, Severity.WARNING)
    assert found.problem.attribute == "dcmLeadingCFindSCPQueryCacheSize"
    assert "replace: always works" in found.problem.reason
    assert findings(text, TREE) == ()


@pytest.mark.parametrize(
    ("text", "line", "attribute", "reason"),
    [
        (RULE + "dcmLeadingCFindSPC: A\n", 7, "dcmLeadingCFindSPC", "did you mean dcmLeadingCFindSCP?"),
        (RULE.replace("Coercion\n", "Coersion\n"), 3, "objectClass", "did you mean dcmArchiveAttributeCoercion"),
        (RULE.replace("dicomTransferRole: SCP\n", ""), 1, "dicomTransferRole", "is required by"),
        (
            RULE2 + "dcmURI: merge-attrs:\ndcmMergeAttribute: PatientID=1\ndcmLeadingCFindSCP: A\n",
            9,
            "dcmLeadingCFindSCP",
            "leading-arc:AET",
        ),
        (RULE + "dicomHostname: h\n", 7, "dicomHostname", "does not allow it"),
        (
            RULE + "dcmLeadingCFindSCP: A\ndcmLeadingCFindSCP: B\n",
            8,
            "dcmLeadingCFindSCP",
            "takes one value and has 'A'",
        ),
        (RULE + "dcmRetrieveAsReceived: true\n", 7, "dcmRetrieveAsReceived", "TRUE or FALSE"),
        (RULE + "dcmRulePriority: high\n", 7, "dcmRulePriority", "whole number"),
        (RULE + "createTimestamp: 20260101000000Z\n", 7, "createTimestamp", "remove the line"),
        (RULE + "dcmProperty: a=b\ndcmProperty: a=b\n", 8, "dcmProperty", "there already"),
        (RULE.replace("Coercion\n", "Coercion \n"), 3, "objectClass", "ends in a blank, with which the server refuses"),
        (
            change("replace: dcmSendPendingCGet\ndcmSendPendingCGet: TRUE "),
            4,
            "dcmSendPendingCGet",
            "ends in a blank, with",
        ),
        (
            change("replace: dcmLeadingCFindSCPQueryCacheSize\ndcmLeadingCFindSCPQueryCacheSize: 007"),
            4,
            "dcmLeadingCFindSCPQueryCacheSize",
            "leading zeros",
        ),
        (change("delete: dcmNoSuch"), 3, "dcmNoSuch", "no schema has this attribute"),
        (change("replace: dicomDescription "), 3, None, "remove it"),
        (change("replace: dicomDescription").replace("modify", "modify "), 2, None, "remove it"),
        (change("replace: dicomDescription").replace("-", "- ", 2).replace("- arc", "-arc"), 4, None, "remove it"),
        (RULE.replace("dn: cn=", "dn: nosuch="), 1, None, "known attributes"),
    ],
)
def test_changes_that_a_server_refuses(text, line, attribute, reason):
    found = [finding for finding in errors(text) if reason in finding.problem.reason]
    assert [(finding.line, finding.problem.attribute) for finding in found] == [(line, attribute)]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("dcmDIMSE", "C_STORE"),
        ("dicomTransferRole", "scp"),
        ("dcmLeadingCFindSCP", "A_TITLE_OF_SEVENTEEN"),
        ("dcmProperty", "ReceivingAETitle=STORESCP"),
        ("dcmSOPClass", "1" + ".2" * 40),
        ("dcmAttributeUpdatePolicy", "REPLACE"),
        ("dcmNullifyTag", "PatientID"),
    ],
)
def test_values_the_schema_takes_and_the_service_refuses(line, value):
    kept = [old for old in RULE.splitlines() if not old.startswith(line)]
    (found,) = errors("\n".join([*kept, f"{line}: {value}", ""]))
    assert (found.line, found.problem.attribute, found.problem.value) == (len(kept) + 1, line, value)


@pytest.mark.parametrize("tree", [None, TREE])
@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("dcmLeadingCFindSCPQueryCacheStaleTimeout", "P1M"),
        ("dcmAECacheStaleTimeout", "rubbish"),
        ("dcmSpanningCFindSCP", "PACS_A\\"),
        ("dcmFallbackCMoveSCP", "PACS_A\\PACS_A"),
        ("dcmOverwritePolicy", "SOMETIMES"),
        ("dcmLeadingCFindSCPQueryCacheSize", "-1"),
    ],
)
def test_new_values_of_an_entry_are_read_as_the_service_does(attribute, value, tree):
    found = only(change(f"replace: {attribute}\n{attribute}: {value}"), tree)
    assert (found.line, found.problem.attribute, found.problem.value) == (4, attribute, value)


def test_unknown_scheme_is_reported_and_style_sheets_are_checked_by_the_service():
    assert "unknown scheme" in only(RULE2 + "dcmURI: leading-arch:QRSCP\n").problem.reason
    assert findings(RULE2 + "dcmURI: xslt:${jboss.server.temp.url}/none.xsl\n") == ()
    assert findings(RULE2 + "dcmURI: sup-from-dev:\n") == ()


def test_value_with_an_unknown_placeholder_is_left_to_the_installation():
    storage = f"dn: dcmStorageID=fs9,{DEVICE}\nchangetype: add\nobjectClass: dcmStorage\ndcmStorageID: fs9\n"
    assert findings(storage + "dcmURI: ${where}\n") == ()


def test_blank_behind_an_object_class_is_one_fault():
    assert only(RULE.replace("Coercion\n", "Coercion \n")).line == 3


def test_stored_blank_is_a_warning():
    found = only(RULE + "dcmLeadingCFindSCP: QRSCP \n")
    assert (found.line, found.problem.severity) == (7, Severity.WARNING)
    assert "ends in a blank" in found.problem.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (change("delete: dicomDescription"), "has no such attribute"),
        (change("delete: objectClass\nobjectClass: dcmStorage"), "has no such value"),
        (change("replace: dicomDescription", dn=f"cn=none,{DEVICE}"), "there is no such entry"),
        (f"dn: {AE}\nchangetype: add\nobjectClass: dicomNetworkAE\n", "exists already"),
        (RULE.replace("cn=lead,", "cn=lead,cn=none,"), "the entry above it does not exist"),
        (f"dn: cn=none,{DEVICE}\nchangetype: delete\n", "there is no such entry"),
        (change("delete: dicomInstalled"), "is required by dicomDevice"),
        (change("add: dcmLeadingCFindSCP\ndcmLeadingCFindSCP: A"), "does not allow it"),
    ],
)
def test_changes_that_the_tree_refuses(text, reason):
    assert any(reason in found.problem.reason for found in errors(text, TREE))
    # Without the tree, nobody can tell.
    assert not any(reason in found.problem.reason for found in errors(text) if "exists already" not in reason)


def test_records_are_looked_at_in_order():
    added = RULE + "\n" + change("add: dcmProperty\ndcmProperty: SendingHostname=a", dn=f"cn=lead,{DEVICE}")
    assert findings(added) == ()
    assert "exists already" in only(RULE + "\n" + RULE).problem.reason
    gone = f"dn: cn=lead,{DEVICE}\nchangetype: delete\n\n" + change("delete: dcmProperty", dn=f"cn=lead,{DEVICE}")
    assert "there is no such entry" in only(gone).problem.reason


def test_renamed_entry_is_known_by_its_new_name():
    renamed = f"dn: {AE}\nchangetype: modrdn\nnewrdn: dicomAETitle=NEW\ndeleteoldrdn: 1\n\n"
    later = change("replace: dicomDescription\ndicomDescription: a", dn=f"dicomAETitle=NEW,{DEVICE}")
    before = change("replace: dicomDescription\ndicomDescription: a", dn=AE)
    assert findings(renamed + later) == ()
    assert findings(renamed + later, TREE) == ()
    for tree in (None, TREE):
        assert "there is no such entry" in only(renamed + before, tree).problem.reason
    too_long = only(renamed.replace("NEW", "A_TITLE_OF_SEVENTEEN"), TREE).problem
    assert (too_long.attribute, too_long.value) == ("dicomAETitle", "A_TITLE_OF_SEVENTEEN")


def test_earlier_faults_are_not_those_of_the_file():
    tree = [trees.device(dcmOverwritePolicy="SOMETIMES"), trees.connection()]
    assert findings(change("replace: dicomDescription\ndicomDescription: a"), tree) == ()


def test_file_of_entries_is_told_that_ldapmodify_wants_more():
    found = only(RULE.replace("changetype: add\n", ""))
    assert found.problem.severity is Severity.WARNING
    assert "ldapadd takes it" in found.problem.reason


def test_byte_order_mark_is_told(tmp_path):
    path = tmp_path / "a.ldif"
    path.write_text(RULE, "utf-8-sig")
    (found,) = lint([read_ldif(path)], Directory(knows_all=False), check_rule=rule_problems, expand=str)
    assert "byte order mark" in found.problem.reason


def test_secret_values_are_not_shown():
    pin = change("add: dcmKeyStorePin\ndcmKeyStorePin: s3cret\ndcmKeyStorePin: s3cret2 \ndcmKeyStorePni: s3cret")
    assert len(findings(pin)) > 2
    assert not any("s3cret" in str(found) for found in findings(pin))


def test_problem_of_the_resulting_tree_is_placed_at_its_last_line():
    text = RULE + "dcmLeadingCFindSCP: QRSCP\n"
    file = parse_ldif(text, "a.ldif")
    problem = Problem(dn=f"CN=lead, {DEVICE}", attribute="dcmLeadingCFindSCP", value="QRSCP", reason="missing")
    elsewhere = Problem(dn=AE, reason="lost")
    first, second = locate([problem, elsewhere], [file])
    assert (first.record, first.line) == (1, 7)
    assert str(second) == f"a.ldif: ERROR lost ({AE})"


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_any_text_is_looked_at_to_its_end(text):
    for found in findings(text):
        assert found.problem.reason
        assert found.line <= text.count("\n") + 1


@given(st.text())
def test_any_characters_are_looked_at(text):
    findings(text)
    findings(RULE + text)


def test_upstreams_stock_files_have_no_error(upstream):
    files = [read_ldif(path) for path in upstream.stock_content]
    found = lint(files, Directory(), check_rule=rule_problems, expand=expander({}, {}))
    assert [str(finding) for finding in found if finding.is_error] == []
