"""Lenient reader of encoded data sets, to trees of elements (see `elements`)."""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import NamedTuple

from pydicom.uid import UID

from dcm4py_leading.dataset.deflate import has_zlib_header, inflated
from dcm4py_leading.dataset.elements import DataSet, Element, Elements, Fragments, Item, Items, Oddity, Value
from dcm4py_leading.dataset.scan import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Buffer,
    Encoding,
    encoding_of,
)
from dcm4py_leading.dataset.vr import HAS_LONG_LENGTH, dictionary_vr, is_whole, swapped
from dcm4py_leading.errors import InvalidObject
from dcm4py_leading.model import bounds

_PIXEL_DATA = 0x7FE00010
_ITEM = 0xFFFEE000
_ITEM_DELIMITATION = 0xFFFEE00D
_SEQUENCE_DELIMITATION = 0xFFFEE0DD
_DELIMITATIONS = (_ITEM_DELIMITATION, _SEQUENCE_DELIMITATION)
_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH = 64
_COMPARED = 1 << 12
_ITEMS_OR_VALUE = (b"", b"SQ", b"UN")
_LIKELY_GROUPS = range(0x0002, 0x0100)


def read_data_set(
    data: Buffer,
    transfer_syntax_uid: str,
    *,
    start: int = 0,
    wanted: Collection[int] | None = None,
    most_inflated: int | None = None,
    most_elements: int = bounds.DATA_SET_NESTED_ELEMENTS,
) -> DataSet:
    """The data set that ``data`` holds from octet ``start`` on. Raises InvalidObject.

    With ``wanted``, only elements of the top level with these tags are there, and what is wrong in another one, as
    far as its length tells where it ends, does no harm. A deflated data set is refused where it has more than
    ``most_inflated`` octets, see `deflate.inflated`; any one where it has more than ``most_elements`` elements, items
    and fragments in all, or more than `bounds.DATA_SET_ELEMENTS` on its top level.
    """
    encoding = encoding_of(transfer_syntax_uid)
    if encoding is not None:
        return parse(data, encoding, start=start, wanted=wanted, most_elements=most_elements)
    deflated = memoryview(data)[start:]
    whole = inflated(deflated, most=most_inflated)
    ds = parse(whole, EXPLICIT_LITTLE, wanted=wanted, most_elements=most_elements)
    if has_zlib_header(deflated):
        ds.oddities.add(Oddity.ZLIB_HEADER)
    return ds


def parse(
    data: Buffer,
    encoding: Encoding,
    *,
    start: int = 0,
    end: int | None = None,
    wanted: Collection[int] | None = None,
    most_elements: int = bounds.DATA_SET_NESTED_ELEMENTS,
) -> DataSet:
    """As `read_data_set`, for an encoding that is not deflated, up to octet ``end``."""
    reader = _Reader(data, start, len(data) if end is None else end, most_elements)
    try:
        return reader.top_level(_FORMS[encoding], wanted)
    except InvalidObject as err:
        other = _other_encoding(data, encoding, start)
        if other is None:
            raise
        raise InvalidObject(f"the data set is not in its declared transfer syntax: it looks like {other}") from err


class _Form:
    """Form in which elements are encoded."""

    def __init__(self, encoding: Encoding) -> None:
        order = "<" if encoding.is_little_endian else ">"
        self.is_implicit = encoding.is_implicit_vr
        self.is_little_endian = encoding.is_little_endian
        self.head = struct.Struct(f"{order}HH2sH").unpack_from
        self.tag = struct.Struct(f"{order}HH").unpack_from
        self.short = struct.Struct(f"{order}H").unpack_from
        self.long = struct.Struct(f"{order}L").unpack_from


_IMPLICIT_BIG = Encoding(is_implicit_vr=True, is_little_endian=False)
"""No transfer syntax has it: the items of an element without VR in big endian."""
_FORMS = {one: _Form(one) for one in (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, _IMPLICIT_BIG)}


def _looks_like_vr(vr: bytes) -> bool:
    """True if two octets are meant as a VR, rather than as half a length."""
    return vr in (b"??", b"\0\0") or vr.isalpha()


class _Header(NamedTuple):
    """Header of an element, in a way that it may be read."""

    vr: bytes
    length: int
    value: int
    """Where its value begins."""
    oddity: Oddity | None = None


class _Reader:
    """One pass over a data set."""

    def __init__(self, data: Buffer, start: int, end: int, most_elements: int) -> None:
        self._data = memoryview(data)
        self._start = start
        self._size = end
        self._left = most_elements
        self._oddities: set[Oddity] = set()
        self._conflicting: dict[int, Value] = {}
        self._in_other_form = 0

    def top_level(self, form: _Form, wanted: Collection[int] | None) -> DataSet:
        elements, _, count = self._elements(self._start, self._size, form, 0, wanted=wanted)
        if 2 * self._in_other_form > count:
            vr = "without VR" if not form.is_implicit else "with VR"
            raise InvalidObject(f"the data set is not in its declared transfer syntax: its elements are {vr}")
        return DataSet(elements, self._oddities, self._conflicting)

    def _elements(
        self,
        at: int,
        end: int,
        form: _Form,
        depth: int,
        *,
        is_delimited: bool = False,
        wanted: Collection[int] | None = None,
    ) -> tuple[Elements, int, int]:
        """Elements up to ``end``, or to an Item Delimitation Item; what follows, and how many they were."""
        elements: Elements = {}
        last, count, is_ascending = -1, 0, True
        ended_by_length = False
        data, head = self._data, form.head
        is_plain = wanted is None and form.is_little_endian
        is_implicit = form.is_implicit
        most = bounds.DATA_SET_ELEMENTS if depth == 0 else bounds.DATA_SET_NESTED_ELEMENTS
        while at < end:
            if count >= most:
                raise InvalidObject(f"the data set has more than {most} elements")
            if end - at < 8:
                raise InvalidObject(f"the data set ends early, within an element at byte {at - self._start}")
            group, number, vr, length = head(data, at)
            tag = group << 16 | number
            # Most are as follows; the rest of the loop would do the same with them.
            if is_plain and is_ascending and tag > last:
                if is_implicit:
                    is_simple = group != 0xFFFE and vr not in HAS_LONG_LENGTH and dictionary_vr(tag) != "SQ"
                    vr, length = b"", form.long(data, at + 4)[0]
                else:
                    is_simple = HAS_LONG_LENGTH.get(vr) is False
                following = at + 8 + length
                if is_simple and following <= end and not length & 1 and self._left:
                    self._left -= 1
                    count += 1
                    elements[tag] = Element(tag, vr, data[at + 8 : following])
                    last, at, ended_by_length = tag, following, False
                    continue
            if group == 0xFFFE:
                if is_delimited and tag == _ITEM_DELIMITATION:
                    self._count(at)
                    return _ordered(elements, is_ascending), at + 8, count
                if is_delimited and tag == _SEQUENCE_DELIMITATION and not ended_by_length:
                    # The item lacks its own delimiter: that of the sequence is left to the sequence.
                    self._oddities.add(Oddity.STRAY_DELIMITER)
                    return _ordered(elements, is_ascending), at, count
                self._stray_delimiter(at, tag, form)
                at += 8
                continue
            header = self._header(at, end, form, tag)
            count += 1
            if depth == 0 and header.oddity is Oddity.OTHER_FORM:
                self._in_other_form += 1
            is_wanted = wanted is None or tag in wanted
            try:
                value, following = self._value(form, tag, header, end, depth, is_wanted=is_wanted)
            except InvalidObject:
                if wanted is None or tag <= max(wanted, default=0) or not is_ascending or tag <= last:
                    raise
                break  # all that is wanted is there
            ended_by_length = header.length != _UNDEFINED and (header.vr == b"SQ" or isinstance(value, Items))
            at = following
            if tag <= last:
                is_ascending = False
                self._oddities.add(Oddity.OUT_OF_ORDER)
            last = tag
            if not is_wanted:
                continue
            vr = header.vr
            if not form.is_little_endian and not is_whole(vr, header.length):
                vr = b"UN"  # nobody knows in which order its octets are
            element = Element(tag, vr, value)
            known = elements.setdefault(tag, element)
            if known is not element:
                self._oddities.add(Oddity.TWICE)
                if depth == 0 and _unpadded(known.value) != _unpadded(element.value):
                    self._conflicting.setdefault(tag, element.value)
        if is_delimited:
            raise InvalidObject(f"an item has no end at byte {at - self._start}")
        return _ordered(elements, is_ascending), at, count

    def _stray_delimiter(self, at: int, tag: int, form: _Form) -> None:
        self._count(at)
        if tag not in _DELIMITATIONS or form.long(self._data, at + 4)[0]:
            raise InvalidObject(f"an unexpected item at byte {at - self._start}")
        self._oddities.add(Oddity.STRAY_DELIMITER)

    def _count(self, at: int) -> None:
        if self._left == 0:
            raise InvalidObject(f"the data set has too many elements, items and fragments, at byte {at - self._start}")
        self._left -= 1

    # -- headers ------------------------------------------------------------------------------------------------

    def _header(self, at: int, end: int, form: _Form, tag: int) -> _Header:
        """The header of the element at ``at``. Raises InvalidObject where the element does not end before ``end``."""
        self._count(at)
        vr = bytes(self._data[at + 4 : at + 6])
        if form.is_implicit:
            implicit = _Header(b"", form.long(self._data, at + 4)[0], at + 8)
            if vr not in HAS_LONG_LENGTH and self._ends(implicit, end):
                return implicit
            candidates = [implicit, *self._with_vr(at, end, form, vr, Oddity.OTHER_FORM)]
        else:
            candidates = self._with_vr(at, end, form, vr, None)
            if candidates and self._ends(candidates[0], end):
                return candidates[0]
            candidates += self._without_known_vr(at, end, form, vr)
        best, score = None, 0
        for candidate in candidates:
            found = self._goes_on(candidate, end, form, tag)
            if found > score:
                best, score = candidate, found
        if best is None and form.is_implicit and self._ends(candidates[0], end):
            best = candidates[0]
        if best is None:
            what = "its VR is none, and" if not form.is_implicit and vr not in HAS_LONG_LENGTH else "it ends early, or"
            raise InvalidObject(
                f"the element ({tag >> 16:04X},{tag & 0xFFFF:04X}) at byte {at - self._start} cannot be understood: "
                f"{what} nothing goes on behind it"
            )
        if best.oddity is not None:
            self._oddities.add(best.oddity)
        return best

    def _with_vr(self, at: int, end: int, form: _Form, vr: bytes, oddity: Oddity | None) -> list[_Header]:
        """The header as VR, if it is one, and length."""
        is_long = HAS_LONG_LENGTH.get(vr)
        if is_long is None or (is_long and at + 12 > end):
            return []
        if is_long:
            return [_Header(vr, form.long(self._data, at + 8)[0], at + 12, oddity)]
        return [_Header(vr, form.short(self._data, at + 6)[0], at + 8, oddity)]

    def _without_known_vr(self, at: int, end: int, form: _Form, vr: bytes) -> list[_Header]:
        """The header with a VR that says nothing, of 16 or of 32 bits length, or without any (PS3.5 7.1.2, 7.1.3)."""
        known = HAS_LONG_LENGTH.get(vr)
        stated = b"" if known is None else vr
        oddity = Oddity.UNKNOWN_VR
        short = _Header(stated, form.short(self._data, at + 6)[0], at + 8, oddity)
        lengths = [] if known is False else [short]
        if at + 12 <= end and known is not True:
            long = _Header(stated, form.long(self._data, at + 8)[0], at + 12, oddity)
            # A VR that is newer than we are has 32 bits.
            lengths.insert(0 if vr.isalpha() and vr.isupper() else len(lengths), long)
        without = _Header(b"", form.long(self._data, at + 4)[0], at + 8, Oddity.OTHER_FORM)
        return [*lengths, without] if _looks_like_vr(vr) else [without, *lengths]

    def _ends(self, header: _Header, end: int) -> bool:
        return header.length == _UNDEFINED or header.value + header.length <= end

    def _goes_on(self, header: _Header, end: int, form: _Form, tag: int) -> int:
        """Score of what follows the element: 4 if it goes on as it should, 3 and 2 as it may, 0 not."""
        if not self._ends(header, end):
            return 0
        if header.length == _UNDEFINED:
            if header.value + 8 > end:
                return 0
            group, number = form.tag(self._data, header.value)
            return 4 if group << 16 | number in (_ITEM, _SEQUENCE_DELIMITATION) else 0
        at = header.value + header.length
        if at == end:
            return 4
        if at + 8 > end:
            return 0
        group, number = form.tag(self._data, at)
        following = group << 16 | number
        if group == 0xFFFE:
            return 4 if following in _DELIMITATIONS else 0
        is_ascending = following > tag
        if form.is_implicit:
            is_element = self._ends(_Header(b"", form.long(self._data, at + 4)[0], at + 8), end)
            return 2 * int(is_element) + 2 * int(is_ascending and is_element)
        vr = bytes(self._data[at + 4 : at + 6])
        known = self._with_vr(at, end, form, vr, None)
        if known and self._ends(known[0], end):
            return 4 if is_ascending else 2
        return 3 if is_ascending and self._may_be_odd(at, end, form, following, vr) else 0

    def _may_be_odd(self, at: int, end: int, form: _Form, tag: int, vr: bytes) -> bool:
        """True if an element at ``at`` makes sense without VR, or with one that says nothing.

        Octets of a value, taken for a tag, mostly do not.
        """
        if _looks_like_vr(vr):
            return any(self._ends(header, end) for header in self._without_known_vr(at, end, form, vr)[:-1])
        is_known = bool(tag >> 16 & 1) or bool(dictionary_vr(tag))
        return is_known and self._ends(_Header(b"", form.long(self._data, at + 4)[0], at + 8), end)

    # -- values -------------------------------------------------------------------------------------------------

    def _value(
        self, form: _Form, tag: int, header: _Header, end: int, depth: int, *, is_wanted: bool
    ) -> tuple[Value, int]:
        """The value, and where the next element begins."""
        vr, length, value, oddity = header
        if oddity is Oddity.OTHER_FORM:
            without_vr = IMPLICIT_LITTLE if form.is_little_endian else _IMPLICIT_BIG
            form = _FORMS[EXPLICIT_LITTLE if form.is_implicit else without_vr]
        if length == _UNDEFINED:
            if tag == _PIXEL_DATA or vr not in _ITEMS_OR_VALUE:
                return self._fragments(value, end, form)
            if vr == b"UN":
                form = self._form_of_unknown(value, form)
            return self._items(value, end, form, depth + 1, is_delimited=True)
        following = value + length
        if is_wanted and (vr == b"SQ" or (not vr and self._is_sequence(tag, value, following, form))):
            return self._items(value, following, form, depth + 1, is_delimited=False)
        if length & 1:
            self._oddities.add(Oddity.ODD_LENGTH)
        content = self._data[value:following]
        return content if form.is_little_endian else swapped(content, vr or _word_vr(tag)), following

    def _is_sequence(self, tag: int, value: int, following: int, form: _Form) -> bool:
        """True if a value without VR is a sequence: of that the data dictionary calls so, and that begins as one."""
        if dictionary_vr(tag) != "SQ":
            return False
        if value == following:
            return True
        if value + 8 > following:
            return False
        group, number = form.tag(self._data, value)
        return group << 16 | number in (_ITEM, _SEQUENCE_DELIMITATION)

    def _form_of_unknown(self, at: int, form: _Form) -> _Form:
        """The form of the items of a UN of undefined length: Implicit VR Little Endian (PS3.5 6.2.2).

        Some writers leave them in Explicit VR.
        """
        first = at + 8  # behind the header of the item
        vr = bytes(self._data[first + 4 : first + 6])
        if bytes(self._data[at : at + 4]) == b"\xfe\xff\x00\xe0" and vr not in HAS_LONG_LENGTH:
            return _FORMS[IMPLICIT_LITTLE]
        if vr in HAS_LONG_LENGTH and form.tag(self._data, first)[0] != 0xFFFE:
            self._oddities.add(Oddity.OTHER_FORM)
            return form
        return _FORMS[IMPLICIT_LITTLE]

    def _items(self, at: int, end: int, form: _Form, depth: int, *, is_delimited: bool) -> tuple[Items, int]:
        if depth > _MAX_DEPTH:
            raise InvalidObject(f"sequences nested more than {_MAX_DEPTH} deep at byte {at - self._start}")
        items: list[Item] = []
        while is_delimited or at < end:
            tag, length = self._item_header(at, end, form, "an item")
            at += 8
            if tag == _SEQUENCE_DELIMITATION and is_delimited:
                return Items(tuple(items), True), at
            if tag in _DELIMITATIONS:
                self._oddities.add(Oddity.STRAY_DELIMITER)
            elif length == _UNDEFINED:
                elements, at, _ = self._elements(at, end, form, depth, is_delimited=True)
                items.append(Item(elements, True))
            else:
                if at + length > end:
                    raise InvalidObject(f"an item ends outside of its sequence at byte {at - self._start}")
                elements, at, _ = self._elements(at, at + length, form, depth)
                items.append(Item(elements, False))
        return Items(tuple(items), False), at

    def _fragments(self, at: int, end: int, form: _Form) -> tuple[Fragments, int]:
        """Encapsulated pixel data (PS3.5 A.4)."""
        fragments: list[Buffer] = []
        while True:
            tag, length = self._item_header(at, end, form, "a fragment")
            at += 8
            if tag == _SEQUENCE_DELIMITATION:
                return Fragments(tuple(fragments)), at
            if tag != _ITEM or at + length > end:
                raise InvalidObject(f"a fragment was expected at byte {at - 8 - self._start}")
            if length & 1:
                self._oddities.add(Oddity.ODD_LENGTH)
            fragments.append(self._data[at : at + length])
            at += length

    def _item_header(self, at: int, end: int, form: _Form, what: str) -> tuple[int, int]:
        if at + 8 > end:
            raise InvalidObject(f"the data set ends early: {what} was expected at byte {at - self._start}")
        self._count(at)
        group, number = form.tag(self._data, at)
        tag = group << 16 | number
        if tag != _ITEM and tag not in _DELIMITATIONS:
            raise InvalidObject(f"{what} was expected at byte {at - self._start}")
        length: int = form.long(self._data, at + 4)[0]
        return tag, length


def _unpadded(value: Value) -> object:
    """The value as it is compared; a long one, which is no text to compare, as it is."""
    return value if isinstance(value, tuple) or len(value) > _COMPARED else bytes(value).rstrip(b" \0")


def _ordered(elements: Elements, is_ascending: bool) -> Elements:
    return elements if is_ascending else dict(sorted(elements.items()))


def _word_vr(tag: int) -> bytes:
    """A VR of the size of the words that the data dictionary has for it."""
    return dictionary_vr(tag)[-2:].encode()


def _other_encoding(data: Buffer, declared: Encoding, start: int) -> str | None:
    """The name of the encoding that the first element seems to be in, where it cannot be in the declared one."""
    view = memoryview(data)
    if len(view) < start + 8 or _begins_as(view, start, declared):
        return None
    for syntax in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2"):
        encoding = encoding_of(syntax)
        if encoding is not None and encoding != declared and _begins_as(view, start, encoding):
            return UID(syntax).name
    return None


def _begins_as(view: memoryview, start: int, encoding: Encoding) -> bool:
    form = _FORMS[encoding]
    if form.tag(view, start)[0] not in _LIKELY_GROUPS:
        return False
    if encoding.is_implicit_vr:
        return bool(start + 8 + form.long(view, start + 4)[0] <= len(view))
    return bytes(view[start + 4 : start + 6]) in HAS_LONG_LENGTH
