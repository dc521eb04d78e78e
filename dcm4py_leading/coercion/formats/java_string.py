"""Java strings in the formats of dcm4che: hash code, MD5, URL encoding."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from urllib.parse import quote_plus

from dcm4py_leading.dataset.text.text import storable

_BASE32 = "0123456789abcdefghijklmnopqrstuv"


def java_hash(text: str) -> str:
    """java.lang.String.hashCode, as eight upper case hexadecimal digits."""
    return _known_hash(text) if len(text) <= _LONGEST_KNOWN else _hash(text)


def _hash(text: str) -> str:
    code = 0
    if text.isascii():
        for unit in text.encode("ascii"):
            code = (31 * code + unit) & 0xFFFFFFFF
    else:
        units = text.encode("utf-16-be", "surrogatepass")
        for high, low in zip(units[::2], units[1::2], strict=True):
            code = (31 * code + (high << 8 | low)) & 0xFFFFFFFF
    return f"{code:08X}"


_known_hash = lru_cache(maxsize=1024)(_hash)  # a path has the hashes of study and series again and again
_LONGEST_KNOWN = 64


def md5_base32(text: str) -> str:
    """MD5 of the UTF-8 in 26 digits of base 32, the least significant first."""
    digest = hashlib.md5(storable(text).encode(), usedforsecurity=False).digest()
    # dcm4che loses the first byte of either half; files must be found where it put them.
    low, high = (int.from_bytes(half[1:]) << 8 for half in (digest[:8], digest[8:]))
    number = high << 64 | low
    return "".join(_BASE32[number >> shift & 0x1F] for shift in range(0, 130, 5))


def url_encoded(text: str) -> str:
    """java.net.URLEncoder with UTF-8, as in the query of an HTML form."""
    return quote_plus(text, safe="*").replace("~", "%7E")
