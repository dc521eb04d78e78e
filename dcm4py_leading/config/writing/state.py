"""State of entries as one token, for an ETag (RFC 9110 8.8.3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.writing.values import spelling, without
from dcm4py_leading.secret_text import is_secret


def etag(entries: Iterable[Entry]) -> str:
    """Differs when an entry or subtree differs, whatever the order and the case of names.

    Secrets do not take part: whoever sees all but a PIN could try out which one makes the tag. A change that was made
    to one meanwhile is noticed all the same when it would be overwritten, since writing goes by value.
    """
    found = sorted(json.dumps(_canonical(entry)) for entry in entries)
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:32]


def _canonical(entry: Entry) -> list[object]:
    told = sorted(name for name in entry if not is_secret(name))
    values = ([name, sorted(spelling(name, value) for value in without(name, entry.values(name), ()))] for name in told)
    return [[sorted(rdn) for rdn in entry.key], *values]
