"""Names, passwords and groups, against real directory servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dcm4py_leading.config.ldap.login import GROUP_FILTER, USER_FILTER, Group, LdapLogin, LoginSearch
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.errors import ConfigUnavailable
from tests.fixtures.directory import BASE_DN, DirectoryServer
from tests.fixtures.slapd import OUR_LDIF, OUR_SCHEMA, Slapd
from tests.fixtures.tls import Authority, TlsSlapdFactory
from tests.fixtures.users import (
    PASSWORDS,
    PERSON_SCHEMA,
    RENE,
    RENES_PASSWORD,
    USERS,
    dn_of,
    source_of,
    users_ldif,
)

ADMIN, USER = Group("admin"), Group("cn=user")
WATCHERS = Group(f"cn=watchers, ou=programs, {BASE_DN}")


@pytest.fixture
def login(users_directory: DirectoryServer) -> LdapLogin:
    return LdapLogin(source_of(users_directory), LoginSearch(), [ADMIN, USER, WATCHERS])


@pytest.mark.parametrize(
    ("user", "groups"),
    [
        ("anna", {ADMIN}),
        ("vera", {USER}),
        ("we*ird(name)\\", {USER}),
        ("otto", set()),
        ("prometheus", {WATCHERS}),
    ],
)
def test_right_password_tells_the_groups_that_count(login: LdapLogin, user: str, groups: frozenset[Group]) -> None:
    assert login.groups_of(user, PASSWORDS[user]) == groups


def test_name_and_password_may_be_other_than_ascii(users_slapd: Slapd) -> None:
    login = LdapLogin(source_of(users_slapd), LoginSearch(), [ADMIN, USER])
    assert login.groups_of(RENE, RENES_PASSWORD) == frozenset({USER})
    assert login.groups_of(RENE, "mot de passe a lui") is None


def test_case_of_a_name_does_not_count(login: LdapLogin) -> None:
    assert login.groups_of("ANNA", PASSWORDS["anna"]) == frozenset({ADMIN})


@pytest.mark.parametrize("password", ["wrong", "Anna's passwor", "ANNA'S PASSWORD", "\u00ad", " ", "\u200b"])
def test_wrong_password_is_refused(login: LdapLogin, password: str) -> None:
    assert login.groups_of("anna", password) is None


@pytest.mark.parametrize(
    "user", ["nobody", "*", "an*", "*)(uid=*", "anna)(uid=*", "anna)(|(uid=anna", "cn=admin", dn_of("anna")]
)
def test_name_that_is_no_users_is_refused_whatever_it_holds(login: LdapLogin, user: str) -> None:
    assert login.groups_of(user, PASSWORDS["anna"]) is None


def test_empty_password_is_refused_before_anybody_is_asked() -> None:
    nobody = LdapLogin(LdapSource([f"ldap://127.0.0.1:1/{BASE_DN}"]), LoginSearch(), [ADMIN])
    assert nobody.groups_of("anna", "") is None
    assert nobody.groups_of("", "password") is None
    with pytest.raises(ConfigUnavailable):
        nobody.groups_of("anna", "password")


class TrustingSlapd(Slapd):
    """One where a bind without a password succeeds, as nobody, which RFC 4513 5.1.2 allows."""

    def _write_config_file(self, schema: Sequence[Path]) -> Path:
        path = super()._write_config_file(schema)
        path.write_text(f"allow bind_anon_cred bind_anon_dn\n{path.read_text()}")
        return path


def test_password_that_preparation_empties_is_wrong(tmp_path: Path) -> None:
    content: list[Path | str] = [OUR_LDIF / "quickstart.ldif", users_ldif()]
    with TrustingSlapd(tmp_path, schema=(*PERSON_SCHEMA, *OUR_SCHEMA), content=content) as server:
        login = LdapLogin(source_of(server), LoginSearch(), [ADMIN])
        assert login.groups_of("anna", "\u00ad") is None


def test_bind_without_a_password_is_not_made(users_directory: DirectoryServer) -> None:
    source = source_of(users_directory)
    with pytest.raises(ValueError, match="password"):
        source.bind_as(source.urls[0], dn_of("anna"), b"")


def test_unknown_user_and_wrong_password_cost_the_same_questions(users_slapd: Slapd) -> None:
    login = LdapLogin(source_of(users_slapd), LoginSearch(), [ADMIN, USER])

    def cost(user: str) -> tuple[int, int]:
        before, binds = users_slapd.served(), _binds(users_slapd)
        assert login.groups_of(user, "wrong") is None
        return (users_slapd.served() - before).searches, _binds(users_slapd) - binds

    assert cost("nobody") == cost("anna")


def _binds(server: Slapd) -> int:
    found = server.entry("cn=Bind,cn=Operations,cn=Monitor", "monitorOpCompleted")
    return int(found["monitoropcompleted"][0])


def test_name_that_several_entries_have_is_refused(
    users_directory: DirectoryServer, caplog: pytest.LogCaptureFixture
) -> None:
    search = LoginSearch(user_filter="(|(uid={})(objectClass=inetOrgPerson))")
    login = LdapLogin(source_of(users_directory), search, [ADMIN])
    assert login.groups_of("anna", PASSWORDS["anna"]) is None
    assert "several entries" in caplog.text
    assert "anna" not in caplog.text


def test_filters_and_base_are_settings(users_directory: DirectoryServer) -> None:
    search = LoginSearch(base_dn=BASE_DN, user_filter="(&(objectClass=person)(sn={}))", group_filter="(member={})")
    login = LdapLogin(source_of(users_directory), search, [ADMIN])
    # Below that base there are two of the name, and each counts.
    assert login.groups_of("otto", PASSWORDS["otto"]) == frozenset({ADMIN})


def test_group_by_its_dn_is_that_one_alone(users_directory: DirectoryServer) -> None:
    group = Group(f"CN=admin,{USERS}")
    login = LdapLogin(source_of(users_directory), LoginSearch(base_dn=BASE_DN), [group])
    assert login.groups_of("anna", PASSWORDS["anna"]) == frozenset({group})
    assert login.groups_of("otto", PASSWORDS["otto"]) == frozenset()


def test_group_that_is_not_there_has_no_members(users_directory: DirectoryServer) -> None:
    login = LdapLogin(source_of(users_directory), LoginSearch(), [Group("nothing"), Group(f"cn=nothing,{USERS}")])
    assert login.groups_of("anna", PASSWORDS["anna"]) == frozenset()


def test_base_that_is_not_there_is_told(users_directory: DirectoryServer) -> None:
    login = LdapLogin(source_of(users_directory), LoginSearch(base_dn=f"ou=people,{BASE_DN}"), [ADMIN])
    with pytest.raises(ConfigUnavailable, match=f"below ou=people,{BASE_DN}, which is not to be seen"):
        login.groups_of("anna", PASSWORDS["anna"])


def test_directory_that_is_down_is_no_wrong_password(users_slapd: Slapd) -> None:
    login = LdapLogin(source_of(users_slapd), LoginSearch(), [ADMIN])
    users_slapd.stop()
    with pytest.raises(ConfigUnavailable, match=str(users_slapd.port)):
        login.groups_of("anna", PASSWORDS["anna"])
    users_slapd.start()
    assert login.groups_of("anna", PASSWORDS["anna"]) == frozenset({ADMIN})


@pytest.mark.parametrize(
    ("url", "start_tls", "is_safe"),
    [
        ("ldap://ldap.example/dc=a", False, False),
        ("ldap://ldap.example/dc=a", True, True),
        ("ldaps://ldap.example/dc=a", False, True),
        ("ldapi://%2Fsocket/dc=a", False, True),
        ("ldap://localhost/dc=a", False, True),
        ("ldap://[::1]/dc=a", False, True),
    ],
)
def test_passwords_go_over_the_network_by_tls_alone(url: str, start_tls: bool, is_safe: bool) -> None:
    source = LdapSource([url], start_tls=start_tls)
    if is_safe:
        LdapLogin(source, LoginSearch(), [])
    else:
        with pytest.raises(ValueError, match=r"to ldap://ldap\.example:389/dc=a without TLS"):
            LdapLogin(source, LoginSearch(), [])


@pytest.mark.parametrize("scheme", ["ldaps", "ldap"])
def test_users_bind_by_tls(authority: Authority, tls_slapd_factory: TlsSlapdFactory, scheme: str) -> None:
    server = tls_slapd_factory(
        authority.issue("server", "IP:127.0.0.1"),
        scheme=scheme,
        content=[OUR_LDIF / "quickstart.ldif", users_ldif()],
        schema=(*PERSON_SCHEMA, *OUR_SCHEMA),
        settings=["security simple_bind=128"],
    )
    source = LdapSource(
        [f"{server.url}/{BASE_DN}"],
        bind_dn=server.bind_dn,
        password=server.password,
        start_tls=scheme == "ldap",
        ca_file=authority.ca_file,
    )
    login = LdapLogin(source, LoginSearch(), [ADMIN])
    assert login.groups_of("anna", PASSWORDS["anna"]) == frozenset({ADMIN})
    assert login.groups_of("anna", "wrong") is None


@pytest.mark.parametrize("text", ["uid={}", "(uid=anna)", "(uid={}", "(&(uid={})", ""])
def test_filter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="user filter"):
        LoginSearch(user_filter=text, group_filter=GROUP_FILTER)
    with pytest.raises(ValueError, match="group filter"):
        LoginSearch(user_filter=USER_FILTER, group_filter=text)


def test_group_is_a_name_or_a_dn() -> None:
    assert (Group("admin").cn, Group("CN=admin").cn) == ("admin", "admin")
    assert Group(f"cn=admin,{USERS}").cn is None
    with pytest.raises(ValueError, match="ou=admin"):
        _ = Group("ou=admin").cn
