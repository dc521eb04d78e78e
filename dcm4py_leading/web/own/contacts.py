"""The archives that we ask, as ``/health/ready`` shows them."""

from __future__ import annotations

from collections.abc import Mapping

from dcm4py_leading.leading.contacts import Contact, ContactCounts, Line, Part
from dcm4py_leading.leading.outcome import LookupCounts
from dcm4py_leading.model.values import AETitle


def contacts_json(lookups: LookupCounts, counts: ContactCounts) -> Mapping[str, object]:
    """Leading and upstream archives: last answer to an AE of ours, last failure, and its reason."""
    leading, behind = [], []
    for line, contact in sorted(counts.contacts.items()):
        if line.part == Part.LEADING.value:
            breaker = lookups.breakers.get((AETitle(line.local_ae_title), AETitle(line.ae_title)))
            leading.append({**_json(line, contact), "breaker": "closed" if breaker is None else breaker.value})
        else:
            behind.append(_json(line, contact))
    return {"leadingArchives": leading, "archives": behind}


def _json(line: Line, contact: Contact) -> dict[str, object]:
    return {"aeTitle": line.ae_title, "askedBy": line.local_ae_title, **contact.to_json()}
