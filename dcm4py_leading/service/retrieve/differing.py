"""Part of an object, and of what the index has of it, that has to be decoded: where both say the same, nothing happens.

Most attributes of the index are in the object octet by octet as they are there, in the same character set: no
dcmAttributeUpdatePolicy does anything with them. They are left out on both sides, unless a rule is about them, or they
tell who the patient is.
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


def differing(
    cut: bytes, kept: Sequence[bytes], kept_out: Collection[int], concerned: Collection[int]
) -> tuple[bytes, bytes] | None:
    """Parts to be decoded of the elements ``cut`` out of an object, and of the attributes ``kept`` in the index.

    Both in Explicit VR Little Endian. ``kept`` is from the top down, as `attributes.merged` has it; its ``kept_out`` do
    not count. ``concerned`` are the tags that rules are about. None where all has to be decoded.
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
                    continue  # what is empty comes from the lowest level alone
                if tag in same or tag in others:  # of several levels the lowest counts
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
    """True if it says the same in whatever character set, and says something or is of no length."""
    return not value or (value.isascii() and b"\x1b" not in value and bool(value.strip(_BLANK)))


def _element(encoded: bytes, spans: Mapping[int, Span], tag: int) -> bytes:
    span = spans.get(tag)
    return b"" if span is None else encoded[span[0] : span[2]]
