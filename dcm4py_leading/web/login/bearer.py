"""Bearer tokens of an OpenID Connect issuer, such as Keycloak: JSON Web Tokens in Authorization (RFC 6750 2.1)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from dcm4py_leading.errors import TokenRefused
from dcm4py_leading.model.bounds import LOGIN_NAME_CHARACTERS, OIDC_TOKEN_CHARACTERS
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.login.issuer_keys import ALGORITHMS, IssuerKeys, SigningKey

DEFAULT_ROLES: Mapping[Role, tuple[str, ...]] = {
    Role.VIEWER: ("user",),
    Role.ADMINISTRATOR: ("admin", "root"),
    Role.SERVICE: (),
}
"""Roles of dcm4chee's realm."""
DEFAULT_CLAIMS = ("realm_access.roles", "resource_access.{client}.roles")
"""Claims in which Keycloak lists roles."""

_LEEWAY_SECONDS = 30
"""By which clocks may differ."""
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Header typ of access tokens; RFC 9068 2.1."""
_UNREADABLE = "the token is no JSON Web Token that can be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Claims that a token must have."""

    issuer: str
    clients: tuple[str, ...]
    """One of them is the token's audience (aud), or the party that it was issued to (azp)."""
    roles: Mapping[Role, tuple[str, ...]]
    """Names of each role in a token."""
    claims: tuple[str, ...] = DEFAULT_CLAIMS
    """Paths of names, parted by dots, to lists of roles; {client} stands for each of the clients."""


class BearerTokens:
    """Check of tokens."""

    def __init__(self, expected: Expected, keys: IssuerKeys) -> None:
        self._expected = expected
        self._keys = keys

    async def identity_of(self, token: str) -> Identity:
        """The user that the token names, with roles; without any, if it names none of ours.

        Raises TokenRefused, LoginUnavailable.
        """
        key = await self._keys.key(_kid(token))
        claims = _verified(token, key, self._expected.issuer)
        if claims.get("typ", "Bearer") != "Bearer":  # Keycloak's: ID, Refresh, Logout
            raise TokenRefused("the token is no access token")
        audience = claims.get("aud")
        meant = [*(audience if isinstance(audience, list) else [audience]), claims.get("azp")]
        if not any(client in meant for client in self._expected.clients):
            raise TokenRefused("the token is for another audience and of another client")
        names = frozenset(self._role_names(claims))
        roles = frozenset(role for role, own in self._expected.roles.items() if not names.isdisjoint(own))
        return Identity(_user(claims), roles, names)

    def _role_names(self, claims: Mapping[str, Any]) -> Iterator[str]:
        for path in self._expected.claims:
            for client in self._expected.clients if "{client}" in path else ("",):
                value: Any = claims
                for name in path.split("."):
                    value = value.get(client if name == "{client}" else name) if isinstance(value, dict) else None
                if isinstance(value, list):
                    yield from (name for name in value if isinstance(name, str))


def bearer_token(authorization: str) -> str | None:
    """The token; None of another scheme."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _kid(token: str) -> str:
    """The name of the key by which the token is signed: nothing else of its header counts, neither jku nor jwk."""
    if len(token) > OIDC_TOKEN_CHARACTERS:
        raise TokenRefused(f"the token is longer than {OIDC_TOKEN_CHARACTERS} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenRefused(_UNREADABLE, is_forged=True) from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused(f"the token is not signed by {', '.join(sorted(ALGORITHMS))}", is_forged=True)
    if str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise TokenRefused("the token is no access token")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise TokenRefused("the token does not name its key (kid)", is_forged=True)
    return kid


def _verified(token: str, key: SigningKey, issuer: str) -> Mapping[str, Any]:
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=list(key.algorithms),
            issuer=issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "iss"], "verify_aud": False},
        )
    except jwt.InvalidSignatureError:
        raise TokenRefused("the signature of the token is wrong", is_forged=True) from None
    except jwt.InvalidAlgorithmError:
        raise TokenRefused("the key of the token is for another algorithm", is_forged=True) from None
    except jwt.ExpiredSignatureError:
        raise TokenRefused("the token has expired") from None
    except jwt.ImmatureSignatureError:
        raise TokenRefused("the token is not valid yet: compare the clocks") from None
    except jwt.InvalidIssuerError:
        raise TokenRefused("the token is of another issuer") from None
    except jwt.MissingRequiredClaimError as err:
        raise TokenRefused(f"the token has no {err.claim}") from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise TokenRefused(_UNREADABLE, is_forged=True) from None
    return claims


def _user(claims: Mapping[str, Any]) -> str:
    name = claims.get("preferred_username", claims.get("sub"))
    if not (isinstance(name, str) and 0 < len(name) <= LOGIN_NAME_CHARACTERS) or any(
        unicodedata.category(char).startswith("C") for char in name
    ):
        raise TokenRefused("the token names no user (preferred_username, sub)")
    return name
