"""Parts of a multipart body, wherever the chunks are cut."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dcm4py_leading.model import bounds
from dcm4py_leading.service.dicomweb import multipart
from dcm4py_leading.service.dicomweb.multipart import MalformedBody, TooMuch, read_parts

BOUNDARY = "0f3c-b"
CONTENTS = (b"\r\n--0f3c-", b"", b"one\r\n--0f3c-x--\r", bytes(range(256)))
BODY = b"".join(
    b'\r\n--0f3c-b\r\nContent-Type: application/dicom; transfer-syntax="1.2"\r\nContent-Location: %d\r\n\r\n%b'
    % (number, content)
    for number, content in enumerate(CONTENTS)
).removeprefix(b"\r\n")
WHOLE = BODY + b"\r\n--0f3c-b--\r\n"


def read(chunks: Iterable[bytes]) -> list[tuple[str, str, str, bytes]]:
    return [
        (
            part.media_type,
            part.parameter("transfer-syntax"),
            part.headers["content-location"],
            b"".join(map(bytes, part.data)),
        )
        for part in read_parts(chunks, BOUNDARY)
    ]


EXPECTED = [("application/dicom", "1.2", str(number), content) for number, content in enumerate(CONTENTS)]


def test_parts_are_the_same_wherever_the_body_is_cut() -> None:
    for at in range(len(WHOLE)):
        assert read([WHOLE[:at], WHOLE[at:]]) == EXPECTED, at
    assert read(WHOLE[at : at + 1] for at in range(len(WHOLE))) == EXPECTED


def test_what_is_not_read_of_a_part_is_passed_over() -> None:
    assert [part.number for part in read_parts([WHOLE], BOUNDARY)] == [1, 2, 3, 4]


def test_body_that_ends_early_is_told_after_the_parts_before() -> None:
    for at in range(len(BODY)):
        before = 0
        with pytest.raises(MalformedBody):
            for part in read_parts([BODY[:at]], BOUNDARY):
                for _ in part.data:
                    pass
                before += 1
        assert before <= 3


@pytest.mark.parametrize(
    ("body", "boundary"),
    [(b"no multipart body", "b"), (b"--other\r\n\r\n", "b"), (b"--b\r\nno header\r\n\r\n", "b"), (b"", "b" * 500)],
)
def test_what_is_no_multipart_body_is_refused(body: bytes, boundary: str) -> None:
    with pytest.raises(MalformedBody):
        list(read_parts([body], boundary))


def test_long_headers_are_refused() -> None:
    long = b"--b\r\nContent-Type: " + bytes(b"x" * bounds.STORED_PART_HEADER_BYTES) + b"\r\n\r\n\r\n--b--\r\n"
    with pytest.raises(MalformedBody):
        list(read_parts([long], "b"))


def test_many_parts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "STORED_PARTS", 3)
    with pytest.raises(TooMuch):
        list(read_parts([WHOLE], BOUNDARY))
