from __future__ import annotations

import copy
import re
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filewriter import write_dataset

from dcm4py_leading.coercion.changes import ChangeKind, apply
from dcm4py_leading.coercion.context import CoercionContext, Peer
from dcm4py_leading.coercion.steps.xslt import XsltStep, compile_xslt, parameters
from dcm4py_leading.coercion.tags import AllTags
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import TransferRole
from tests.fixtures.datasets import CHARACTER_SETS, CT, REPORTS, sample_path
from tests.fixtures.rules import RETRIEVE, data_set

pytestmark = pytest.mark.ldap("dcmURI")

IDENTITY = (
    '<xsl:template match="@*|node()"><xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy></xsl:template>'
)
UPPER_CASE_NAME = (
    IDENTITY
    + """
    <xsl:template match="DicomAttribute[@keyword='PatientName']//text()">
      <xsl:value-of select="translate(., 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')"/>
    </xsl:template>"""
)


def sets(tag: str, vr: str, value: str) -> str:
    """A template that gives one attribute only."""
    return f"""
    <xsl:template match="/NativeDicomModel"><NativeDicomModel>
      <DicomAttribute tag="{tag}" vr="{vr}"><Value number="1">{value}</Value></DicomAttribute>
    </NativeDicomModel></xsl:template>"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "style sheets").mkdir()
    return tmp_path / "style sheets"


Compile = Callable[..., XsltStep]


@pytest.fixture
def compiled(folder: Path) -> Compile:
    def compile_body(body: str, *, legacy: bool = False, no_keywords: bool = False, before: str = "") -> XsltStep:
        path = write(folder / "main.xsl", body, before=before)
        return compile_xslt(path.as_uri(), no_keywords=no_keywords, folders=[folder], expand=str, legacy=legacy)

    return compile_body


def write(path: Path, body: str, *, before: str = "") -> Path:
    path.write_text(
        f'{before}<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">{body}</xsl:stylesheet>',
        encoding="utf-8",
    )
    return path


def transformed(step: XsltStep, ds: Dataset, context: CoercionContext = RETRIEVE) -> Dataset:
    found = copy.deepcopy(ds)
    apply(found, step.changes(ds, context))
    return found


# What becomes of the data set.


def test_a_style_sheet_that_changes_nothing_changes_nothing(compiled: Compile) -> None:
    step = compiled(IDENTITY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some samples hold values that pydicom warns of
        for name in (CT, *REPORTS, *CHARACTER_SETS, "badVR.dcm", "examples_palette.dcm", "rtplan.dcm"):
            assert step.changes(pydicom.dcmread(sample_path(name)), RETRIEVE) == [], name


def test_only_what_differs_is_changed(compiled: Compile) -> None:
    ds = data_set(PatientName="Doe^John=x", PatientID="id", OtherPatientNames=["Roe"])
    (change,) = compiled(UPPER_CASE_NAME).changes(ds, RETRIEVE)
    assert (change.kind, change.tag) == (ChangeKind.SET, 0x00100010)
    assert change.element is not None and change.element.value == "DOE^JOHN=X"
    assert ds.PatientName == "Doe^John=x"


def test_attributes_absent_in_the_result_stay(compiled: Compile) -> None:
    ds = data_set(PatientName="Doe", PatientID="1")
    assert transformed(compiled(sets("00100020", "LO", "2")), ds) == data_set(PatientName="Doe", PatientID="2")


def test_attribute_without_value_in_the_result_is_emptied(compiled: Compile) -> None:
    body = """<xsl:template match="/"><NativeDicomModel><DicomAttribute tag="00100010" vr="PN"/>
              <DicomAttribute tag="00100040" vr="CS"/></NativeDicomModel></xsl:template>"""
    changes = compiled(body).changes(data_set(PatientName="Doe"), RETRIEVE)
    assert [(change.tag, change.kind) for change in changes] == [
        (0x00100010, ChangeKind.EMPTY),
        (0x00100040, ChangeKind.EMPTY),
    ]


def test_an_empty_result_changes_nothing(compiled: Compile) -> None:
    assert compiled('<xsl:template match="/"/>').changes(data_set(PatientName="Doe"), RETRIEVE) == []


def test_text_that_nobody_changed_stays_as_it_was_read(compiled: Compile) -> None:
    ds = pydicom.dcmread(sample_path("chrH31.dcm"))
    compiled(IDENTITY + sets("00100020", "LO", "2")).changes(ds, RETRIEVE)
    assert isinstance(ds.get_item("PatientName"), RawDataElement)


def test_the_character_set_of_the_data_set_is_kept_where_it_can_be(compiled: Compile) -> None:
    ds = data_set(SpecificCharacterSet="ISO_IR 100", PatientName="Muller")
    body = """<xsl:template match="/"><NativeDicomModel>
      <DicomAttribute tag="00080005" vr="CS"><Value number="1">ISO_IR 192</Value></DicomAttribute>
      <DicomAttribute tag="00100010" vr="PN"><PersonName number="1"><Alphabetic><FamilyName>{}</FamilyName>
      </Alphabetic></PersonName></DicomAttribute></NativeDicomModel></xsl:template>"""
    kept = transformed(compiled(body.format("Müller")), ds)
    assert (kept.SpecificCharacterSet, kept.PatientName) == ("ISO_IR 100", "Müller")
    unified = transformed(compiled(body.format("山田")), ds)
    assert (unified.SpecificCharacterSet, unified.PatientName) == ("ISO_IR 192", "山田")


def test_an_item_with_its_own_character_set_gets_one_that_can_encode_the_new_text(compiled: Compile) -> None:
    item = data_set(SpecificCharacterSet="ISO_IR 100", StudyDescription="old", SeriesDescription="Schädel")
    body = IDENTITY + "<xsl:template match=\"DicomAttribute[@tag='00081030']/Value/text()\">山</xsl:template>"
    ds = data_set(SpecificCharacterSet="ISO_IR 192", ReferencedStudySequence=[item])
    (found,) = transformed(compiled(body), ds).ReferencedStudySequence
    assert (found.SpecificCharacterSet, found.StudyDescription) == ("ISO_IR 192", "山")
    assert found.SeriesDescription == "Schädel"
    assert item.SpecificCharacterSet == "ISO_IR 100"


def test_big_binary_is_neither_seen_nor_changed(compiled: Compile) -> None:
    ds = pydicom.dcmread(sample_path(CT))
    pixels = ds.PixelData
    found = transformed(compiled(UPPER_CASE_NAME + sets("00100020", "LO", "{count(//InlineBinary)}")), ds)
    assert found.PixelData == pixels


@pytest.mark.parametrize("content", ["", "<InlineBinary>AAAA</InlineBinary>"])
def test_pixel_data_cannot_be_changed(compiled: Compile, content: str) -> None:
    body = f"""<xsl:template match="/"><NativeDicomModel>
               <DicomAttribute tag="7FE00010" vr="OW">{content}</DicomAttribute></NativeDicomModel></xsl:template>"""
    with pytest.raises(CoercionFailed, match=r"xslt .*main\.xsl: expected it to leave Pixel Data alone"):
        compiled(body).changes(pydicom.dcmread(sample_path(CT)), RETRIEVE)


def test_the_result_can_be_written(compiled: Compile) -> None:
    ds = pydicom.dcmread(sample_path("reportsi.dcm"))
    body = IDENTITY + "<xsl:template match=\"DicomAttribute[@keyword='TextValue']/Value/text()\">Σ</xsl:template>"
    found = transformed(compiled(body), ds)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, found)
    again = pydicom.dcmread(BytesIO(buffer.getvalue()), force=True)
    assert "Σ" in str(again)


@pytest.mark.ldap("dcmNoKeywords")
def test_keywords_can_be_left_out(compiled: Compile) -> None:
    body = sets("00100020", "LO", '<xsl:value-of select="count(//@keyword)"/>')
    ds = data_set(PatientName="Doe", Modality="CT")
    assert transformed(compiled(body), ds).PatientID == "2"
    assert transformed(compiled(body, no_keywords=True), ds).PatientID == "0"


def test_it_may_read_and_write_anything(compiled: Compile) -> None:
    step = compiled(IDENTITY)
    assert (step.name, step.reads, step.writes) == ("xslt", AllTags.ALL, AllTags.ALL)


# Parameters.


def test_parameters_of_a_version_2_rule(compiled: Compile) -> None:
    body = '<xsl:param name="SendingApplicationEntityTitle"/><xsl:param name="ReceivingHostname"/>' + sets(
        "00100020", "LO", "<xsl:value-of select=\"concat($SendingApplicationEntityTitle, '@', $ReceivingHostname)\"/>"
    )
    assert transformed(compiled(body), Dataset()).PatientID == "DCM4CHEE@viewer.example"


def test_an_unknown_peer_leaves_the_parameter_at_its_default(compiled: Compile) -> None:
    body = '<xsl:param name="ReceivingApplicationEntityTitle" select="\'NOBODY\'"/>' + sets(
        "00100020", "LO", '<xsl:value-of select="$ReceivingApplicationEntityTitle"/>'
    )
    assert transformed(compiled(body), Dataset(), replace(RETRIEVE, receiving=Peer())).PatientID == "NOBODY"


def test_a_parameter_is_text_and_no_expression(compiled: Compile) -> None:
    body = '<xsl:param name="SendingHostname"/>' + sets("00100020", "LO", '<xsl:value-of select="$SendingHostname"/>')
    context = replace(RETRIEVE, sending=Peer(host="""'a"|/*"""))
    assert transformed(compiled(body), data_set(PatientName="x"), context).PatientID == """'a"|/*"""


S, R = Peer(host="s.example", ae_title="S"), Peer(host="r.example", ae_title="R")


@pytest.mark.parametrize(
    ("dimse", "role", "expected"),
    [
        (Dimse.C_STORE_RQ, "SCP", {"LocalAET": "S", "RemoteAET": "R", "RemoteHostname": "r.example"}),
        (Dimse.C_STORE_RQ, "SCU", {"LocalAET": "R", "RemoteAET": "S", "RemoteHost": "s.example"}),
        (Dimse.C_FIND_RSP, "SCU", {"LocalAET": "R", "RemoteAET": "S", "RemoteHost": "s.example"}),
        (Dimse.C_FIND_RQ, "SCP", {"LocalAET": "S", "RemoteAET": "R", "RemoteHost": "r.example"}),
    ],
)
def test_parameters_of_a_legacy_rule(dimse: Dimse, role: str, expected: dict[str, str]) -> None:
    context = replace(RETRIEVE, dimse=dimse, transfer_role=TransferRole(role), sending=S, receiving=R)
    assert parameters(context, legacy=True) == expected


# Where a style sheet may be, and what it may read.


def test_placeholders_of_the_uri_are_expanded(folder: Path) -> None:
    write(folder / "a.xsl", IDENTITY)
    for base in (str(folder), folder.as_uri()):

        def expand(text: str, base: str = base) -> str:
            return text.replace("${dir}", base)

        step = compile_xslt("${dir}/a.xsl", no_keywords=False, folders=[folder], expand=expand)
        assert step.style_sheet.path == folder / "a.xsl"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://127.0.0.1:1/a.xsl", "expected a file: URI"),
        ("resource:a.xsl", "expected a file: URI"),
        ("a.xsl", "expected a file: URI"),
        ("", "expected a file: URI"),
        ("file://other.example/a.xsl", "on this host"),
        ("file:a.xsl", "absolute path"),
        ("/etc/passwd", "in the folders of style sheets"),
        ("{folder}/../a.xsl", "in the folders of style sheets"),
        ("{folder}/link.xsl", "in the folders of style sheets"),
        ("{folder}/none.xsl", "cannot be read: No such file"),
        ("{folder}", "cannot be read: Is a directory"),
    ],
)
def test_a_style_sheet_elsewhere_is_refused(folder: Path, uri: str, reason: str) -> None:
    write(folder.parent / "a.xsl", IDENTITY)
    (folder / "link.xsl").symlink_to(folder.parent / "a.xsl")
    with pytest.raises(ValueError, match=reason):
        compile_xslt(uri.format(folder=folder), no_keywords=False, folders=[folder], expand=str)


def test_without_folders_there_are_no_style_sheets(folder: Path) -> None:
    path = write(folder / "a.xsl", IDENTITY)
    with pytest.raises(ValueError, match="there are none"):
        compile_xslt(str(path), no_keywords=False, folders=[], expand=str)


@pytest.mark.parametrize("element", ["import", "include"])
def test_another_style_sheet_of_the_folder_can_be_taken_in(folder: Path, compiled: Compile, element: str) -> None:
    (folder / "parts").mkdir()
    write(folder / "parts" / "identity.xsl", '<xsl:include href="../more.xsl"/>')
    write(folder / "more.xsl", sets("00100020", "LO", "2"))
    step = compiled(f'<xsl:{element} href="parts/identity.xsl"/>')
    assert transformed(step, Dataset()).PatientID == "2"


@pytest.mark.parametrize("href", ["../outside.xsl", "/etc/passwd", "http://127.0.0.1:1/a.xsl", "link.xsl"])
def test_a_style_sheet_from_elsewhere_cannot_be_taken_in(folder: Path, compiled: Compile, href: str) -> None:
    write(folder.parent / "outside.xsl", IDENTITY)
    (folder / "link.xsl").symlink_to(folder.parent / "outside.xsl")
    with pytest.raises(ValueError, match="expected a file"):
        compiled(f'<xsl:include href="{href}"/>')


def test_a_document_of_the_folder_can_be_read(folder: Path, compiled: Compile) -> None:
    (folder / "map.xml").write_text("<map><id>2</id></map>")
    step = compiled(sets("00100020", "LO", "<xsl:value-of select=\"document('map.xml')/map/id\"/>"))
    assert transformed(step, Dataset()).PatientID == "2"


@pytest.mark.parametrize("name", ["../outside.xml", "/etc/hostname", "http://127.0.0.1:1/a", "link.xml", "entity.xml"])
def test_a_document_from_elsewhere_cannot_be_read(folder: Path, compiled: Compile, name: str) -> None:
    (folder.parent / "outside.xml").write_text("<id>SECRET</id>")
    (folder / "link.xml").symlink_to(folder.parent / "outside.xml")
    (folder / "entity.xml").write_text(f'<!DOCTYPE a [<!ENTITY e SYSTEM "{folder.parent}/outside.xml">]><a>&e;</a>')
    step = compiled(sets("00100020", "LO", f"<xsl:value-of select=\"document('{name}')\"/>"))
    with pytest.raises(CoercionFailed):
        step.changes(Dataset(), RETRIEVE)


def test_nothing_can_be_written(folder: Path, compiled: Compile) -> None:
    target = folder / "out.xml"
    body = f"""<xsl:template match="/"><exsl:document xmlns:exsl="http://exslt.org/common" href="{target}"
               xsl:extension-element-prefixes="exsl"><a/></exsl:document></xsl:template>"""
    with pytest.raises(CoercionFailed):
        compiled(body).changes(Dataset(), RETRIEVE)
    assert not target.exists()


def test_external_entities_are_refused(folder: Path, compiled: Compile) -> None:
    (folder / "id.txt").write_text("SECRET")
    before = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{folder.as_uri()}/id.txt">]>'
    with pytest.raises(ValueError, match=r"main\.xsl.*line [0-9]"):
        compiled(sets("00100020", "LO", "&e;"), before=before)


def test_entities_of_its_own_are_fine(compiled: Compile) -> None:
    assert transformed(compiled(sets("00100020", "LO", "&e;"), before='<!DOCTYPE x [<!ENTITY e "2">]>'), Dataset())


def test_entities_cannot_grow_without_bound(compiled: Compile) -> None:
    bomb = '<!ENTITY e0 "xxxxxxxxxx">' + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    with pytest.raises(ValueError, match="amplification"):
        compiled(sets("00100020", "LO", "&e11;"), before=f"<!DOCTYPE x [{bomb}]>")


# What is wrong is found when it is compiled, or ends the step without values.


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("\n<xsl:template match='/'>\n<xsl:value-of select='a['/></xsl:template>", r"main\.xsl:3"),
        ("\n<xsl:frobnicate/>", r"main\.xsl:2"),
        ("\n<xsl:template match='/'>", r"main\.xsl.*line 2"),
        ('<xsl:include href="broken.xsl"/>', r"broken\.xsl:2"),
        ('<xsl:include href="none.xsl"/>', r"none\.xsl: cannot be read"),
    ],
)
def test_a_broken_style_sheet_is_refused_with_its_line(folder: Path, compiled: Compile, body: str, where: str) -> None:
    write(folder / "broken.xsl", "\n<xsl:template/>")
    with pytest.raises(ValueError, match=where):
        compiled(body)


def test_calls_of_java_are_refused(folder: Path, compiled: Compile) -> None:
    write(folder / "java.xsl", "").write_text(
        '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" '
        'xmlns:d="http://xml.apache.org/xalan/java/java.util.Date"/>'
    )
    with pytest.raises(ValueError, match=r"java\.xsl: calls Java"):
        compiled('<xsl:include href="java.xsl"/>')


@pytest.mark.parametrize(
    "body",
    [
        '<xsl:template match="/"><xsl:message terminate="yes"><xsl:value-of select="."/></xsl:message></xsl:template>',
        '<xsl:template match="/" name="again"><xsl:call-template name="again"/></xsl:template>',
        '<xsl:template match="/"><xsl:value-of select="document(string(//Value))"/></xsl:template>',
        '<xsl:template match="/"><xsl:value-of xmlns:x="urn:x" select="x:y(//Value)"/></xsl:template>',
        '<xsl:template match="/"><html><xsl:value-of select="."/></html></xsl:template>',
        '<xsl:template match="/"><xsl:value-of select="."/></xsl:template>',
        sets("00280010", "US", '<xsl:value-of select="//Value"/>'),
    ],
)
def test_failing_style_sheet_fails_the_coercion_without_values(compiled: Compile, body: str) -> None:
    with pytest.raises(CoercionFailed, match=r"^xslt .*main\.xsl: ") as caught:
        compiled(body).changes(data_set(PatientID="SECRET"), RETRIEVE)
    assert "SECRET" not in str(caught.value)
    assert caught.value.status == 0x0110


def test_a_failure_names_the_line(compiled: Compile) -> None:
    body = '\n<xsl:template match="/">\n<xsl:value-of xmlns:x="urn:x" select="x:y(1)"/></xsl:template>'
    with pytest.raises(CoercionFailed, match=re.escape("main.xsl:3 (XPATH_UNKNOWN_FUNC_ERROR)")):
        compiled(body).changes(Dataset(), RETRIEVE)


def test_a_message_that_does_not_end_it_does_no_harm(compiled: Compile) -> None:
    body = '<xsl:template match="/"><xsl:message>hello</xsl:message></xsl:template>'
    assert compiled(body).changes(Dataset(), RETRIEVE) == []


# Threads.


def test_threads_share_a_step_and_what_was_read_when_it_was_compiled(folder: Path, compiled: Compile) -> None:
    part = write(folder / "part.xsl", sets("00100020", "LO", '<xsl:value-of select="//DicomAttribute/Value"/>-2'))
    step = compiled('<xsl:include href="part.xsl"/>')
    part.unlink()
    (folder / "main.xsl").write_text("broken since")
    start, found = threading.Barrier(8), []

    def work(number: int) -> None:
        start.wait()
        for _ in range(20):
            found.append(transformed(step, data_set(PatientID=str(number))).PatientID == f"{number}-2")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 160
