"""Passwords as they are kept: scrypt (RFC 7914), in one line of text with its parameters."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import unicodedata
from dataclasses import dataclass
from typing import Self

_N, _R, _P = 2**15, 8, 1
"""32 MiB and about a tenth of a second for each try."""
_MAX_N, _MAX_R, _MAX_P = 2**17, 16, 4
SALT_BYTES = 16
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """The hash of one password."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str, salt: bytes) -> Self:
        """Of a password, under a random salt."""
        return cls(_N, _R, _P, salt, _scrypt(password, salt, _N, _R, _P))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for what `__str__` does not write, and for what would cost too much to check."""
        match text.split("$"):
            case ["scrypt", n, r, p, salt, digest]:
                try:
                    found = cls(int(n), int(r), int(p), _bytes(salt), _bytes(digest))
                except (ValueError, binascii.Error):
                    raise ValueError("expected scrypt$N$R$P$SALT$HASH") from None
                is_power = found.n > 1 and found.n & (found.n - 1) == 0
                if not (is_power and found.n <= _MAX_N and 0 < found.r <= _MAX_R and 0 < found.p <= _MAX_P):
                    raise ValueError(f"expected at most N={_MAX_N}, a power of two, R={_MAX_R} and P={_MAX_P}")
                if len(found.digest) != _HASH_BYTES or not found.salt:
                    raise ValueError(f"expected a salt, and a hash of {_HASH_BYTES} bytes")
                return found
            case _:
                raise ValueError("expected scrypt$N$R$P$SALT$HASH")

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(octets).decode() for octets in (self.salt, self.digest))
        return f"scrypt${self.n}${self.r}${self.p}${salt}${digest}"

    def is_of(self, password: str) -> bool:
        """True if it is the hash of that password."""
        return hmac.compare_digest(self.digest, _scrypt(password, self.salt, self.n, self.r, self.p))


NOBODYS = PasswordHash(_N, _R, _P, bytes(SALT_BYTES), bytes(_HASH_BYTES))
"""Checking it takes as long as any other; no password is known that has it."""


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    text = unicodedata.normalize("NFC", password).encode()
    return hashlib.scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=(n + p + 2) * 128 * r + 2**20, dklen=_HASH_BYTES)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
