"""Parts of an object and of its index entry that differ: only these have to be decoded.

Most attributes have the same octets and character set in index and object, so no dcmAttributeUpdatePolicy changes them.
They are left out on both sides, unless a rule uses them, or they identify the patient.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dcm4py_leading.archive.index.edits import edited_tags
from dcm4py_leading.archive.index.identity import IDENTIFYING
from dcm4py_leading.coercion.update import IDENTIFIER_GROUPS
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Span, Unscannable, scan
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET

_STAYS = IDENTIFYING.union(*IDENTIFIER_GROUPS, {SPECIFIC_CHARACTER_SET})
_BLANK = b" \0\\"


def differing_parts(
    cut: bytes, kept: Sequence[bytes], kept_out: Collection[int], concerned: Collection[int]
) -> tuple[bytes, bytes] | None:
    """Parts to decode of the elements ``cut`` out of an object, and of the attributes ``kept`` in the index.

    Both in Explicit VR Little Endian. ``kept`` is from the top down, as in `attributes.merged`, without ``kept_out``.
    ``concerned`` are the tags that rules use. None if everything has to be decoded.
    """
    try:
        own, _ = scan(cut, EXPLICIT_LITTLE)
        levels = [(encoded, scan(encoded, EXPLICIT_LITTLE)[0]) for encoded in kept if encoded]
        character_set = _element(cut, own, SPECIFIC_CHARACTER_SET)
        if b"IR 13" in character_set or any(map(edited_tags, kept)):
            return None
        same: set[int] = set()
        others: dict[int, bytes] = {}
        for encoded, spans in levels:
            if _element(encoded, spans, SPECIFIC_CHARACTER_SET) != character_set:
                return None
            for tag, (start, value, end) in spans.items():
                if tag == SPECIFIC_CHARACTER_SET or tag in kept_out:
                    continue
                if value == end and encoded is not kept[-1]:
                    continue  # only the lowest level can give an empty element
                if tag in same or tag in others:  # the lowest level takes precedence
                    return None
                element = encoded[start:end]
                if tag not in _STAYS and _element(cut, own, tag) == element:
                    same.add(tag)
                elif _is_plain(encoded[value:end]):
                    others[tag] = element
                else:
                    return None
    except Unscannable:
        return None
    same.difference_update(concerned)
    part = b"".join([cut[start:end] for tag, (start, _, end) in own.items() if tag not in same])
    return part, character_set + b"".join([others[tag] for tag in sorted(others)])


def _is_plain(value: bytes) -> bool:
    """True if the meaning does not depend on the character set, and the value is empty or not blank."""
    return not value or (value.isascii() and b"\x1b" not in value and bool(value.strip(_BLANK)))


def _element(encoded: bytes, spans: Mapping[int, Span], tag: int) -> bytes:
    span = spans.get(tag)
    return b"" if span is None else encoded[span[0] : span[2]]
