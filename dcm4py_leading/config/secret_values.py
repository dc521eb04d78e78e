"""Secret values of an entry, which must not be written where the access rules of the directory do not reach."""

from __future__ import annotations

from collections.abc import Collection

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.secret_text import (
    MASK,
    is_secret,
    is_secret_option,
    masked_option,
    masked_passwords,
    without_passwords,
)

_RULES = ("dcmArchiveAttributeCoercion", "dcmArchiveAttributeCoercion2")


def without_secrets(entry: Entry) -> Entry:
    """The entry without them. Nothing that the service acts on is among them."""
    # Of a rule, dcmProperty are the conditions: one less, and it would apply to more.
    is_rule = any(entry.is_a(name) for name in _RULES)
    return Entry.of(
        entry.dn,
        {
            entry.spell(name): [
                without_passwords(value) for value in entry.values(name) if is_rule or not is_secret_option(value)
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
    return masked_option(value) if not is_rule and is_secret_option(value) else masked_passwords(value)
