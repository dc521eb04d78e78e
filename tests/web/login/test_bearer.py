"""Bearer tokens of a real issuer: who gets in by which, and how the issuer's keys are fetched."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.errors import LoginRefused
from dcm4py_leading.model.bounds import (
    LOGIN_FAILURES,
    OIDC_DOCUMENT_BYTES,
    OIDC_KEYS,
    OIDC_KEYS_LAST_SECONDS,
    OIDC_KEYS_SECONDS,
    OIDC_REFRESH_SECONDS,
    OIDC_TOKEN_CHARACTERS,
)
from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.login import issuer_keys
from dcm4py_leading.web.login.bearer import DEFAULT_ROLES, BearerTokens, Expected
from dcm4py_leading.web.login.doorkeeper import LoginDoorkeeper
from dcm4py_leading.web.login.issuer_keys import IssuerKeys
from tests.fixtures.clock import Clock
from tests.fixtures.http import served
from tests.fixtures.issuer import KEYS, Issuer, issuing, jwk


class Nobody:
    """Users of which there are none."""

    def authenticate(self, user: str, password: str) -> Identity:
        raise LoginRefused("wrong")

    def confirmed(self, identity: Identity) -> Identity | None:
        return None


class Site:
    """A service that accepts the issuer's tokens of the client *viewer*."""

    def __init__(self, issuer: Issuer, running: ExitStack) -> None:
        self.issuer, self.clock = issuer, Clock()
        expected = Expected(issuer=issuer.url, clients=("viewer", "a.b"), roles=DEFAULT_ROLES)
        tokens = BearerTokens(expected, IssuerKeys(issuer.url, clock=self.clock))

        async def who(request: Request) -> Response:
            identity: Identity = request.state.identity
            return JSONResponse({"name": identity.name, "roles": sorted(identity.roles)})

        routes = [Route("/look", needs(Role.VIEWER, who)), Route("/change", needs(Role.ADMINISTRATOR, who))]
        doorkeeper = LoginDoorkeeper(Nobody(), clock=self.clock, tokens=tokens)
        self.client = running.enter_context(served(app=guarded_app(routes, doorkeeper=doorkeeper)))
        self.client.timeout = httpx.Timeout(60)

    def get(self, token: str, path: str = "/look") -> httpx.Response:
        return self.client.get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    with ExitStack() as running:
        yield Site(running.enter_context(issuing()), running)


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_each_kind_of_key_lets_in(site: Site) -> None:
    for kid in KEYS:
        assert site.get(site.issuer.token(kid)).json() == {"name": "vera", "roles": ["viewer"]}
    pss = jwt.encode(site.issuer.claims(), KEYS["rsa"][1], "PS256", headers={"kid": "rsa"})
    assert site.get(pss).status_code == 200
    assert len(site.issuer.asked) == 2  # the configuration, and the keys


def test_roles_are_those_of_the_realm_and_of_the_clients(site: Site) -> None:
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"realm_access": {"roles": ["root"]}}, ["administrator"]),
        ({"resource_access": {"a.b": {"roles": ["admin"]}}}, ["administrator", "viewer"]),
        ({"resource_access": {"other": {"roles": ["admin"]}}}, ["viewer"]),
        ({"realm_access": {"roles": "admin"}, "resource_access": {"viewer": {"roles": [["x"], "user"]}}}, ["viewer"]),
    ]
    for claims, roles in cases:
        assert site.get(site.issuer.token(**claims)).json()["roles"] == roles


def test_a_user_without_a_role_may_do_nothing(site: Site) -> None:
    token = site.issuer.token(realm_access=None)
    assert (site.get(token).status_code, site.get(token).json()["errorMessage"]) == (
        403,
        "vera has not the role viewer",
    )
    assert site.get(site.issuer.token(), "/change").status_code == 403


def test_tokens_that_do_not_hold_get_401_that_says_why(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token, now = site.issuer.token, int(time.time())
    for refused, why in [
        (token(exp=now - 60), "has expired"),
        (token(nbf=now + 600), "not valid yet"),
        (token(iat=now + 600), "not valid yet"),
        (token(exp=None), "has no exp"),
        (token(iss="https://elsewhere.example/realms/dcm4che"), "another issuer"),
        (token(iss=site.issuer.url + "/"), "another issuer"),
        (token(azp="other"), "another audience"),
        (token(azp=None, aud=["account", "other"]), "another audience"),
        (token(typ="ID"), "no access token"),
        (token(headers={"typ": "logout+jwt"}), "no access token"),
        (token(headers={"kid": "../../etc/passwd"}), "no such key"),
        (token(preferred_username="vera\n"), "names no user"),
        (token(exp=float("inf")), "can be read"),
        (token(more="x" * OIDC_TOKEN_CHARACTERS), f"longer than {OIDC_TOKEN_CHARACTERS}"),
    ]:
        answer = site.get(refused)
        assert answer.status_code == 401
        assert why in answer.json()["errorMessage"]
        assert answer.headers["www-authenticate"].startswith('Bearer realm="dcm4py-leading", error="invalid_token"')
        signature = refused.rpartition(".")[2]
        assert signature not in answer.text + caplog.text
    assert site.get(token()).status_code == 200


def test_whoever_sends_nothing_is_told_of_tokens_and_of_passwords(site: Site) -> None:
    answer = site.client.get("/look")
    assert answer.status_code == 401
    told = answer.headers["www-authenticate"]
    assert told == 'Bearer realm="dcm4py-leading", Basic realm="dcm4py-leading", charset="UTF-8"'


def test_forged_tokens_are_refused_and_end_in_a_pause(site: Site) -> None:
    claims, (_, key) = site.issuer.claims(), KEYS["rsa"]
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own = jwt.get_algorithm_by_name("RS256").to_jwk(other.public_key(), as_dict=True)
    lure = {"kid": "rsa", "jku": site.issuer.url + "/lure", "x5u": site.issuer.url + "/lure", "jwk": own}
    with_secret = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{encoded(claims)}"
    by_secret = jwt.get_algorithm_by_name("HS256").sign(with_secret.encode(), public)
    parts = site.issuer.token().split(".")
    forged = [
        (f"{encoded({'alg': 'none', 'kid': 'rsa'})}.{encoded(claims)}.", "not signed by"),
        (f"{with_secret}.{base64.urlsafe_b64encode(by_secret).rstrip(b'=').decode()}", "not signed by"),
        (jwt.encode(claims, other, "RS256", headers=lure), "signature"),
        (f"{parts[0]}.{encoded(site.issuer.claims(realm_access={'roles': ['admin']}))}.{parts[2]}", "signature"),
        (jwt.encode(claims, KEYS["curve"][1], "ES256", headers={"kid": "rsa"}), "another algorithm"),
        (jwt.encode(claims, key, "RS256"), "does not name its key"),
        (jwt.encode(claims, key, "RS256", headers={"kid": "rsa", "crit": ["x"]}), "can be read"),
        (f"{encoded({'alg': [], 'kid': 'rsa'})}.{encoded(claims)}.{parts[2]}", "not signed by"),
        (base64.urlsafe_b64encode(b"[" * 9000).decode() + ".e30.e30", "can be read"),
        (f"{encoded({'alg': {}, 'kid': 'rsa'})}.{encoded(claims)}.{parts[2]}", "not signed by"),
    ]
    assert len(forged) == LOGIN_FAILURES
    for token, why in forged:
        answer = site.get(token)
        assert (answer.status_code, why in answer.json()["errorMessage"]) == (401, True), answer.text
    assert not any("lure" in path for path in site.issuer.asked)
    answer = site.get(site.issuer.token())
    assert (answer.status_code, "retry-after" in answer.headers) == (429, True)


def test_keys_are_fetched_again_for_a_new_one_but_not_for_each_made_up_one(site: Site) -> None:
    site.issuer.keys = [jwk("rsa")]
    for _ in range(30):
        assert site.get(site.issuer.token("curve")).status_code == 401
    assert len(site.issuer.asked) == 2
    site.issuer.keys = [jwk("curve")]
    site.clock.now += OIDC_REFRESH_SECONDS
    assert site.get(site.issuer.token("curve")).status_code == 200
    assert site.get(site.issuer.token("rsa")).status_code == 401
    assert len(site.issuer.asked) == 4


def test_first_tokens_at_once_wait_for_one_fetch(site: Site) -> None:
    site.issuer.may_answer.clear()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(site.get, site.issuer.token()) for _ in range(8)]
        site.issuer.may_answer.set()
        assert {answer.result().status_code for answer in answers} == {200}
    assert len(site.issuer.asked) == 2


def test_known_keys_go_on_for_a_day_while_the_issuer_is_down(site: Site) -> None:
    assert site.get(site.issuer.token()).status_code == 200
    site.issuer.status = 500
    site.clock.now += OIDC_KEYS_SECONDS
    assert site.get(site.issuer.token()).status_code == 200
    assert len(site.issuer.asked) == 3
    site.clock.now += OIDC_KEYS_LAST_SECONDS
    assert site.get(site.issuer.token()).status_code == 503
    site.issuer.status = 200
    site.clock.now += OIDC_REFRESH_SECONDS
    assert site.get(site.issuer.token()).status_code == 200


def test_issuer_that_cannot_be_used_gives_503_and_the_log_says_why(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    weak = jwt.get_algorithm_by_name("RS256").to_jwk(
        rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(), as_dict=True
    )
    answers: list[tuple[dict[str, Any], str]] = [
        ({"content": b" " * 10_000_000}, f"longer than {OIDC_DOCUMENT_BYTES} bytes"),
        ({"content": b"[" * 9000}, "no JSON"),
        ({"content": b"[]"}, "no JSON object"),
        ({"status": 302}, "302"),
        ({"configuration": {"issuer": "https://elsewhere.example"}}, "another issuer"),
        ({"configuration": {"jwks_uri": "file:///etc/passwd"}}, "jwks_uri: expected an https: URL"),
        ({"configuration": {"jwks_uri": "http://keys.example/certs"}}, "jwks_uri: expected an https: URL"),
        ({"keys": [jwk("rsa")] * (OIDC_KEYS + 1)}, f"at most {OIDC_KEYS} keys"),
        (
            {"keys": [{**weak, "kid": "rsa"}, jwk("rsa", use="enc"), jwk("rsa", alg="HS256"), {"kid": "rsa"}, 1]},
            "no key",
        ),
        ({"keys": [{"kid": "rsa", "kty": "oct", "k": "AAAA"}, jwk("edwards", crv="X25519")]}, "no key"),
    ]
    usual = dict(vars(site.issuer))
    for answer, why in answers:
        vars(site.issuer).update({name: usual[name] for name in ("content", "status", "configuration", "keys")})
        vars(site.issuer).update(answer)
        with ExitStack() as running:
            fresh = Site(site.issuer, running)
            assert fresh.get(site.issuer.token()).status_code == 503
        assert why in caplog.text
        caplog.clear()


def test_issuer_that_hangs_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "OIDC_FETCH_SECONDS", 0.2)
    site.issuer.may_answer.clear()
    answer = site.get(site.issuer.token())
    assert (answer.status_code, "issuer" in answer.json()["errorMessage"]) == (503, True)


@pytest.mark.parametrize("url", ["http://issuer.example/", "ftp://localhost/", "https://a:b@issuer.example", "issuer"])
def test_issuer_without_tls_is_for_this_machine_alone(url: str) -> None:
    with pytest.raises(ValueError, match="expected an https: URL"):
        IssuerKeys(url)


def test_ca_file_has_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(OSError, match=r"(?i)certificate|crl"):
        IssuerKeys("https://issuer.example", ca_file=tmp_path / "ca.pem")
