import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.config.dn import dn_key, escape_rdn_value, parent_dn, rdn_assertions, rdn_values


@pytest.mark.parametrize(
    "spelling",
    [
        "CN=DICOM,dicomdevicename=Dcm4chee-Arc,CN=devices",
        "cn = dicom , dicomDeviceName = dcm4chee-arc , cn = Devices",
        'cn="dicom",dicomDeviceName=dcm4chee-arc,cn=Devices',
        r"cn=\64icom,dicomDeviceName=dcm4chee\2Darc,cn=Devices",
    ],
)
def test_case_blanks_and_escapes_do_not_distinguish(spelling):
    assert dn_key(spelling) == dn_key("cn=dicom,dicomDeviceName=dcm4chee-arc,cn=Devices")


def test_multi_valued_rdn_is_a_set():
    one = "dcmAttributeSetID=*+dcmAttributeSetType=LEADING_CFIND_SCP,cn=x"
    assert dn_key(one) == dn_key("dcmAttributeSetType=LEADING_CFIND_SCP+dcmAttributeSetID=*,cn=x")


def test_escaped_separators_belong_to_the_value():
    assert dn_key(r"cn=a\,b\+c\=d,cn=x")[0] == {("cn", "a,b+c=d")}


def test_different_entries_have_different_keys():
    assert dn_key("cn=a,cn=x") != dn_key("cn=b,cn=x")
    assert dn_key("cn=a,cn=x") != dn_key("dc=a,cn=x")


@pytest.mark.parametrize("text", ["", "dicom", "cn=a,", "=a,cn=x"])
def test_text_that_is_no_dn_is_refused(text):
    with pytest.raises(ValueError, match="distinguished name"):
        dn_key(text)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1))
def test_escaped_value_survives_in_a_dn(value):
    key = dn_key(f"cn={escape_rdn_value(value)},cn=Devices")
    assert rdn_values(key, "cn") == [value.casefold()]
    assert len(key) == 2


@pytest.mark.parametrize(
    ("value", "escaped"),
    [(" a", r"\ a"), ("a ", r"a\ "), ("#a", r"\#a"), ("a\0", r"a\00"), ("a, b", r"a\, b")],
)
def test_blanks_and_signs_at_the_ends_are_escaped(value, escaped):
    assert escape_rdn_value(value) == escaped


def test_parent_keeps_its_spelling():
    assert parent_dn(r"cn=a\,b, CN=Devices,dc=org") == "CN=Devices,dc=org"
    assert parent_dn("dc=org") == ""


def test_assertions_of_the_rdn_keep_their_spelling():
    dn = "dcmAttributeSetID=*+dcmAttributeSetType= LEADING\\2CCFIND ,cn=x"
    assert rdn_assertions(dn) == [("dcmAttributeSetID", "*"), ("dcmAttributeSetType", "LEADING,CFIND")]
