import pytest

from dcm4py_leading.config.ldap.properties import parse_ldap_properties
from dcm4py_leading.config.placeholders import expander
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable


@pytest.fixture
def parse(tmp_path):
    def parse_text(text, **options):
        path = tmp_path / "ldap.properties"
        path.write_text(text)
        return parse_ldap_properties(path, **options)

    return parse_text


def test_file_of_a_dcm4chee_installation(parse):
    found = parse(
        "# comment\n"
        "java.naming.factory.initial=com.sun.jndi.ldap.LdapCtxFactory\n"
        "java.naming.ldap.attributes.binary=dicomVendorData\n"
        "java.naming.provider.url=ldap://localhost:389/dc=dcm4che,dc=org\n"
        "java.naming.security.principal=cn=admin,dc=dcm4che,dc=org\n"
        "java.naming.security.credentials=secret\n"
    )
    assert found == {
        "urls": ("ldap://localhost:389/dc=dcm4che,dc=org",),
        "bind_dn": "cn=admin,dc=dcm4che,dc=org",
        "password": "secret",
        "sasl_external": False,
    }


def test_several_urls_are_separated_by_blanks(parse):
    found = parse("java.naming.provider.url=ldap://one:389/dc=a  ldap://two/dc=a\n")
    assert found["urls"] == ("ldap://one:389/dc=a", "ldap://two/dc=a")
    assert found["bind_dn"] is None
    assert found["password"] is None


@pytest.mark.parametrize(
    ("line", "password"),
    [
        (r"java.naming.security.credentials : s\u00e4\:x", "sä:x"),
        ("java.naming.security.credentials secret", "secret"),
        ("java.naming.security.credentials=one\\\n   two", "onetwo"),
        (r"java.naming.security.credentials=back\\", "back\\"),
        ("java.naming.security.credentials=a=b#c", "a=b#c"),
    ],
)
def test_escapes_and_continuations_of_java_properties(parse, line, password):
    assert parse(f"java.naming.provider.url=ldap://a/dc=a\n{line}\n")["password"] == password


def test_security_protocol_ssl_means_ldaps(parse):
    found = parse("java.naming.provider.url=ldap://a:636/dc=a\njava.naming.security.protocol=ssl\n")
    assert found["urls"] == ("ldaps://a:636/dc=a",)


def test_placeholders_come_from_the_environment(parse):
    text = "java.naming.provider.url=${env.LDAP_URL:ldap://ldap:389}/dc=a\n"
    assert parse(text, expand=expander({}, {"LDAP_URL": "ldap://b"}))["urls"] == ("ldap://b/dc=a",)


def test_missing_url_is_a_problem(parse):
    with pytest.raises(ConfigInvalid, match=r"java\.naming\.provider\.url: is required"):
        parse("java.naming.security.principal=cn=admin\n")


def test_missing_file_is_unavailable(tmp_path):
    with pytest.raises(ConfigUnavailable, match="absent"):
        parse_ldap_properties(tmp_path / "absent")


@pytest.mark.parametrize(
    ("authentication", "found"),
    [
        ("simple", ("cn=admin", "secret", False)),
        ("none", (None, None, False)),
        ("EXTERNAL", (None, None, True)),
    ],
)
def test_authentication_decides_what_is_told_to_the_server(parse, authentication, found):
    arguments = parse(
        "java.naming.provider.url=ldap://localhost:389/dc=a\n"
        "java.naming.security.principal=cn=admin\n"
        "java.naming.security.credentials=secret\n"
        f"java.naming.security.authentication={authentication}\n"
    )
    assert (arguments["bind_dn"], arguments["password"], arguments["sasl_external"]) == found


def test_authentication_that_we_do_not_have_is_invalid(parse):
    with pytest.raises(ConfigInvalid, match="expected none, simple or EXTERNAL"):
        parse("java.naming.provider.url=ldap://h/dc=a\njava.naming.security.authentication=GSSAPI\n")
