import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.model.codes import Code, Issuer


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("HOSPITAL", ("HOSPITAL", None, None)),
        ("HOSPITAL&1.2.3&ISO", ("HOSPITAL", "1.2.3", "ISO")),
        ("&1.2.3&ISO", (None, "1.2.3", "ISO")),
        (r"A\T\B", ("A&B", None, None)),
        (r"A\E\T\E\B", (r"A\T\B", None, None)),
    ],
)
def test_forms_of_an_issuer(text, parts):
    issuer = Issuer.parse(text)
    assert (issuer.local_namespace_entity_id, issuer.universal_entity_id, issuer.universal_entity_id_type) == parts


@pytest.mark.parametrize("text", ["", " ", "&", "A&1.2.3", "A&&ISO", "A&1.2.3&ISO&B"])
def test_invalid_issuer_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        Issuer.parse(text)


NAMES = st.sampled_from(["A", "B"])
UNIVERSAL = st.sampled_from([("1", "ISO"), ("2", "ISO"), ("1", "DNS")])
ISSUERS = st.one_of(
    st.builds(lambda name: Issuer(local_namespace_entity_id=name), NAMES),
    st.builds(lambda u: Issuer(universal_entity_id=u[0], universal_entity_id_type=u[1]), UNIVERSAL),
    st.builds(
        lambda name, u: Issuer(local_namespace_entity_id=name, universal_entity_id=u[0], universal_entity_id_type=u[1]),
        NAMES,
        UNIVERSAL,
    ),
)


@given(ISSUERS, ISSUERS)
def test_matching_is_symmetric_and_never_a_contradiction(one, other):
    assert one.matches(one)
    assert one.matches(other) == other.matches(one)
    assert one.contradicts(other) == other.contradicts(one)
    assert not (one.matches(other) and one.contradicts(other))


def test_issuers_with_nothing_in_common_do_not_match():
    assert not Issuer.parse("A").matches(Issuer.parse("&1.2.3&ISO"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('(121181, DCM, "Catalog")', Code(value="121181", scheme="DCM", meaning="Catalog")),
        ('(A1,99X[2.0],"A, B")', Code(value="A1", scheme="99X", version="2.0", meaning="A, B")),
        ('(urn:oid:1.2, , "X")', Code(value="urn:oid:1.2", scheme=None, meaning="X")),
    ],
)
def test_forms_of_a_code(text, code):
    assert Code.parse(text) == code


@pytest.mark.parametrize("text", ["121181", '(121181, "Catalog")', "(121181, DCM)", '(1, , "X")', '(1, DCM, "")'])
def test_invalid_code_is_refused(text):
    with pytest.raises(ValueError, match="code"):
        Code.parse(text)


@pytest.mark.parametrize("form", ["({}", "({}A,B", "(A,{}B", "(A,B[{}", "(A,B[C]{}", '(A,B,{}"'])
def test_a_code_is_read_in_linear_time(form):
    # At 200,000 blanks what is quadratic takes minutes, and the test the limit of one.
    with pytest.raises(ValueError, match="expected a code"):
        Code.parse(form.format(" " * 200_000) + "x")
