"""Recognition of secrets, by name or by place in a text: passwords, PINs, private keys.

By pattern, not by list: a tree may hold attributes of any schema.
"""

from __future__ import annotations

import re

MASK = "***"
"""Stands where a secret is not shown."""

_ATTRIBUTE = re.compile(
    r"pass(word|wd|phrase)|(^|[a-z])pin$|secret|credential|private-?key|principalkey|pkcs-?12|token|vendordata$",
    re.IGNORECASE,
)
"""Names of attributes; vendor data is octets of unknown content. dcmKeyStorePinProperty only names a property."""
_OPTION = re.compile(
    r"pass(word|wd|phrase)|(^|[-_.])(pwd|pin)$|secret|credential|(private|access|api)[-_.]?key|token", re.IGNORECASE
)
"""The name in NAME=VALUE, as the dcmProperty of a storage has them."""
_USER_INFO = re.compile(r"(?<=://)([^/?#@\s:]*):[^/?#@\s]*@")
"""``user:password@`` of a URI (RFC 3986 3.2.1)."""


def is_secret(attribute: str) -> bool:
    """True if the values of this attribute are secret."""
    return _ATTRIBUTE.search(attribute.partition(";")[0]) is not None


def is_secret_option(text: str) -> bool:
    """True if it is NAME=VALUE, and the value is secret."""
    name, separator, _ = text.partition("=")
    return bool(separator) and _OPTION.search(name) is not None


def masked_option(text: str) -> str:
    """The name of such an option, without its value."""
    return f"{text.partition('=')[0]}={MASK}"


def without_passwords(text: str) -> str:
    """The text, whose URIs keep user names, and lose passwords."""
    return _USER_INFO.sub(r"\1@", text)


def masked_passwords(text: str) -> str:
    """The text, in whose URIs the mask stands for passwords."""
    return _USER_INFO.sub(rf"\1:{MASK}@", text)
