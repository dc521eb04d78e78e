"""What must not be written where the directory's own access rules do not reach: passwords, PINs, private keys.

By pattern, not by list: a tree may hold attributes of any schema.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from dcm4py_leading.config.entry import Entry

_ATTRIBUTE = re.compile(
    r"pass(word|wd|phrase)|(^|[a-z])pin$|secret|credential|private-?key|principalkey|pkcs-?12|token|vendordata$",
    re.IGNORECASE,
)
"""Names of attributes; vendor data is octets of unknown content. dcmKeyStorePinProperty only names a property."""
_OPTION = re.compile(r"pass(word|wd|phrase)|secret|credential|private[-_.]?key|access[-_.]?key|token", re.IGNORECASE)
"""The name in NAME=VALUE, as the dcmProperty of a storage has them."""
_USER_INFO = re.compile(r"(?<=://)([^/?#@\s:]*):[^/?#@\s]*@")
_RULES = ("dcmArchiveAttributeCoercion", "dcmArchiveAttributeCoercion2")
MASK = "***"
"""Stands where a secret is not shown."""


def without_secrets(entry: Entry) -> Entry:
    """The entry without them. Nothing that the service acts on is among them."""
    # Of a rule, dcmProperty are the conditions: one less, and it would apply to more.
    is_rule = any(entry.is_a(name) for name in _RULES)
    return Entry.of(
        entry.dn,
        {
            entry.spell(name): [
                _USER_INFO.sub(r"\1@", value) for value in entry.values(name) if is_rule or not _is_secret_option(value)
            ]
            for name in entry
            if not is_secret(name)
        },
    )


def masked(attribute: str, value: str, object_classes: Collection[str]) -> str:
    """The value as it may be shown, in an entry of these classes."""
    if is_secret(attribute):
        return MASK
    is_rule = any(name.lower() in map(str.lower, _RULES) for name in object_classes)
    if not is_rule and _is_secret_option(value):
        return value.partition("=")[0] + "=" + MASK
    return _USER_INFO.sub(rf"\1:{MASK}@", value)


def _is_secret_option(text: str) -> bool:
    name, separator, _ = text.partition("=")
    return bool(separator) and _OPTION.search(name) is not None


def is_secret(attribute: str) -> bool:
    """Whether the values of this attribute are secret."""
    return _ATTRIBUTE.search(attribute.partition(";")[0]) is not None
