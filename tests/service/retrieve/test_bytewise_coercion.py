"""Objects that are coerced on their bytes are what they would be if they were decoded as a whole."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filereader import read_dataset

from dcm4py_leading.archive.index.attributes import encode, selected
from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.coercion.schemes import Environment
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Encoding, encoding_of
from dcm4py_leading.errors import LeadingUnavailable, StatusError, SubOperationFailed
from dcm4py_leading.model.archive import Entity
from dcm4py_leading.model.bounds import COERCED_OBJECT_BYTES
from dcm4py_leading.model.coercion import AnyRule, UpdatePolicy
from dcm4py_leading.model.values import AETitle, Tag
from dcm4py_leading.service.retrieve import file_bytes
from dcm4py_leading.service.retrieve.relevant_tags import NeedsDecoding
from tests.dataset.test_scan import BROKEN
from tests.fixtures.encoded import ENCODINGS, encoded
from tests.fixtures.outgoing import (
    ENVIRONMENT,
    INSTANCE,
    LEVELS,
    Retrieve,
    as_a_whole,
    bytewise,
    encoding_syntax,
    indexed,
    sent,
    write_object,
)
from tests.fixtures.rules import CT, LEADING, MODALITY, data_set, environment, legacy_rule, version_2_rule
from tests.fixtures.samples import sample_files


@pytest.fixture(autouse=True)
def values_as_they_are() -> Iterator[None]:
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def value_of(element: pydicom.DataElement) -> object:
    if element.VR == "SQ":
        return [values(item) for item in element.value or ()]
    if element.VR == "PN":
        return str(element.value or "")
    if isinstance(element.value, str):
        return element.value.rstrip(" \0")
    return None if element.is_empty else element.value


def values(ds: Dataset) -> dict[int, tuple[str, object]]:
    """Everything in ``ds``, decoded; without what depends on the moment."""
    ignored = (0x0400, 0x0562)
    return {
        int(element.tag): (element.VR, value_of(element))
        for element in ds
        if (element.tag.group, element.tag.element) != ignored and element.tag.element != 0
    }


def decoded(data: bytes, encoding: Encoding) -> dict[int, tuple[str, object]]:
    return values(read_dataset(BytesIO(data), encoding.is_implicit_vr, encoding.is_little_endian))


@dataclass(frozen=True)
class CharacterSet:
    code: str | list[str] | None
    texts: tuple[str, ...]


CHARACTER_SETS = (
    CharacterSet(None, ("plain", "Doe^John")),
    CharacterSet("ISO_IR 100", ("Müller^Jörg", "plain")),
    CharacterSet(["", "ISO 2022 IR 87"], ("Yamada^Tarou=山田^太郎", "plain")),
    CharacterSet("ISO_IR 192", ("山田^太郎", "Müller", "Ωμέγα")),
    CharacterSet("ISO_IR 13", ("ﾔﾏﾀﾞ^ﾀﾛｳ", "plain")),
)
FOREIGN = ("Ωμέγα^Ж", "Müller", "山田^太郎", "plain", "")
TEXTS = {
    "PatientName": 1, "PatientID": 0, "IssuerOfPatientID": 0, "PatientSex": 0, "AccessionNumber": 0,
    "StudyDescription": 1, "StudyID": 0, "SeriesDescription": 1, "InstitutionName": 1, "ImageComments": 1,
    "InstanceNumber": 2, "PixelRepresentation": 3, "Manufacturer": 1, "RequestedProcedureDescription": 1,
}  # fmt: skip


@st.composite
def objects(draw: st.DrawFn, texts: CharacterSet) -> Dataset:
    ds = Dataset()
    if texts.code is not None:
        ds.SpecificCharacterSet = texts.code
    text = st.sampled_from(texts.texts)
    kinds = [st.sampled_from(["", "A1", "B 2"]), text, st.integers(0, 99), st.integers(0, 1)]
    for keyword, kind in TEXTS.items():
        if draw(st.booleans()):
            setattr(ds, keyword, draw(kinds[kind]))
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = CT, "1.2.3", "1.2.1", "1.2.2"
    ds.Modality = "CT"
    for keyword in ("RequestAttributesSequence", "ContentSequence", "DigitalSignaturesSequence"):
        if draw(st.booleans()):
            setattr(ds, keyword, [data_set(StudyDescription=draw(text), TextValue=draw(text))])
    if draw(st.booleans()):
        ds.IssuerOfPatientIDQualifiersSequence = [data_set(UniversalEntityID="1.2", UniversalEntityIDType="ISO")]
        ds.OtherPatientIDsSequence = [data_set(PatientID="O1")]
    if draw(st.booleans()):
        ds.add_new(0x00090010, "LO", "CREATOR")
        ds.add_new(0x00091001, "LO", draw(text))
    if draw(st.booleans()):
        ds.add_new(0x00080000, "UL", 1234)
    if draw(st.booleans()):
        ds.add_new(0x7FE00010, "OW", bytes(range(8)))
        if draw(st.booleans()):
            ds.add_new(0xFFFCFFFC, "OB", bytes(6))
    return ds


@st.composite
def changed_copies(draw: st.DrawFn, ds: Dataset, texts: CharacterSet) -> Dataset:
    """What the index says: as the object, with some of it edited."""
    copy = deepcopy(ds)
    for keyword in draw(st.lists(st.sampled_from([*TEXTS]), max_size=3)):
        kind = TEXTS[keyword]
        if kind < 2:
            setattr(copy, keyword, draw(st.sampled_from(("", *texts.texts) if kind else ("", "Z9"))))
        elif kind == 2:
            setattr(copy, keyword, draw(st.sampled_from([7, None])))
    return copy


@st.composite
def rules(draw: st.DrawFn) -> tuple[AnyRule, ...]:
    policy = draw(st.sampled_from(list(UpdatePolicy)))
    text = draw(st.sampled_from(FOREIGN))
    every: list[AnyRule] = [
        legacy_rule(leading_cfind_scp=AETitle(LEADING), attribute_update_policy=policy),
        version_2_rule(cn="v2 leading", uri=f"leading-arc:{LEADING}", attribute_update_policy=policy),
        version_2_rule(
            cn="merge", uri="merge-attrs:", merge_attributes=(f"StudyDescription={text}", "StudyID={PatientID}")
        ),
        version_2_rule(cn="number", uri="merge-attrs:", merge_attributes=("SeriesDescription=No {InstanceNumber}",)),
        legacy_rule(cn="nullify", nullify_tags=(Tag(0x00100010), Tag(0x00080080))),
        legacy_rule(cn="issuer", issuer_of_patient_id_format="{PatientSex}X", nullify_issuer_of_patient_id=None),
        version_2_rule(cn="device", uri="sup-from-dev:", supplement_from_device_reference=MODALITY),
        legacy_rule(cn="as received", retrieve_as_received=True),
    ]
    return tuple(draw(st.lists(st.sampled_from(every), max_size=3, unique_by=lambda rule: rule.cn)))


@st.composite
def answers(draw: st.DrawFn) -> Dataset | None:
    if draw(st.booleans()):
        return None
    text = st.sampled_from(FOREIGN)
    return data_set(
        SpecificCharacterSet="ISO_IR 192",
        StudyInstanceUID="1.2.1",
        PatientName=draw(text),
        PatientID=draw(st.sampled_from(["", "L1"])),
        StudyDescription=draw(text),
    )


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return replace(ENVIRONMENT, devices=environment(tmp_path_factory.mktemp("sheets")).devices)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_spliced_bytes_decode_like_the_whole_coerced_object(devices: Environment, data: st.DataObject) -> None:
    texts = data.draw(st.sampled_from(CHARACTER_SETS))
    encoding = data.draw(st.sampled_from(ENCODINGS))
    ds = data.draw(objects(texts))
    content = encoded(ds, encoding)
    ds = read_dataset(BytesIO(content), encoding.is_implicit_vr, encoding.is_little_endian)
    # What resembles the object, in a part of the elements or of the index, must not become what that does.
    variants = [(ds, data.draw(changed_copies(ds, texts)))]
    for _ in range(data.draw(st.integers(0, 2))):
        other = data.draw(changed_copies(ds, texts)) if data.draw(st.booleans()) else ds
        variants.append((other, data.draw(changed_copies(ds, texts))))
    syntax = encoding_syntax(encoding)
    charset = data.draw(st.sampled_from([None, "ISO_IR 100"]))
    tells, are_copies = data.draw(st.booleans()), data.draw(st.booleans())
    policies = {entity: data.draw(st.sampled_from(UpdatePolicy)) for entity in Entity}
    applied, answer = data.draw(rules()), data.draw(answers())
    head, for_system = data.draw(st.sampled_from([file_bytes.HEAD, 600])), data.draw(st.booleans())
    with TemporaryDirectory() as name:
        instances = []
        for number, (variant, edited) in enumerate(variants):
            path = write_object(Path(name) / f"object {number}", encoded(variant, encoding), syntax)
            instances.append(indexed(path, syntax, [(edited, tags) for tags in LEVELS]))
        results: list[list[tuple[object, object]]] = []
        earlier: Retrieve | None = None
        for way in ("bytewise", "as remembered", "as a whole"):
            results.append([])
            retrieve = Retrieve(
                Path(name),
                *applied,
                answer=answer,
                charset=charset,
                tells_original_attributes=tells,
                environment=devices,
                policies=policies,
                are_copies=are_copies,
                after=earlier,
            )
            earlier = retrieve
            for instance in instances:
                stored = retrieve.instance(instance)
                with patch.object(file_bytes, "HEAD", head):
                    try:
                        prepared = as_a_whole(stored) if way == "as a whole" else bytewise(stored, encoding)
                    except NeedsDecoding:
                        return
                    except StatusError as err:
                        results[-1].append((type(err), None))
                        continue
                    results[-1].append((prepared.sop_instance_uid, decoded(sent(prepared, for_system), encoding)))
    assert results[0] == results[1] == results[2]


LEADING_RULE = legacy_rule(leading_cfind_scp=AETitle(LEADING), attribute_update_policy=UpdatePolicy.OVERWRITE)
ANSWER = data_set(StudyInstanceUID="1.2.1", PatientName="Right^Name", PatientID="RIGHT-ID", StudyDescription="Theirs")


def data_set_of(path: Path) -> tuple[bytes, str, Dataset] | None:
    """The bytes of a test file's data set, its transfer syntax, and what pydicom reads; None where it is no object."""
    with path.open("rb") as file:
        ds = pydicom.dcmread(file, force=True)
        syntax = ds.file_meta.get("TransferSyntaxUID")
        length = ds.file_meta.get("FileMetaInformationGroupLength")
        file.seek(144 + (length or 0))
        content = file.read()
    if syntax is None or length is None or "SOPInstanceUID" not in ds:
        return None
    return content, str(syntax), ds


@pytest.mark.parametrize("path", sample_files(), ids=lambda path: path.name)
def test_a_real_object_that_nothing_changes_leaves_byte_by_byte(path: Path, tmp_path: Path) -> None:
    found = data_set_of(path)
    if found is None:
        return
    content, syntax, ds = found
    file = write_object(tmp_path / "object", content, syntax)
    instance = indexed(file, syntax, [(ds, tags) for tags in LEVELS])
    stored = Retrieve(tmp_path).instance(instance)
    if path.name in BROKEN:  # none of them can have been stored
        with pytest.raises(SubOperationFailed, match="cannot be parsed"):
            stored.prepare([syntax])
        return
    assert sent(stored.prepare([syntax])) == content


@pytest.mark.parametrize("path", sample_files(), ids=lambda path: path.name)
def test_bytewise_coercion_of_real_object_equals_whole_object_coercion(path: Path, tmp_path: Path) -> None:
    found = data_set_of(path)
    if found is None:
        return
    content, syntax, ds = found
    file = write_object(tmp_path / "object", content, syntax)
    instance = indexed(file, syntax, [(ds, tags) for tags in LEVELS])
    encoding = encoding_of(syntax)
    if encoding is None:
        return
    stored = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER).instance(instance)
    with suppress(SubOperationFailed, NeedsDecoding):
        whole = decoded(sent(as_a_whole(stored)), encoding)
        cut = decoded(sent(bytewise(stored, encoding), for_system=True), encoding)
        assert cut == whole
        assert "StudyInstanceUID" not in ds or cut[0x00100020][1] == "RIGHT-ID"


def series(folder: Path, count: int, **values: object) -> list[tuple[IndexedInstance, Dataset]]:
    """Objects that differ in what belongs to an instance, as the index keeps them."""
    made = []
    syntax = encoding_syntax(EXPLICIT_LITTLE)
    for number in range(count):
        ds = data_set(
            SOPClassUID=CT,
            SOPInstanceUID=f"1.2.3.{number}",
            StudyInstanceUID="1.2.1",
            SeriesInstanceUID="1.2.2",
            Modality="CT",
            PatientName="Stale^Name",
            PatientID="STALE-ID",
            InstanceNumber=number,
            **values,
        )
        path = write_object(folder / str(number), encoded(ds, EXPLICIT_LITTLE), syntax)
        made.append((indexed(path, syntax, [(ds, tags) for tags in LEVELS], f"1.2.3.{number}"), ds))
    return made


def prepare_all(retrieve: Retrieve, instances: Iterable[IndexedInstance]) -> list[dict[int, tuple[str, object]]]:
    syntax = encoding_syntax(EXPLICIT_LITTLE)
    return [decoded(sent(retrieve.instance(one).prepare([syntax])), EXPLICIT_LITTLE) for one in instances]


def test_the_objects_of_a_series_are_decoded_once_and_counted_each(tmp_path: Path) -> None:
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
    out = prepare_all(retrieve, [instance for instance, _ in series(tmp_path, 20)])
    assert retrieve.common.bytewise.decoded == 1
    assert {one[0x00100010][1] for one in out} == {"Right^Name"}
    assert [one[0x00200013][1] for one in out] == list(range(20))
    assert retrieve.counts.read() == {("legacy", "leading-arc", "applied"): 20}


@pytest.mark.parametrize("is_private", [False, True])
def test_steps_are_counted_once_for_an_object_that_takes_several_attempts(tmp_path: Path, is_private: bool) -> None:
    answer = data_set(SpecificCharacterSet="ISO_IR 192", StudyInstanceUID="1.2.1", PatientName="山田^太郎")
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=answer)
    instances = []
    for instance, ds in series(tmp_path, 3, SpecificCharacterSet="ISO_IR 100", ImageComments="Müller"):
        if is_private:
            ds.add_new(0x00090010, "LO", "CREATOR")
            ds.add_new(0x00091001, "LO", "Müller")
        path = tmp_path / instance.location.path
        write_object(path, encoded(ds, EXPLICIT_LITTLE), instance.transfer_syntax_uid)
        instances.append(instance._replace(location=instance.location._replace(size=path.stat().st_size)))
    out = prepare_all(retrieve, instances)
    assert {(one[0x00100010][1], one[0x00204000][1]) for one in out} == {("山田^太郎", "Müller")}
    assert retrieve.counts.read() == {("legacy", "leading-arc", "applied"): 3}


def test_objects_that_no_rule_is_about_are_decoded_once_and_stay_as_they_are(tmp_path: Path) -> None:
    retrieve = Retrieve(tmp_path)
    prepare_all(retrieve, [instance for instance, _ in series(tmp_path, 20)])
    assert retrieve.common.bytewise.decoded == 1


def test_the_same_bytes_in_another_character_set_are_another_text(tmp_path: Path) -> None:
    retrieve = Retrieve(tmp_path, are_copies=True)
    made = series(tmp_path, 3, SpecificCharacterSet="ISO_IR 100", AcquisitionContextDescription="Señora")
    instances = [instance for instance, _ in made]
    latin_2 = instances[2].encoded_attributes[3].replace(b"ISO_IR 100", b"ISO_IR 101")
    instances[2] = instances[2]._replace(encoded_attributes=(*instances[2].encoded_attributes[:3], latin_2))
    out = prepare_all(retrieve, instances)
    assert [one[0x00400556][1] for one in out] == ["Señora", "Señora", "Seńora"]


def test_a_copy_that_says_something_else_than_the_index_costs_one_decoding_and_is_updated(tmp_path: Path) -> None:
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER, are_copies=True)
    instances = series(tmp_path, 6)
    for number in (2, 4):
        instance, ds = instances[number]
        ds.InstanceNumber = 100 + number
        own = encode(selected(ds, INSTANCE))
        instances[number] = (instance._replace(encoded_attributes=(*instance.encoded_attributes[:3], own)), ds)
    out = prepare_all(retrieve, [instance for instance, _ in instances])
    assert retrieve.common.bytewise.decoded == 3
    assert [one[0x00200013][1] for one in out] == [0, 1, 102, 3, 104, 5]
    assert {one[0x00100020][1] for one in out} == {"RIGHT-ID"}


def test_copies_that_say_the_same_get_each_what_the_index_has_of_it(tmp_path: Path) -> None:
    """Where a rule reads an attribute that the index keeps for the instance alone."""
    rule = version_2_rule(uri="merge-attrs:", merge_attributes=("StudyID=No {InstanceNumber}",))
    retrieve = Retrieve(tmp_path, rule, are_copies=True)
    instances = []
    for number, (instance, ds) in enumerate(series(tmp_path, 3)):
        ds.InstanceNumber = 7
        path = tmp_path / instance.location.path
        write_object(path, encoded(ds, EXPLICIT_LITTLE), instance.transfer_syntax_uid)
        ds.InstanceNumber = number
        own = encode(selected(ds, INSTANCE))
        instances.append(instance._replace(encoded_attributes=(*instance.encoded_attributes[:3], own)))
    out = prepare_all(retrieve, [instances[0], instances[0], *instances])
    numbers = [0, 0, 0, 1, 2]
    assert [int(str(one[0x00200013][1])) for one in out] == numbers
    assert [one[0x00200010][1] for one in out] == [f"No {number}" for number in numbers]


def test_a_random_number_is_another_for_each_object(tmp_path: Path) -> None:
    rule = version_2_rule(uri="merge-attrs:", merge_attributes=("StudyID={rnd}",))
    retrieve = Retrieve(tmp_path, rule)
    out = prepare_all(retrieve, [instance for instance, _ in series(tmp_path, 5)])
    assert len({str(one[0x00200010][1]) for one in out}) == 5
    assert retrieve.common.bytewise.decoded == 5


def test_a_step_that_reads_everything_takes_the_whole_object(tmp_path: Path) -> None:
    retrieve = Retrieve(tmp_path, version_2_rule(uri="deidentify:"))
    ((instance, ds),) = series(tmp_path, 1)
    (out,) = prepare_all(retrieve, [instance])
    assert retrieve.common.bytewise.decoded == 0
    assert out[0x00080018][1] != ds.SOPInstanceUID


def test_a_remembered_object_costs_one_reading_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
    instances = [instance for instance, _ in series(tmp_path, 10)]
    calls: Counter[str] = Counter()
    for name in ("preadv", "fstat"):
        original = getattr(os, name)

        def counted(*arguments: object, _name: str = name, _original: Callable[..., object] = original) -> object:
            calls[_name] += 1
            return _original(*arguments)

        monkeypatch.setattr(os, name, counted)
    prepare_all(retrieve, instances)
    assert calls == {"preadv": 10}


def test_the_next_retrieve_decodes_nothing_and_counts_all_the_same(tmp_path: Path) -> None:
    instances = [instance for instance, _ in series(tmp_path, 2)]
    first = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
    before = prepare_all(first, instances)
    second = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER, after=first)
    assert prepare_all(second, instances) == before
    assert (first.common.bytewise.decoded, second.common.bytewise.decoded) == (1, 0)
    assert second.counts.read() == {("legacy", "leading-arc", "applied"): 4}


def test_an_outcome_of_all_attributes_of_the_index_is_remembered_for_these_alone(tmp_path: Path) -> None:
    syntax = encoding_syntax(EXPLICIT_LITTLE)
    ((instance, ds),) = series(tmp_path, 1, StudyDescription="As stored")
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
    outcomes = []
    for description in ("   ", "   ", "Schädel", "Schädel"):  # blank, and in UTF-8: the octets alone decide nothing
        other = deepcopy(ds)
        other.SpecificCharacterSet, other.StudyDescription = "ISO_IR 192", description
        known = indexed(tmp_path / "0", syntax, [(other, tags) for tags in LEVELS], "1.2.3.0")
        retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER, after=retrieve)
        (out,) = prepare_all(retrieve, [known._replace(location=instance.location)])
        outcomes.append((out[0x00100010][1], retrieve.common.bytewise.decoded > 0))
    assert outcomes == [("Right^Name", True), ("Right^Name", False), ("Right^Name", True), ("Right^Name", False)]


def test_another_answer_makes_another_object_of_the_same_bytes(tmp_path: Path) -> None:
    instances = [instance for instance, _ in series(tmp_path, 1)]
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
    names = []
    for answer in (ANSWER, data_set(StudyInstanceUID="1.2.1", PatientName="Other^Name"), None, ANSWER):
        retrieve = Retrieve(tmp_path, LEADING_RULE, answer=answer, after=retrieve)
        names += [one[0x00100010][1] for one in prepare_all(retrieve, instances)]
    assert names == ["Right^Name", "Other^Name", "Stale^Name", "Right^Name"]


def test_equal_but_new_answer_object_is_coerced_again(tmp_path: Path) -> None:
    instances = [instance for instance, _ in series(tmp_path, 1)]
    first = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
    second = Retrieve(tmp_path, LEADING_RULE, answer=deepcopy(ANSWER), after=first)
    assert prepare_all(first, instances) == prepare_all(second, instances)
    assert second.common.bytewise.decoded == 1


def test_archive_without_answer_is_not_cached(tmp_path: Path) -> None:
    instances = [instance for instance, _ in series(tmp_path, 1)]
    first = Retrieve(tmp_path, LEADING_RULE, answer=LeadingUnavailable("away"))
    (out,) = prepare_all(first, instances)
    assert out[0x00100010][1] == "Stale^Name"
    assert len(first.coercions.outcomes) == 0
    second = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER, after=first)
    assert [one[0x00100010][1] for one in prepare_all(second, instances)] == ["Right^Name"]


@pytest.mark.parametrize(("length", "remembered"), [(COERCED_OBJECT_BYTES // 2, 1), (COERCED_OBJECT_BYTES, 0)])
def test_a_long_outcome_is_not_remembered(tmp_path: Path, length: int, remembered: int) -> None:
    instances = [instance for instance, _ in series(tmp_path, 1)]
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=data_set(StudyInstanceUID="1.2.1", PatientName="N" * length))
    (out,) = prepare_all(retrieve, instances)
    assert out[0x00100010][1] == "N" * length
    assert len(retrieve.coercions.outcomes) == remembered


def test_coercion_is_worked_out_anew_for_another_destination(tmp_path: Path) -> None:
    instances = [instance for instance, _ in series(tmp_path, 1)]
    first = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
    second = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER, receiving="ELSEWHERE", after=first)
    assert prepare_all(first, instances) == prepare_all(second, instances)
    assert second.common.bytewise.decoded == 1


def test_original_attributes_tell_the_moment_of_each_retrieve(tmp_path: Path) -> None:
    instances = [instance for instance, _ in series(tmp_path, 1)]
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER, tells_original_attributes=True)
    for _ in range(2):
        retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER, tells_original_attributes=True, after=retrieve)
        prepare_all(retrieve, instances)
        assert retrieve.common.bytewise.decoded == 1


def test_a_step_that_a_moment_or_a_worklist_decides_is_carried_out_on_each_retrieve(tmp_path: Path) -> None:
    rule = version_2_rule(uri="merge-attrs:", merge_attributes=("StudyDescription={now,date,yyyyMMddHHmmssSSS}",))
    instances = [instance for instance, _ in series(tmp_path, 1)]
    retrieve = Retrieve(tmp_path, rule)
    for _ in range(2):
        retrieve = Retrieve(tmp_path, rule, after=retrieve)
        prepare_all(retrieve, instances)
        assert retrieve.common.bytewise.decoded == 1
