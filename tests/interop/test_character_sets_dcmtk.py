"""Text as DCMTK decodes it: what we write is read by it, and files are read by both alike."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pydicom.data import get_charset_files

from dcm4py_leading.dataset.data_sets import read_file
from dcm4py_leading.dataset.part10 import encode_header
from dcm4py_leading.dataset.text.charset import elements_of, undecodable
from dcm4py_leading.dataset.text.text import encode
from dcm4py_leading.dataset.text.text_values import texts_of
from tests.fixtures.peers_required import require
from tests.fixtures.processes import find_program

pytestmark = pytest.mark.peers
# DCMTK 3.6.7 does not know ISO_IR 203, and with the GNU C library's iconv not ISO 2022 IR 87 and 159.
FILES = ["chrArab", "chrFren", "chrFrenMulti", "chrGerm", "chrGreek", "chrHbrw", "chrI2", "chrRuss", "chrX1", "chrX2"]


def in_utf_8(file: Path, tmp_path: Path) -> list[tuple[int, str]]:
    """The text of a file as DCMTK converts it."""
    program = find_program("dcmconv")
    require(program is not None, "dcmconv (Debian package dcmtk)")
    converted = tmp_path / "converted.dcm"
    subprocess.run([str(program), "+U8", str(file), str(converted)], check=True, capture_output=True)
    return texts(converted)


def texts(file: Path) -> list[tuple[int, str]]:
    ds = read_file(file)
    assert undecodable(ds) is None
    return [(int(element.tag), text.rstrip("^=")) for element, text in texts_of(elements_of(ds))]


@pytest.mark.parametrize("name", FILES)
def test_files_are_decoded_alike(name: str, tmp_path: Path) -> None:
    (path,) = [path for path in get_charset_files("*.dcm") if Path(path).stem == name]
    assert texts(Path(path)) == in_utf_8(Path(path), tmp_path)


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 101", "Wałęsa^Łucja"),
        ("ISO_IR 166", "สมชาย^ใจดี"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("GBK", "Wang^XiaoDong=王^小东"),
        ("\\ISO 2022 IR 58", "Zhang^XiaoDong=张^小东"),
        ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("\\ISO 2022 IR 100", "Müller^Jürgen"),
        ("ISO 2022 IR 100\\ISO 2022 IR 126\\ISO 2022 IR 144", "Müller Διονυσιος^Иван Jörg"),
    ],
)
def test_dcmtk_decodes_what_was_encoded(codes: str, text: str, tmp_path: Path) -> None:
    octets = encode(text, tuple(codes.split("\\")), "PN")
    file = tmp_path / "made.dcm"
    header = encode_header(
        sop_class_uid="1.2", sop_instance_uid="1.3", transfer_syntax_uid="1.2.840.10008.1.2.1", sending_ae_title="A"
    )
    elements = [(b"\x08\x00\x05\x00CS", codes.encode()), (b"\x10\x00\x10\x00PN", octets)]
    data = [
        start + (len(value) + len(value) % 2).to_bytes(2, "little") + value + b" " * (len(value) % 2)
        for start, value in elements
    ]
    file.write_bytes(header + b"".join(data))
    assert in_utf_8(file, tmp_path) == texts(file) == [(0x00100010, text)]
