"""The DICOM JSON Model (PS3.18 Annex F), written from trees of elements; long values are told by their URLs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from dcm4py_leading.dataset.dicom_json.writing import IS_UTF_8, character_set_of, json_member
from dcm4py_leading.dataset.elements import Element, Elements, Fragments, Items
from dcm4py_leading.dataset.encoder import encoded_element, vr_of
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.dataset.text.character_sets import CharacterSet
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET

BULK_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"})
"""VRs of values that may be told by a URL."""

Path = tuple[int, ...]
"""Tag, then number of an item, counted from 1, and tag in it, and so on."""


def json_of_tree(
    elements: Elements,
    *,
    longest: int,
    url_of: Callable[[Path], str],
    not_read: Mapping[int, bytes],
) -> str:
    """The JSON object of a data set, in which binary values longer than ``longest`` are told by ``url_of`` their paths.

    ``not_read`` are elements besides, of which only tag and VR are known. Raises one of UNREADABLE.
    """
    return _Writer(longest, url_of).data_set(elements, (), (), (), not_read)


class _Writer:
    def __init__(self, longest: int, url_of: Callable[[Path], str]) -> None:
        self._longest = longest
        self._url_of = url_of

    def data_set(
        self,
        elements: Elements,
        above: tuple[Elements, ...],
        inherited: CharacterSet,
        path: Path,
        not_read: Mapping[int, bytes],
    ) -> str:
        codes, within = inherited, (elements, *above)
        members = {tag: self._bulk(tag, vr, (*path, tag)) for tag, vr in not_read.items()}
        declared = elements.get(SPECIFIC_CHARACTER_SET)
        if declared is not None and not isinstance(declared.value, tuple):
            codes = character_set_of(bytes(declared.value))
        for tag, element in elements.items():
            if tag == SPECIFIC_CHARACTER_SET:
                members[tag] = IS_UTF_8
            elif tag & 0xFFFF:  # a group length is of no use here
                members[tag] = self._member(element, within, codes, (*path, tag))
        return f"{{{','.join(members[tag] for tag in sorted(members))}}}"

    def _member(self, element: Element, within: tuple[Elements, ...], codes: CharacterSet, path: Path) -> str:
        tag, _, value = element
        if isinstance(value, Items):
            items = [
                self.data_set(item.elements, within, codes, (*path, number), {})
                for number, item in enumerate(value.items, 1)
            ]
            told = f',"Value":[{",".join(items)}]' if items else ""
            return f'"{tag:08X}":{{"vr":"SQ"{told}}}'
        vr = vr_of(element, within)
        if isinstance(value, Fragments) or (vr in BULK_VRS and len(value) > self._longest):
            return self._bulk(tag, vr, path)
        return json_member(encoded_element(element, EXPLICIT_LITTLE, *within), codes)

    def _bulk(self, tag: int, vr: bytes, path: Path) -> str:
        return f'"{tag:08X}":{{"vr":"{vr.decode("ascii")}","BulkDataURI":{json.dumps(self._url_of(path))}}}'
