"""Specific Character Set (0008,0005) of a data set: the one declared, and the one needed (PS3.3 C.12.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from dcm4py_leading.dataset.text.character_sets import (
    EXTENSIONS,
    ONE_BYTE_EXTENSIONS,
    UTF_8,
    CharacterSet,
    declaration,
    extended,
    is_default,
    keeps,
)
from dcm4py_leading.dataset.text.text import TEXT_VRS, encode, is_decodable, marks_only_escapes
from dcm4py_leading.dataset.text.text_values import text_element, texts_of, vr_of
from dcm4py_leading.errors import UnencodableText

SPECIFIC_CHARACTER_SET = 0x00080005

Texts = Iterable[tuple[DataElement, str]]


def character_set(ds: Dataset) -> CharacterSet:
    """The set that ``ds`` names itself, as it is spelt there; empty when it names none: the default repertoire."""
    if SPECIFIC_CHARACTER_SET not in ds:
        return ()
    return codes_of(ds[SPECIFIC_CHARACTER_SET])


def codes_of(element: DataElement | None) -> CharacterSet:
    """Character set that an element (0008,0005) names; empty where it is absent or empty."""
    value = None if element is None else element.value
    codes = (value,) if isinstance(value, str) else tuple(value or ())
    return codes if any(codes) else ()


def parse_character_set(text: str) -> CharacterSet:
    """Read dcmDefaultCharacterSet: one value, or several with a backslash between them."""
    return tuple(code.strip() for code in text.split("\\"))


def specific_character_set(codes: CharacterSet) -> DataElement:
    """The element (0008,0005) that names ``codes``."""
    value = codes[0] if len(codes) == 1 else MultiValue(str, codes)
    # Validation would warn of a term that some peer has spelt in its own way.
    return DataElement(SPECIFIC_CHARACTER_SET, "CS", value, already_converted=True)


def elements_of(ds: Dataset) -> Iterator[DataElement]:
    """The elements of ``ds`` that have been parsed, and those of text, which are decoded; none is changed."""
    for tag in sorted(ds.keys()):
        element: object = ds.get_item(tag, keep_deferred=True)
        if tag == SPECIFIC_CHARACTER_SET:
            continue
        if isinstance(element, DataElement):
            yield element
        elif isinstance(element, RawDataElement) and element.value and (vr := vr_of(element, ds)) in TEXT_VRS:
            yield text_element(tag, vr, element.value, character_set(ds))


def unified(local: CharacterSet, new: Iterable[DataElement], kept: Iterable[DataElement] = ()) -> CharacterSet:
    """The character set that a data set needs which has ``kept`` elements in ``local``, and gets ``new`` ones.

    ``local`` if it can encode them, else UTF-8. Where ``kept`` has text that cannot be decoded as ``local`` declares,
    its octets would lose what little they say in UTF-8; then it is ``local`` with code extensions. Octets in ``new``
    are in ``local`` too. Raises UnencodableText, which names the attribute that is in the way.
    """
    # dcm4chee refuses to merge different sets; here text is Unicode between reading and writing.
    texts = list(texts_of(new))
    lacking = [(element, text) for element, text in texts if not _encodes(text, local, element.VR)]
    if not lacking:
        return local
    undecodable = [(element, text) for element, text in (*texts_of(kept), *texts) if not carries(text, local, (UTF_8,))]
    if not undecodable:
        return (UTF_8,)
    for codes in _extensions(local, lacking):
        is_true = all(carries(text, local, codes) for _, text in undecodable)
        if is_true and all(_encodes(text, codes, element.VR) for element, text in lacking):
            return codes
    undeclared, cause = _named(undecodable[0][0]), _named(lacking[0][0])
    hint = "; dcmDefaultCharacterSet may tell the right one" if is_default(local) else ""
    raise UnencodableText(
        f"{cause} is not in {described(local)}, and {undeclared}, which cannot be decoded in it, keeps it from being"
        f" changed{hint}"
    )


def carries(text: str, old: CharacterSet, new: CharacterSet) -> bool:
    """True if the octets in ``text`` that could not be decoded in ``old`` say in ``new`` what they said, if any."""
    if is_decodable(text):
        return True
    has_escapes = bool(declaration(old).escapes), bool(declaration(new).escapes)
    if marks_only_escapes(text) and not any(has_escapes):
        return True  # of no meaning in both
    return keeps(old, new) and (has_escapes[0] == has_escapes[1] or "\udc1b" not in text)


def lost(ds: Dataset, codes: CharacterSet) -> str | None:
    """The keyword of an attribute of ``ds`` whose text could not be written in ``codes``; None where all can."""
    tags = unwritable(ds, codes)
    return (keyword_for_tag(tags[0]) or str(tags[0])) if tags else None


def unwritable(ds: Dataset, codes: CharacterSet) -> list[BaseTag]:
    """The elements at the top of ``ds`` that have text, perhaps in items, which could not be written in ``codes``."""
    local = character_set(ds)
    return [
        top.tag
        for top in elements_of(ds)
        if any(
            not (carries(text, local, codes) and _encodes(text, codes, element.VR)) for element, text in texts_of([top])
        )
    ]


def undecodable(ds: Dataset) -> str | None:
    """Keyword of an attribute, at any depth, with text outside the declared character set."""
    for element in elements_of(ds):
        if element.VR == "SQ":
            for item in element.value or ():
                if (found := undecodable(item)) is not None:
                    return found
        elif not all(is_decodable(text) for _, text in texts_of([element])):
            return _named(element)
    return None


def described(codes: CharacterSet) -> str:
    """The set for people to read."""
    return "\\".join(codes) or "the default repertoire"


def _extensions(local: CharacterSet, texts: Texts) -> Iterator[CharacterSet]:
    """Extensions of ``local`` that may have what the texts need: one set, or several, first without those of CJK."""
    for candidates in (ONE_BYTE_EXTENSIONS, EXTENSIONS):
        for term in candidates:
            if codes := extended(local, [term]):
                yield codes
        terms: list[str] = []
        for element, text in texts:
            for char in text:
                if not _encodes(char, extended(local, terms) or (), element.VR):
                    terms += [one for one in candidates if _encodes(char, extended(local, [one]) or (), element.VR)][:1]
        if codes := extended(local, terms):
            yield codes


def _encodes(text: str, codes: CharacterSet, vr: str) -> bool:
    try:
        encode(text, codes, vr)
    except UnicodeEncodeError:
        return False
    return True


def _named(element: DataElement) -> str:
    return keyword_for_tag(element.tag) or str(element.tag)
