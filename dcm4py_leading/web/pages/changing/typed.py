"""Three-way comparison of typed values: what the page showed, what was typed, what the directory holds now.

Three states decide: ``base`` is what the page showed, ``mine`` what was typed, ``theirs`` what the directory holds now;
or, where a study is edited, the archive.
Only what was typed anew is changed; where somebody else has changed the same meanwhile, both are asked for a decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.web.pages.changing.form import Form, one_of

Values = tuple[str, ...]
BASE = "base"
"""The hidden field with what the page showed."""
KEEP = "keep."
"""Before the attribute of a conflict: whose value is to stand, ``mine`` or ``theirs``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """An attribute that two users have changed."""

    attribute: str
    base: Values
    theirs: Values
    mine: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Outcome of the comparison: changes to make, and clashes."""

    changed: Mapping[str, Values]
    """New values of what was typed anew."""
    clashes: tuple[Clash, ...]
    """Changes that cannot be made without a decision."""
    of_others: tuple[str, ...]
    """Attributes that others have changed since the page was made, and that stay so."""


def base_text(entry: Entry | None, attributes: Iterable[str]) -> str:
    """Values of these attributes that the page shows, for the hidden field; None: an entry that is yet to be made."""
    return json.dumps({attribute: entry.values(attribute) if entry else () for attribute in attributes})


def base_of(form: Form) -> Mapping[str, Values]:
    """Values that the page showed. Raises ValueError where the form does not say them."""
    try:
        found = json.loads(one_of(form, BASE))
    except RecursionError:
        raise ValueError("expected the values of each attribute, not thousands of brackets") from None
    if not isinstance(found, dict):
        raise ValueError("expected what the page showed")
    shown: dict[str, Values] = {}
    for attribute, values in found.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError("expected the values of each attribute")
        shown[attribute] = tuple(values)
    return shown


def alike(one: Values, other: Values) -> bool:
    """True if they are the same values, but for their order and blanks around them."""
    return sorted(value.strip() for value in one) == sorted(value.strip() for value in other)


def merged(
    base: Mapping[str, Values],
    mine: Mapping[str, Values],
    theirs: Callable[[str], Values],
    form: Form,
    *,
    same: Callable[[Values, Values], bool] = alike,
) -> Merged:
    """Part of ``mine`` to apply to the present values, which ``theirs`` gives by attribute."""
    changed: dict[str, Values] = {}
    clashes: list[Clash] = []
    of_others: list[str] = []
    for attribute, shown in base.items():
        now, wanted = theirs(attribute), mine.get(attribute, ())
        if one_of(form, KEEP + attribute) == "theirs":
            wanted = shown
        is_typed, is_changed = not same(wanted, shown), not same(now, shown)
        if is_typed and is_changed and not same(wanted, now):
            clashes.append(Clash(attribute=attribute, base=shown, theirs=now, mine=wanted))
        elif is_typed:
            changed[attribute] = wanted
        elif is_changed:
            of_others.append(attribute)
    return Merged(changed=changed, clashes=tuple(clashes), of_others=tuple(of_others))


def with_values(entry: Entry, changed: Mapping[str, Values]) -> Entry:
    """The entry with these values instead; all else stays as it is."""
    folded = {attribute.lower() for attribute in changed}
    kept = {entry.spell(name): entry.values(name) for name in entry if name not in folded}
    spelt = {entry.spell(attribute) if entry.values(attribute) else attribute: v for attribute, v in changed.items()}
    return Entry.of(entry.dn, {**kept, **spelt})
