"""C-FIND response identifiers (PS3.4 C.4.1.1.3.2): cut out of what the index keeps, or made by pydicom.

The index keeps encoded elements, so most answers can be cut out of their bytes. `Template` does this if the result is
the same as that of `reduced`, which decodes; else it raises NeedsPydicom.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dcm4py_leading.archive.index.querying.match import Match
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Span, Unscannable, scan
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.errors import StatusError
from dcm4py_leading.service.retrieve.encode import encoded

QUERY_RETRIEVE_LEVEL = 0x00080052
RETRIEVE_AE_TITLE = 0x00080054
ALWAYS_RETURNED = (
    SPECIFIC_CHARACTER_SET,
    RETRIEVE_AE_TITLE,
    0x00080056,  # Instance Availability
    0x00080201,  # Timezone Offset From UTC
)

_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_NESTED = frozenset({b"SQ", b"UN"})
_HEADER = struct.Struct("<HH2sH")
_LONG_HEADER = struct.Struct("<HH2sxxL")
_MAX_SHORT = 0xFFFF
_MAX_REMEMBERED_KEYS = 100


def reduced(match: Dataset, identifier: Dataset, retrieve_aets: Sequence[str]) -> Dataset:
    """``match`` reduced to the return keys; ``retrieve_aets`` replace its own (dcmReturnRetrieveAET)."""
    response = Dataset()
    for tag in sorted({*identifier.keys(), *ALWAYS_RETURNED}):
        if _is_private(tag):
            continue
        if tag in match:
            response[tag] = match[tag]
        elif tag in identifier and tag != SPECIFIC_CHARACTER_SET:
            asked = identifier[tag]
            response.add_new(tag, asked.VR, [] if asked.VR == "SQ" else None)
    _add_private(response, match, identifier)
    response.QueryRetrieveLevel = identifier.QueryRetrieveLevel
    if retrieve_aets:
        response.RetrieveAETitle = list(retrieve_aets)
    return response


def _add_private(response: Dataset, match: Dataset, identifier: Dataset) -> None:
    """Add the private return keys in the blocks of the request, if the match has their creator.

    A block without a creator in the match is left out (PS3.5 7.8.1).
    """
    private = [tag for tag in identifier.keys() if _is_private(tag)]
    for creator_tag in private:
        creator = _creator(identifier, creator_tag)
        there = next(
            (tag for tag in match.keys() if creator and _creator(match, tag, creator_tag.group) == creator), None
        )
        if there is None:
            continue
        response.add_new(creator_tag, "LO", creator)
        for tag in private:
            if tag.group == creator_tag.group and tag.element >> 8 == creator_tag.element:
                own = (tag.group << 16) | (there.element << 8) | (tag.element & 0xFF)
                element = match.get(own)
                vr = identifier[tag].VR if element is None else element.VR
                response.add_new(tag, vr, ([] if vr == "SQ" else None) if element is None else element.value)


def _creator(ds: Dataset, tag: BaseTag, group: int | None = None) -> str:
    """The value of a Private Creator element of this group; else empty."""
    if not tag.is_private_creator or group not in (None, tag.group):
        return ""
    value = ds[tag].value
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")).strip(" \0")


def _is_private(tag: int) -> bool:
    return bool(tag >> 16 & 1)


def encode(ds: Dataset, transfer_syntax_uid: str) -> bytes:
    """``ds`` in that transfer syntax. Raises StatusError."""
    try:
        return encoded(ds, transfer_syntax_uid)
    except UNREADABLE as err:
        raise StatusError(f"a response identifier cannot be encoded ({type(err).__name__})") from err


class NeedsPydicom(ValueError):
    """The answer cannot be cut out of the bytes of the index; pydicom has to make it."""


class Elements:
    """The elements of a match, each as the bytes of an element in Explicit VR Little Endian."""

    __slots__ = ("_computed", "_levels", "character_set")

    def __init__(self, match: Match, scanned: dict[int, tuple[bytes, dict[int, Span]]]) -> None:
        """``scanned`` has the elements of the last match; matches of a study share those of the upper levels.

        Raises NeedsPydicom.
        """
        self._computed = match.computed
        levels: list[tuple[bytes, dict[int, Span]]] = []
        for number, data in enumerate(match.encoded_attributes):
            known = scanned.get(number)
            if known is None or known[0] != data:
                try:
                    known = scanned[number] = (data, scan(data, EXPLICIT_LITTLE)[0])
                except Unscannable as err:
                    raise NeedsPydicom from err
            levels.append(known)
        self._levels = levels
        sets = {_element(data, spans.get(SPECIFIC_CHARACTER_SET)) for data, spans in levels}
        if len(sets) != 1:
            raise NeedsPydicom  # one of them has to be encoded anew
        self.character_set = sets.pop()

    def get(self, tag: int) -> bytes | None:
        """The element, None if there is none. Raises NeedsPydicom."""
        if tag in self._computed:
            return _computed_element(tag, self._computed[tag])
        found: bytes | None = None
        for data, spans in self._levels:
            if tag in spans:
                start, _, end = spans[tag]
                element = data[start:end]
                if found is not None and found != element and tag != SPECIFIC_CHARACTER_SET:
                    raise NeedsPydicom  # which of them counts, `merged` knows
                found = element
        return found


class Template:
    """Template for all answers to one C-FIND."""

    def __init__(
        self, asked: Mapping[int, str], level: str, transfer_syntax_uid: str, retrieve_aets: Sequence[str]
    ) -> None:
        """``asked`` are the VRs of the identifier's elements. Raises NeedsPydicom if no answer can be cut."""
        if transfer_syntax_uid not in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
            raise NeedsPydicom
        self._is_implicit = transfer_syntax_uid == ImplicitVRLittleEndian
        fixed = {QUERY_RETRIEVE_LEVEL: _computed_element(QUERY_RETRIEVE_LEVEL, level)}
        if retrieve_aets:
            fixed[RETRIEVE_AE_TITLE] = _computed_element(RETRIEVE_AE_TITLE, list(retrieve_aets))
        self._plan: list[tuple[int, bytes, bool]] = []
        for tag in sorted({*asked, *ALWAYS_RETURNED, *fixed}):
            if tag & 0xFFFF == 0 or tag < 0x00080000:
                raise NeedsPydicom  # group lengths are not sent
            if _is_private(tag):
                raise NeedsPydicom  # only where the match has its creator
            if tag in fixed:
                self._plan.append((tag, self._encoded(fixed[tag]), True))
            elif tag in asked and tag != SPECIFIC_CHARACTER_SET:
                self._plan.append((tag, self._encoded(_explicit(tag, asked[tag], b"")), False))
            else:
                self._plan.append((tag, b"", False))

    def cut(self, elements: Elements, edited: Mapping[int, bytes | None] | None = None) -> bytes:
        """Make an answer. ``edited`` are the elements that a coercion may have changed.

        Raises NeedsPydicom.
        """
        edited = edited or {}
        parts: list[bytes] = []
        chosen: list[bytes] = []
        for tag, otherwise, is_fixed in self._plan:
            if is_fixed:
                parts.append(otherwise)
                continue
            if tag in edited:
                element = edited[tag]
            else:
                element = elements.get(tag)
                if element is not None:
                    chosen.append(element)
            if element is None:
                parts.append(otherwise)
            else:
                parts.append(self._encoded(element) if self._is_implicit else element)
        local = elements.character_set
        is_recoded = bool(edited) and edited.get(SPECIFIC_CHARACTER_SET) != local
        has_extensions = local is not None and b"\\" in local
        if (is_recoded or has_extensions) and any(not part.isascii() or b"\x1b" in part for part in chosen):
            raise NeedsPydicom
        if is_recoded and local is not None and b"IR 13" in local and any(b"~" in p or b"\\" in p for p in chosen):
            raise NeedsPydicom  # in ISO-IR 14 they are an overline and a yen sign
        return b"".join(parts)

    def _encoded(self, element: bytes) -> bytes:
        """The element in the transfer syntax of the answers. Raises NeedsPydicom."""
        if not self._is_implicit:
            return element
        vr = element[4:6]
        if vr not in _LONG_VRS:
            return element[:4] + element[6:8] + b"\0\0" + element[8:]
        if vr in _NESTED and len(element) > 12:
            raise NeedsPydicom
        return element[:4] + element[8:]


def template(identifier: Dataset, transfer_syntax_uid: str, retrieve_aets: Sequence[str]) -> Template:
    """The template for answers to ``identifier``, the same object for equal identifiers. Raises NeedsPydicom."""
    asked = tuple((int(tag), identifier[tag].VR) for tag in identifier.keys())
    made = _template if len(asked) <= _MAX_REMEMBERED_KEYS else _template.__wrapped__
    return made(asked, str(identifier.QueryRetrieveLevel), str(transfer_syntax_uid), tuple(retrieve_aets))


@lru_cache(maxsize=256)
def _template(
    asked: tuple[tuple[int, str], ...], level: str, transfer_syntax_uid: str, retrieve_aets: tuple[str, ...]
) -> Template:
    return Template(dict(asked), level, transfer_syntax_uid, retrieve_aets)


def elements_by_tag(encoded: bytes) -> dict[int, bytes]:
    """The elements of a data set in Explicit VR Little Endian, each as its bytes. Raises NeedsPydicom."""
    try:
        spans, _ = scan(encoded, EXPLICIT_LITTLE)
    except Unscannable as err:
        raise NeedsPydicom from err
    return {tag: encoded[start:end] for tag, (start, _, end) in spans.items()}


def _element(data: bytes, span: Span | None) -> bytes | None:
    return None if span is None else data[span[0] : span[2]]


def _computed_element(tag: int, value: object) -> bytes:
    if value is None:
        text = ""
    elif isinstance(value, str):
        text = value
    elif isinstance(value, Iterable):
        text = "\\".join(str(one) for one in value)
    else:
        text = str(value)
    return _known_text_element(tag, text) if len(text) <= _LONGEST_KNOWN else _text_element(tag, text)


def _text_element(tag: int, text: str) -> bytes:
    if not text.isascii():
        raise NeedsPydicom
    return _explicit(tag, dictionary_VR(tag), text.encode("ascii"))


_known_text_element = lru_cache(maxsize=1024)(_text_element)
_LONGEST_KNOWN = 256


def _explicit(tag: int, vr: str, value: bytes) -> bytes:
    if len(vr) != 2 or len(value) >= _MAX_SHORT:
        raise NeedsPydicom
    code = vr.encode("ascii")
    if len(value) % 2:
        value += b"\0" if code == b"UI" else b" "
    if code in _LONG_VRS:
        return _LONG_HEADER.pack(tag >> 16, tag & 0xFFFF, code, len(value)) + value
    return _HEADER.pack(tag >> 16, tag & 0xFFFF, code, len(value)) + value
