"""Certificates and SASL EXTERNAL, against a real slapd."""

import subprocess

import pytest

from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.errors import ConfigUnavailable
from tests.fixtures.slapd import BASE_DN, Slapd, require_slapd
from tests.fixtures.tls import Authority
from tests.fixtures.trees import TREE


def source(server, **options):
    given = {"bind_dn": server.bind_dn, "password": server.password, **options}
    return LdapSource([f"{server.url}/{BASE_DN}"], **given)


@pytest.fixture(params=["ldaps", "starttls"])
def tls(request, authority, tls_slapd_factory, upstream):
    """Make a TLS server; also the options to read from it."""

    def make(subject_alternative_name="IP:127.0.0.1", *, days=2, settings=()):
        server = tls_slapd_factory(
            authority.issue("server", subject_alternative_name, days=days),
            scheme="ldaps" if request.param == "ldaps" else "ldap",
            content=[TREE],
            schema=upstream.schema,
            settings=settings,
        )
        return server, {"ca_file": authority.ca_file, "start_tls": request.param == "starttls"}

    return make


def test_certificate_of_the_trusted_authority(tls):
    server, options = tls()
    assert source(server, **options).read_device("dcm4chee-arc")


def test_certificate_for_the_name_in_the_url(tls):
    server, options = tls("DNS:localhost")
    url = f"{server.scheme}://localhost:{server.port}/{BASE_DN}"
    assert LdapSource([url], bind_dn=server.bind_dn, password=server.password, **options).read_ae("DCM4CHEE")


def test_certificate_of_another_authority_is_refused(tls, tmp_path):
    server, options = tls()
    for ca_file in (Authority(tmp_path, "other").ca_file, None):
        with pytest.raises(ConfigUnavailable, match=r"cannot make TLS: .*certificate verify failed"):
            source(server, **{**options, "ca_file": ca_file}).read_device("dcm4chee-arc")


def test_certificate_for_another_host_is_refused(tls):
    server, options = tls("DNS:ldap.example")
    with pytest.raises(ConfigUnavailable, match=r"cannot make TLS: .*mismatch"):
        source(server, **options).read_device("dcm4chee-arc")


def test_expired_certificate_is_refused(tls):
    server, options = tls(days=-1)
    with pytest.raises(ConfigUnavailable, match=r"cannot make TLS: .*expired"):
        source(server, **options).read_device("dcm4chee-arc")


def test_missing_ca_file_is_unavailable(tls, tmp_path):
    server, options = tls()
    with pytest.raises(ConfigUnavailable, match="CA"):
        source(server, **{**options, "ca_file": tmp_path / "absent.pem"}).read_device("dcm4chee-arc")


def test_frozen_server_is_unavailable_with_the_step(tls):
    server, options = tls()
    step = "make TLS" if server.scheme == "ldaps" else "start TLS"
    with server.frozen(), pytest.raises(ConfigUnavailable, match=f"{server.port}/.*: cannot {step}: "):
        source(server, receive_timeout_seconds=1, **options).read_device("dcm4chee-arc")


def test_plain_text_server_behind_ldaps_is_unavailable(slapd_factory, upstream):
    slapd = slapd_factory(schema=upstream.schema, content=[TREE])
    with pytest.raises(ConfigUnavailable, match=f"{slapd.port}/.*: cannot make TLS: "):
        LdapSource([f"ldaps://127.0.0.1:{slapd.port}/{BASE_DN}"]).read_ae("DCM4CHEE")


def test_server_without_starttls_is_refused_before_the_password_is_sent(slapd_factory, upstream):
    slapd = slapd_factory(schema=upstream.schema, content=[TREE])
    with pytest.raises(ConfigUnavailable, match="cannot start TLS: "):
        source(slapd, start_tls=True).read_device("dcm4chee-arc")


# SASL EXTERNAL.


def external(server, options, **more):
    return LdapSource([f"{server.url}/{BASE_DN}"], sasl_external=True, **options, **more)


def test_client_certificate_is_the_identity(tls, authority):
    server, options = tls(
        settings=[
            f'TLSCACertificateFile "{authority.ca_file}"',
            "TLSVerifyClient try",
            'access to * by dn.exact="cn=archive,o=test" read by * none',
        ]
    )
    ours, other = authority.issue("archive", "DNS:archive"), authority.issue("other", "DNS:other")
    archive = external(server, options, client_cert=ours.certificate, client_key=ours.key)
    assert archive.read_device("dcm4chee-arc")
    stranger = external(server, options, client_cert=other.certificate, client_key=other.key)
    with pytest.raises(Exception, match="no dicomConfigurationRoot"):
        stranger.read_device("dcm4chee-arc")


def test_encrypted_key_is_refused_without_password_prompt(tls, authority, tmp_path):
    server, options = tls()
    pair = authority.issue("archive", "DNS:archive")
    encrypted = tmp_path / "encrypted.key"
    command = ["openssl", "ec", "-in", pair.key, "-aes128", "-passout", "pass:secret", "-out", encrypted]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ConfigUnavailable, match="must not be encrypted"):
        external(server, options, client_cert=pair.certificate, client_key=encrypted).read_ae("DCM4CHEE")


class SocketSlapd(Slapd):
    """A Slapd that can be reached over a Unix socket too, and lets nobody but root and its own user read."""

    @property
    def url(self):
        """Both, as slapd takes them."""
        return f"{super().url} {self.socket_url}"

    @property
    def socket_url(self):
        return "ldapi://" + str(self._directory / "socket").replace("/", "%2F")

    def _write_config_file(self, schema):
        path = super()._write_config_file(schema)
        rule = 'access to * by dn.regex="^gidNumber=[^,]*,cn=peercred,cn=external,cn=auth$" read by * none'
        path.write_text(path.read_text().replace("\ndbnosync\n", f"\ndbnosync\n{rule}\n"))
        return path


@pytest.fixture
def socket_slapd(tmp_path, upstream):
    require_slapd()
    with SocketSlapd(tmp_path, schema=upstream.schema, content=[TREE]) as server:
        yield server


def test_user_of_a_unix_socket_is_the_identity(socket_slapd):
    url = f"{socket_slapd.socket_url}/{BASE_DN}"
    assert LdapSource([url], sasl_external=True).read_device("dcm4chee-arc")
    with pytest.raises(Exception, match="no dicomConfigurationRoot"):
        LdapSource([url]).read_device("dcm4chee-arc")


def test_simple_bind_over_a_unix_socket(socket_slapd):
    url = f"{socket_slapd.socket_url}/{BASE_DN}"
    assert LdapSource([url], bind_dn=socket_slapd.bind_dn, password=socket_slapd.password).read_ae("DCM4CHEE")


def test_unix_socket_without_a_server_is_unavailable(tmp_path):
    url = f"ldapi://{str(tmp_path / 'absent').replace('/', '%2F')}/{BASE_DN}"
    with pytest.raises(ConfigUnavailable, match=r"absent/.*: cannot connect: "):
        LdapSource([url], sasl_external=True).read_ae("DCM4CHEE")


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("ldap://h/dc=a", {}),
        ("ldap://h/dc=a", {"start_tls": True}),
        ("ldaps://h/dc=a", {}),
        ("ldapi://%2Fs/dc=a", {"bind_dn": "cn=x", "password": "y"}),
    ],
)
def test_sasl_external_needs_something_to_be_known_by(url, options):
    with pytest.raises(ValueError, match="EXTERNAL"):
        LdapSource([url], sasl_external=True, **options)


def test_client_key_needs_a_certificate(tmp_path):
    with pytest.raises(ValueError, match="client certificate"):
        LdapSource(["ldaps://h/dc=a"], client_key=tmp_path / "key")
