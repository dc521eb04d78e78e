"""Update of a data set with attributes from elsewhere (dcmAttributeUpdatePolicy)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import assert_never

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.valuerep import PersonName

from dcm4py_leading.coercion.changes import Change, ChangeKind, apply, empty_attribute, remove_attribute, set_attribute
from dcm4py_leading.dataset.text.character_sets import CharacterSet
from dcm4py_leading.dataset.text.charset import (
    SPECIFIC_CHARACTER_SET,
    carries,
    character_set,
    elements_of,
    specific_character_set,
    unified,
)
from dcm4py_leading.dataset.text.text_values import texts_of
from dcm4py_leading.errors import CoercionFailed, UnencodableText
from dcm4py_leading.model.coercion import UpdatePolicy

PATIENT_ID_GROUP = (0x00100020, 0x00100021, 0x00100024, 0x00101002)
"""Patient ID, its issuer, the issuer's qualifiers, Other Patient IDs Sequence: an ID means nothing without them."""

ACCESSION_NUMBER_GROUP = (0x00080050, 0x00080051)
"""Accession Number and its issuer."""

IDENTIFIER_GROUPS = (PATIENT_ID_GROUP, ACCESSION_NUMBER_GROUP)
"""Each with the identifier itself first."""


def update(ds: Dataset, new: Dataset, policy: UpdatePolicy, *, only: Collection[int] | None = None) -> list[Change]:
    """Update ``ds`` with the attributes of ``new``, or with those whose tag is in ``only``; ``new`` is not changed.

    A sequence counts as one value. Specific Character Set is never merged as an attribute: text is compared and copied
    as Unicode, and ``ds`` keeps its character set if that can encode the new text, else gets another one, see
    `with_character_set`. Text that cannot be decoded is copied only if ``ds`` declares the same character set. Returns
    the changed attributes. Raises CoercionFailed.
    """
    changes = plan_update(ds, new, policy, only=only)
    apply(ds, changes)
    return changes


def plan_update(
    ds: Dataset,
    new: Dataset,
    policy: UpdatePolicy,
    *,
    only: Collection[int] | None = None,
    declared: CharacterSet | None = None,
) -> list[Change]:
    """The changes that `update` makes, without making them.

    ``declared`` is the character set that ``new`` is of, where it does not name it itself.
    """
    return with_character_set(ds, _merged(ds, new, policy, only, declared))


def plan_update_with_identifier_groups(
    ds: Dataset, new: Dataset, policy: UpdatePolicy, *, only: Collection[int] | None = None
) -> list[Change]:
    """Like `plan_update`, but an identifier moves together with its issuer.

    If the policy replaces our identifier by a different one, its whole group is taken from ``new``, and absent
    attributes are removed. If the policy keeps our different identifier, no attribute of the other group is taken. If
    both are equal, each attribute follows the policy.
    """
    # dcm4chee updates them one by one, and may leave our issuer beside the other's ID.
    merged = {change.tag: change for change in _merged(ds, new, policy, only, None)}
    for group in IDENTIFIER_GROUPS:
        identifier, members = group[0], group[1:]
        if _same(_get(ds, identifier), _get(new, identifier)):
            continue
        replaced = identifier in merged and policy is not UpdatePolicy.PRESERVE
        for tag in members:
            merged.pop(tag, None)
            if replaced and (change := _taken_over(ds, new, tag)) is not None:
                merged[tag] = change
    return with_character_set(ds, [merged[tag] for tag in sorted(merged)])


def with_character_set(ds: Dataset, changes: Sequence[Change]) -> list[Change]:
    """The changes, preceded by one of Specific Character Set if that of ``ds`` cannot encode their text.

    It becomes UTF-8 where all other text of ``ds`` can be decoded, else it gets code extensions. Raises CoercionFailed.
    """
    local = character_set(ds)
    new = [c.element for c in changes if c.kind is ChangeKind.SET and c.element is not None]
    gone = {c.tag for c in changes if len(c.path) == 1}
    try:
        needed = unified(local, new, (element for element in elements_of(ds) if element.tag not in gone))
    except UnencodableText as err:
        raise CoercionFailed(str(err)) from err
    return list(changes) if needed == local else [set_attribute(specific_character_set(needed)), *changes]


def is_empty(element: DataElement | None) -> bool:
    """True if there is no value: absent, zero length, blank, or a sequence without items."""
    if element is None or element.value is None:
        return True
    if isinstance(element.value, str | bytes | PersonName):
        return _is_blank(element.value)
    if element.VR == "SQ":
        return not element.value
    return isinstance(element.value, Iterable) and all(_is_blank(value) for value in element.value)


def _is_blank(value: object) -> bool:
    if isinstance(value, bytes):
        return not value
    return value is None or (isinstance(value, str | PersonName) and not str(value).strip(" \0"))


def _merged(
    ds: Dataset,
    new: Dataset,
    policy: UpdatePolicy,
    only: Collection[int] | None,
    declared: CharacterSet | None,
) -> list[Change]:
    changes: list[Change] = []
    theirs, ours = character_set(new) if declared is None else declared, character_set(ds)
    for tag in sorted(new.keys()):
        if tag == SPECIFIC_CHARACTER_SET or tag.element == 0 or (only is not None and tag not in only):
            continue
        change = _change(_get(ds, tag), new[tag], policy)
        if change is not None and (change.element is None or _is_carried(change.element, theirs, ours)):
            changes.append(change)
    return changes


def _is_carried(element: DataElement, theirs: CharacterSet, ours: CharacterSet) -> bool:
    return all(carries(text, theirs, ours) for _, text in texts_of([element]))


def _change(local: DataElement | None, new: DataElement, policy: UpdatePolicy) -> Change | None:
    """Change that ``policy`` makes to one attribute (dcm4che Attributes.update), None when it makes none."""
    match policy:
        case UpdatePolicy.SUPPLEMENT:
            wanted = is_empty(local) and not is_empty(new)
        case UpdatePolicy.MERGE:
            wanted = not is_empty(new) and local != new
        case UpdatePolicy.OVERWRITE:
            if is_empty(new):
                return None if local is not None and is_empty(local) else empty_attribute(new.tag, new.VR)
            wanted = local != new
        case UpdatePolicy.PRESERVE:
            return empty_attribute(new.tag, new.VR) if local is None and not is_empty(new) else None
        case _:
            assert_never(policy)
    return set_attribute(new) if wanted else None


def _get(ds: Dataset, tag: int) -> DataElement | None:
    element: DataElement | None = ds.get(tag)
    return element


def _same(left: DataElement | None, right: DataElement | None) -> bool:
    if is_empty(left) or is_empty(right):
        return is_empty(left) and is_empty(right)
    return left == right


def _taken_over(ds: Dataset, new: Dataset, tag: int) -> Change | None:
    """Change that makes the attribute of ``ds`` that of ``new``, None when there is nothing to do."""
    local, theirs = _get(ds, tag), _get(new, tag)
    if theirs is None:
        return remove_attribute(tag) if local is not None else None
    return _change(local, theirs, UpdatePolicy.OVERWRITE)
