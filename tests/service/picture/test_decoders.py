"""Decoders end alone: a bomb, a kill or a lack of time is the end of one process and of one image."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import JPEG2000Lossless, RLELossless

from dcm4py_leading.errors import SubOperationFailed
from dcm4py_leading.model.bounds import DECODED_BYTES
from dcm4py_leading.service.picture.decoders import Decoders, DecodersBusy, environment
from dcm4py_leading.service.picture.job import GIF, JPEG, PNG, Job, Rendering, Viewport, Window
from tests.fixtures.datasets import read_sample
from tests.fixtures.workers import until

RENDERING = Rendering(media_type=PNG)
WORDS = Job(words="PDF document", rendering=RENDERING)


@pytest.fixture(scope="module")
def decoding() -> Iterator[Decoders]:
    made = Decoders(most=1)
    yield made
    made.close()


def encoded(ds: Dataset) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = False, True
    write_dataset(file, ds)
    return file.getvalue()


def job(stream: bytes, syntax: str, rows: int = 60000) -> Job:
    """An image whose code stream is ``stream``."""
    ds = Dataset()
    ds.Rows = ds.Columns = rows
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.NumberOfFrames = 8, 8, 7, 1
    ds.add_new(0x7FE00010, "OB", encapsulate([stream], has_bot=False))
    ds["PixelData"].is_undefined_length = True
    return Job(transfer_syntax_uid=syntax, data=encoded(ds))


def jpeg_2000_of(rows: int) -> bytes:
    """A code stream of one tile, whose header says that it is so large."""
    stream = bytearray(next(generate_frames(read_sample("JPEG2000.dcm").PixelData, number_of_frames=1)))
    at = stream.index(b"\xff\x51")
    struct.pack_into(">IIIIIIII", stream, at + 6, rows, rows, 0, 0, rows, rows, 0, 0)
    components = int.from_bytes(stream[at + 38 : at + 40], "big")
    for number in range(components):
        stream[at + 40 + 3 * number] = 7
    return bytes(stream)


BOMBS = {
    "JPEG 2000": job(jpeg_2000_of(60000), JPEG2000Lossless),
    "RLE": job(struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * (60000 * 60000 // 128 // 400), RLELossless),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_the_next_image_is_decoded(name: str, decoding: Decoders) -> None:
    with pytest.raises(SubOperationFailed):
        decoding.run(BOMBS[name])
    assert decoding.run(WORDS).startswith(b"\x89PNG")


def test_what_takes_too_much_memory_ends_its_process_only(decoding: Decoders) -> None:
    # 3.4 GB of native pixels, which the code stream could have.
    stream = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * (58000 * 58000 // 128)
    with pytest.raises(SubOperationFailed, match=r"memory|ended by"):
        decoding.run(job(stream, RLELossless, 58000))
    assert decoding.run(WORDS).startswith(b"\x89PNG")


def test_a_killed_decoder_fails_one_image(caplog: pytest.LogCaptureFixture) -> None:
    decoding = Decoders(most=1)
    decoding.run(WORDS)
    (decoder,) = decoding._idle
    os.kill(decoder._process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(decoding.run, WORDS)
        until(lambda: not decoding._idle)  # it has the job, which it cannot do
        os.kill(decoder._process.pid, signal.SIGKILL)
        with pytest.raises(SubOperationFailed, match="ended by signal 9"):
            answer.result(60)
    assert "a decoder has ended with signal 9" in caplog.text
    assert decoding.run(WORDS)
    decoding.close()


def test_a_decoder_that_died_idle_is_replaced(decoding: Decoders) -> None:
    decoding.run(WORDS)
    (decoder,) = decoding._idle
    decoder._process.kill()
    decoder._process.wait()
    assert decoding.run(WORDS)


def test_too_many_at_once_are_refused() -> None:
    decoding = Decoders(most=1, waiting=0)
    decoding.run(WORDS)
    (decoder,) = decoding._idle
    os.kill(decoder._process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(decoding.run, WORDS)
        until(lambda: not decoding._idle)
        with pytest.raises(DecodersBusy, match="too many images"):
            decoding.run(WORDS)
        os.kill(decoder._process.pid, signal.SIGCONT)
        assert first.result(60)
    decoding.close()


def test_what_takes_too_long_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    decoding = Decoders(most=1, seconds=0.001)
    with pytest.raises(SubOperationFailed, match=r"not decoded within 0\.001 s"):
        decoding.run(WORDS)
    assert "has not decoded an image within 0.001 s" in caplog.text
    assert decoding._idle == []


def test_idle_decoders_end() -> None:
    decoding = Decoders(most=1, idle_seconds=0.05)
    decoding.run(WORDS)
    until(lambda: not decoding._is_tidied)
    assert decoding._idle == []


def test_too_large_a_frame_is_not_sent_to_a_decoder() -> None:
    with pytest.raises(SubOperationFailed, match="one frame takes 256 MB"):
        Decoders().run(Job(data=bytes(DECODED_BYTES + 1)))


def test_a_decoder_gets_no_secrets_and_may_write_no_file(monkeypatch: pytest.MonkeyPatch, decoding: Decoders) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "secret")
    assert "SOME_PASSWORD" not in environment()
    decoding.run(WORDS)
    (decoder,) = decoding._idle
    limits = Path(f"/proc/{decoder._process.pid}/limits").read_text()
    assert "Max file size             0 " in limits


def test_a_job_passes_as_a_message() -> None:
    region = Rendering(
        media_type=GIF,
        viewport=Viewport(width=1, height=2, region=(1, 2, 3, -4), enlarges=False),
        window=Window(center=1.5, width=2.5, function="sigmoid"),
        quality=5,
    )
    for rendering in (region, Rendering(media_type=JPEG), None):
        sent = Job(transfer_syntax_uid="1.2", rendering=rendering, data=b"x")
        assert Job.of(sent.head(), b"x") == sent
