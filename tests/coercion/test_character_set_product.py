"""Every character set of ours against every one of the leading archive: from bytes, through the chain, to bytes."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from dcm4py_leading.coercion.chain import Answer, CoercionResult, LeadingQuestion, Question, coercion, run
from dcm4py_leading.dataset import data_sets
from dcm4py_leading.dataset.scan import IMPLICIT_LITTLE
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.model.archive import AttributeSet, AttributeSetType
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import UID, Tag
from tests.fixtures.rules import LEADING, application_entity, data_set, device, legacy_rule, selected
from tests.fixtures.scripted_query import ScriptedQuery

pytestmark = pytest.mark.ldap("dcmLeadingCFindSCP")

STUDY = UID("1.2.3")
PATIENT_NAME, STUDY_DESCRIPTION, INSTITUTION_NAME = 0x00100010, 0x00081030, 0x00080080
PROCEDURE_CODE_SEQUENCE, PHYSICIANS = 0x00081032, 0x00081048


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """A character set, text in it, and how Python encodes that; several codecs where code extensions switch."""

    codes: str
    name: str
    text: str
    codecs: tuple[str, ...]

    def __str__(self) -> str:
        return self.codes.replace("\\", "+") or "default"

    @property
    def texts(self) -> tuple[str, str]:
        """All of it."""
        return self.name, self.text

    def holds(self, text: str) -> bool:
        """Whether there is a code for each character."""
        return all(any(_encodes(char, codec) for codec in self.codecs) for char in text)


def _encodes(char: str, codec: str) -> bool:
    try:
        char.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


_JAPANESE = ("Yamada^Tarou=山田^太郎=やまだ^たろう", "東京 中央病院")
_KOREAN = ("Hong^Gildong=洪^吉洞=홍^길동", "서울 병원")
ENCODINGS = [
    Encoding(codes="", name="Smith^John", text="Community hospital", codecs=("ascii",)),
    Encoding(codes="ISO_IR 100", name="Müller^Jürgen", text="Städtische Klinik à Genève", codecs=("latin_1",)),
    Encoding(codes="ISO_IR 101", name="Wałęsa^Łucja", text="Szpital Łódź", codecs=("iso8859_2",)),
    Encoding(codes="ISO_IR 144", name="Люксембург^Иван", text="Больница", codecs=("iso8859_5",)),
    Encoding(
        codes="ISO_IR 192", name="Wang^XiaoDong=王^小東", text="Klinik Łódź, 東京, Больница 🏥", codecs=("utf_8",)
    ),
    Encoding(codes="GB18030", name="Wang^XiaoDong=王^小东", text="北京医院", codecs=("gb18030",)),
    Encoding(codes="\\ISO 2022 IR 87", name=_JAPANESE[0], text=_JAPANESE[1], codecs=("ascii", "iso2022_jp")),
    Encoding(
        codes="ISO 2022 IR 6\\ISO 2022 IR 87", name=_JAPANESE[0], text=_JAPANESE[1], codecs=("ascii", "iso2022_jp")
    ),
    Encoding(
        codes="ISO 2022 IR 13\\ISO 2022 IR 87",
        name="ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        text="東京 ﾋﾞｮｳｲﾝ",
        codecs=("ascii", "shift_jis"),
    ),
    Encoding(codes="\\ISO 2022 IR 149", name=_KOREAN[0], text=_KOREAN[1], codecs=("ascii", "euc_kr")),
    Encoding(codes="ISO 2022 IR 6\\ISO 2022 IR 149", name=_KOREAN[0], text=_KOREAN[1], codecs=("ascii", "euc_kr")),
    Encoding(
        codes="ISO 2022 IR 100\\ISO 2022 IR 144",
        name="Müller^Jürgen",
        text="Больница",
        codecs=("latin_1", "iso8859_5"),
    ),
]
PRODUCT = [(ours, theirs) for ours in ENCODINGS for theirs in ENCODINGS]
NON_ASCII = ENCODINGS[1:]


def described(encoding: Encoding, **values: object) -> Dataset:
    """A study, with text at the top, of several values, and in an item."""
    ds = data_set(
        StudyInstanceUID=STUDY,
        PatientName=encoding.name,
        StudyDescription=encoding.text,
        PhysiciansOfRecord=[encoding.name, encoding.name],
        ProcedureCodeSequence=[data_set(CodeMeaning=encoding.text)],
        **values,
    )
    if encoding.codes:
        ds.SpecificCharacterSet = encoding.codes.split("\\")
    return ds


def written(ds: Dataset) -> bytes:
    return data_sets.write(ds, IMPLICIT_LITTLE)


def read(data: bytes) -> Dataset:
    return data_sets.read(data, IMPLICIT_LITTLE)


def without_character_set(data: bytes) -> bytes:
    """The same text, and not a word of how it is encoded."""
    assert data[:4] == b"\x08\x00\x05\x00"
    return data[8 + int.from_bytes(data[4:8], "little") :]


DEVICE = device(
    attribute_sets=(
        AttributeSet(
            dn="set",
            attribute_set_type=AttributeSetType.LEADING_CFIND_SCP,
            attribute_set_id="*",
            tags=tuple(map(Tag, (PATIENT_NAME, STUDY_DESCRIPTION, PROCEDURE_CODE_SEQUENCE, PHYSICIANS))),
        ),
    )
)


def coerced(ours: bytes, theirs: bytes, *, default: str | None = None, **rule: Any) -> CoercionResult:
    """What comes of our object when the leading archive answers with ``theirs``."""
    ae = application_entity(charset=default)
    lookup = LeadingLookup(DEVICE, ScriptedQuery(lambda uids: [read(theirs)]), clock=lambda: 0.0)
    chosen = selected(legacy_rule(leading_cfind_scp=LEADING, **rule))

    def answer(question: Question) -> Answer:
        assert isinstance(question, LeadingQuestion)
        return lookup.answers([question], ae)[question]

    return run(coercion(read(ours), chosen), answer)


def codes_of(ds: Dataset) -> str:
    value = ds.get("SpecificCharacterSet") or ""
    return value if isinstance(value, str) else "\\".join(value)


def expected_codes(ours: Encoding, *texts: str) -> str:
    """Our set stays as long as it has a code for everything."""
    return ours.codes if all(ours.holds(text) for text in texts) else "ISO_IR 192"


def assert_text(ds: Dataset, encoding: Encoding) -> None:
    assert str(ds.PatientName) == encoding.name
    assert ds.StudyDescription == encoding.text
    assert [str(name) for name in ds.PhysiciansOfRecord] == [encoding.name] * 2
    assert ds.ProcedureCodeSequence[0].CodeMeaning == encoding.text


@pytest.mark.ldap("dcmAttributeUpdatePolicy")
@pytest.mark.parametrize(("ours", "theirs"), PRODUCT, ids=str)
def test_object_is_written_with_all_text_of_both_and_the_set_that_holds_it(ours: Encoding, theirs: Encoding) -> None:
    outcome = coerced(written(described(ours, InstitutionName=ours.text)), written(described(theirs)))
    assert outcome.remarks == ()
    data = written(outcome.dataset)
    again = read(data)
    assert codes_of(again) == expected_codes(ours, *theirs.texts)
    assert_text(again, theirs)
    assert again.InstitutionName == ours.text


@pytest.mark.parametrize(("ours", "theirs"), PRODUCT, ids=str)
def test_supplement_keeps_our_text_and_adds_theirs(ours: Encoding, theirs: Encoding) -> None:
    local = described(ours)
    del local.StudyDescription
    del local.ProcedureCodeSequence
    outcome = coerced(written(local), written(described(theirs)), attribute_update_policy=UpdatePolicy.SUPPLEMENT)
    again = read(written(outcome.dataset))
    assert codes_of(again) == expected_codes(ours, theirs.text)
    assert str(again.PatientName) == ours.name
    assert again.StudyDescription == again.ProcedureCodeSequence[0].CodeMeaning == theirs.text


def codecs_of(codes: str) -> tuple[str, ...]:
    return next(encoding.codecs for encoding in ENCODINGS if encoding.codes == codes)


# How text with escape sequences comes back is what the other tests are about.
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(ours, theirs) for ours, theirs in PRODUCT if len(codecs_of(expected_codes(ours, *theirs.texts))) == 1],
    ids=str,
)
def test_bytes_are_those_of_the_set_that_is_named(ours: Encoding, theirs: Encoding) -> None:
    outcome = coerced(written(described(ours, InstitutionName=ours.text)), written(described(theirs)))
    data = written(outcome.dataset)
    (codec,) = codecs_of(codes_of(read(data)))
    again = dcmread(BytesIO(data), force=True)
    for tag, text in ((STUDY_DESCRIPTION, theirs.text), (INSTITUTION_NAME, ours.text)):
        assert again.get_item(tag).value.rstrip(b" ") == text.encode(codec)


@pytest.mark.parametrize("ours", ENCODINGS, ids=str)
def test_same_text_in_another_set_is_no_change(ours: Encoding) -> None:
    theirs = Encoding(codes="ISO_IR 192", name=ours.name, text=ours.text, codecs=("utf_8",))
    outcome = coerced(written(described(ours)), written(described(theirs)))
    assert outcome.changes == ()
    assert codes_of(read(written(outcome.dataset))) == ours.codes


@pytest.mark.ldap("dcmDefaultCharacterSet")
@pytest.mark.parametrize("theirs", NON_ASCII, ids=str)
@pytest.mark.parametrize("ours", ENCODINGS, ids=str)
def test_answer_that_names_no_set_is_read_in_the_default_one(ours: Encoding, theirs: Encoding) -> None:
    unnamed = without_character_set(written(described(theirs)))
    outcome = coerced(written(described(ours, InstitutionName=ours.text)), unnamed, default=theirs.codes)
    assert outcome.remarks == ()
    again = read(written(outcome.dataset))
    assert codes_of(again) == expected_codes(ours, *theirs.texts)
    assert_text(again, theirs)
    assert again.InstitutionName == ours.text


@pytest.mark.ldap("dcmDefaultCharacterSet")
@pytest.mark.parametrize("theirs", NON_ASCII, ids=str)
def test_answer_that_names_a_set_is_read_in_that_whatever_the_default(theirs: Encoding) -> None:
    outcome = coerced(written(described(ENCODINGS[0])), written(described(theirs)), default="ISO_IR 126")
    assert_text(read(written(outcome.dataset)), theirs)
