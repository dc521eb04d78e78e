"""Keys by which an OpenID Connect issuer signs, as it publishes them, fetched when they are needed.

OpenID Connect Discovery 1.0 4 and RFC 7517. Only the configured issuer is asked: what a token names in its header is
never fetched.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import anyio
import jwt
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from dcm4py_leading.errors import LoginUnavailable, TokenRefused
from dcm4py_leading.log import foreign
from dcm4py_leading.model.bounds import (
    OIDC_DOCUMENT_BYTES,
    OIDC_FETCH_SECONDS,
    OIDC_KEYS,
    OIDC_KEYS_LAST_SECONDS,
    OIDC_KEYS_SECONDS,
    OIDC_REFRESH_SECONDS,
)

LOG = logging.getLogger(__name__)

_DISCOVERY = "/.well-known/openid-configuration"
_ALGORITHMS = {
    ("RSA", None): ("RS256", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""Algorithms for a type of key and its curve (RFC 7518 3.1, RFC 8037 3.1); a key of another type is not used."""
ALGORITHMS = frozenset(name for names in _ALGORITHMS.values() for name in names)
"""Algorithms that a token may be signed by."""
_LEAST_RSA_BITS = 2048
"""RFC 7518 3.3."""
_FETCHES_AT_ONCE = 4
"""One is under way; those that were given up may still be waiting for their sockets."""


class _Unusable(Exception):
    """Issuer without keys that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, with the algorithms that it is for."""

    key: Any
    algorithms: tuple[str, ...]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirections are errors: they might lead to a place without TLS."""

    def redirect_request(self, *_: Any) -> None:
        return None


class IssuerKeys:
    """The keys by their identifiers (kid). Its coroutines run in one event loop."""

    def __init__(
        self, issuer: str, *, ca_file: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock`` in seconds.

        Raises ValueError for an issuer that is no https: URL, nor http: of this machine, and OSError for a ``ca_file``
        that cannot be read.
        """
        _checked(issuer, may_be_http=True)
        self._issuer = issuer
        self._clock = clock
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)), _NoRedirect
        )
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._has_failed = False
        self._lock = asyncio.Lock()
        self._limiter: CapacityLimiter | None = None

    async def key(self, kid: str) -> SigningKey:
        """The key. Raises TokenRefused where the issuer has none of that name, LoginUnavailable if it gives no answer.

        While one request fetches the keys, those that need a new one wait for it.
        """
        if not self._has(kid) if self._lock.locked() else self._is_due(kid):
            async with self._lock:
                if self._is_due(kid):
                    await self._refresh()
        return self._known(kid)

    def _has(self, kid: str) -> bool:
        return kid in self._keys and self._age() < OIDC_KEYS_LAST_SECONDS

    def _age(self) -> float:
        return float("inf") if self._fetched is None else self._clock() - self._fetched

    def _is_due(self, kid: str) -> bool:
        if self._tried is not None and self._clock() - self._tried < OIDC_REFRESH_SECONDS:
            return False
        return kid not in self._keys or self._age() >= OIDC_KEYS_SECONDS

    def _known(self, kid: str) -> SigningKey:
        if self._has(kid):
            return self._keys[kid]
        if self._has_failed:
            raise LoginUnavailable("the issuer of tokens gives no answer that can be used")
        raise TokenRefused("the issuer has no such key as the token names")

    async def _refresh(self) -> None:
        """Fetch the keys; if that fails, the old ones stay."""
        if self._limiter is None:  # it belongs to the event loop, which is there now
            self._limiter = CapacityLimiter(_FETCHES_AT_ONCE)
        try:
            with anyio.fail_after(OIDC_FETCH_SECONDS):
                self._keys = await run_sync(self._fetched_keys, abandon_on_cancel=True, limiter=self._limiter)
        except (_Unusable, TimeoutError) as err:
            why = str(err) or f"no answer within {OIDC_FETCH_SECONDS:g} s"
            if not self._has_failed:
                LOG.warning("keys of %s: %s; the %d that are known go on", self._issuer, foreign(why), len(self._keys))
            self._has_failed = True
        else:
            if self._has_failed or self._fetched is None:
                LOG.info("keys of %s: %d", self._issuer, len(self._keys))
            self._fetched, self._has_failed = self._clock(), False
        finally:
            self._tried = self._clock()

    def _fetched_keys(self) -> Mapping[str, SigningKey]:
        configuration = self._document(self._issuer.rstrip("/") + _DISCOVERY)
        if configuration.get("issuer") != self._issuer:
            raise _Unusable("its configuration names another issuer")
        url = configuration.get("jwks_uri")
        try:
            _checked(str(url), may_be_http=urlsplit(self._issuer).scheme == "http")
        except ValueError as err:
            raise _Unusable(f"jwks_uri: {err}") from err
        keys = self._document(str(url)).get("keys")
        if not isinstance(keys, list) or len(keys) > OIDC_KEYS:
            raise _Unusable(f"its set has no list of at most {OIDC_KEYS} keys")
        found = dict(filter(None, map(_signing_key, keys)))
        if not found:
            raise _Unusable("its set has no key that can be used")
        return found

    def _document(self, url: str) -> Mapping[str, Any]:
        try:
            with self._opener.open(url, timeout=OIDC_FETCH_SECONDS) as response:
                content = response.read(OIDC_DOCUMENT_BYTES + 1)
        except urllib.error.HTTPError as err:
            with err:  # it is the answer, too
                raise _Unusable(f"{url}: {err}") from None
        except (OSError, HTTPException, ValueError) as err:
            raise _Unusable(f"{url}: {err}") from err
        if len(content) > OIDC_DOCUMENT_BYTES:
            raise _Unusable(f"{url} is longer than {OIDC_DOCUMENT_BYTES} bytes")
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as err:
            raise _Unusable(f"{url} is no JSON") from err
        if not isinstance(document, dict):
            raise _Unusable(f"{url} is no JSON object")
        return document


def _signing_key(jwk: Any) -> tuple[str, SigningKey] | None:
    """A key of the set, with its identifier; None for one that is not for signatures, or not strong enough."""
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    kid, kind, curve = jwk.get("kid"), jwk.get("kty"), jwk.get("crv")
    if not (isinstance(kid, str) and isinstance(kind, str) and isinstance(curve, str | None)):
        return None
    algorithms = tuple(name for name in _ALGORITHMS.get((kind, curve), ()) if jwk.get("alg", name) == name)
    if not algorithms:
        return None
    try:
        key = jwt.PyJWK(jwk, algorithms[0]).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if kind == "RSA" and key.key_size < _LEAST_RSA_BITS:
        return None
    return kid, SigningKey(key, algorithms)


def _checked(url: str, *, may_be_http: bool) -> SplitResult:
    """Parts of the URL. Raises ValueError unless it is https:, or http: to this machine, without a password."""
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (may_be_http and parts.scheme == "http" and _is_loopback(parts.hostname))
    if not is_safe or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("expected an https: URL, or http: to this machine, without user, query and fragment")
    return parts


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
