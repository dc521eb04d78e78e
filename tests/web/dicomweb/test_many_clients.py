"""Many clients of DICOMweb at once: all get whole answers, and those who read slowly keep nobody else from theirs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

import httpx
import pytest
from pydicom.uid import UID

from dcm4py_leading.model.bounds import HTTP_THREADS
from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import make_study, read_sample
from tests.fixtures.http import served
from tests.fixtures.scu import store
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.78"
LARGE = "1.2.826.0.1.3680043.8.498.79"
"""A study of 32 MiB, more than the system keeps for a client."""
RS = "/dcm4chee-arc/aets/DCM4CHEE/rs"
OBJECTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
CLIENTS = 200


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seed]:
    with ExitStack() as running:
        seed = Seed(tmp_path_factory.mktemp("archive"), running)
        seed.start()
        files = make_study(
            tmp_path_factory.mktemp("study"), patient_id="P1", patient_name="A^B", study_uid=STUDY, instances=60
        )
        large = read_sample("CT_small.dcm")
        large.StudyInstanceUID = LARGE
        large.SOPInstanceUID = large.file_meta.MediaStorageSOPInstanceUID = UID(f"{LARGE}.1")
        large.Rows = large.Columns = 4096
        large.PixelData = bytes(2 * large.Rows * large.Columns)
        assert store(seed.archive_port, [*files, large]) == [0x0000] * 61
        yield seed


@pytest.fixture(scope="module")
def http(seed: Seed) -> Iterator[httpx.Client]:
    with served(app=create_app(seed.service)) as client:
        yield client


@asynccontextmanager
async def begun(http: httpx.Client, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """The connection, on which nothing is read yet."""
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port, limit=1024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {OBJECTS}\r\nConnection: close\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.close()
        await writer.wait_closed()


async def answered(http: httpx.Client, path: str) -> tuple[bytes, int, bool]:
    """Status, number of objects, and whether the body has its end."""
    async with begun(http, path) as reader:
        whole = await reader.read(-1)
    return whole[9:12], whole.count(b"\xe0\x7f\x10\x00"), whole.endswith(b"0\r\n\r\n")


def test_all_of_many_clients_get_all(http: httpx.Client) -> None:
    one = http.get(f"{RS}/studies/{STUDY}/metadata").json()[0]
    instance = f"{STUDY}/series/{one['0020000E']['Value'][0]}/instances/{one['00080018']['Value'][0]}"

    async def all_of_them() -> list[tuple[bytes, int, bool]]:
        return await asyncio.gather(
            *(answered(http, f"{RS}/studies/{instance if number % 50 else STUDY}") for number in range(CLIENTS))
        )

    assert Counter(asyncio.run(all_of_them())) == {(b"200", 60, True): 4, (b"200", 1, True): CLIENTS - 4}


def test_clients_that_read_nothing_hold_no_thread(http: httpx.Client, seed: Seed) -> None:
    def ended() -> int:
        return seed.service.measure().requests["WADO-RS", "DCM4CHEE", 0x0000]

    before = ended()

    async def meanwhile() -> tuple[bytes, int, bool]:
        async with AsyncExitStack() as slow:
            for _ in range(3 * HTTP_THREADS):
                reader = await slow.enter_async_context(begun(http, f"{RS}/studies/{LARGE}"))
                await reader.readexactly(100)
            answer = await answered(http, f"{RS}/studies/{STUDY}")
            assert ended() == before + 1
            return answer

    assert asyncio.run(meanwhile()) == (b"200", 60, True)
