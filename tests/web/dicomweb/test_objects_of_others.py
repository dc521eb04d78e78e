"""WADO-RS in front of an archive that ends in the middle, or sends what was not asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from pydicom import Dataset

from dcm4py_leading.web.app import create_app
from tests.fixtures.http import served
from tests.fixtures.multipart import parts_of
from tests.fixtures.pacs import Received, Script, ScriptedPacs, make_object, sends
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.service import Seed

STUDY = "1.2.826.0.1.3680043.8.498.75"
SERIES_PATH = f"studies/{STUDY}/series/{STUDY}.1"
PATH = f"{SERIES_PATH}/instances/{STUDY}.1."


def image(number: int) -> Dataset:
    """An image whose pixels are its number."""
    ds = make_object(STUDY, number, Rows=2, Columns=2, BitsAllocated=8, SamplesPerPixel=1, size=4)
    ds.PhotometricInterpretation, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = "MONOCHROME2", 8, 7, 0
    ds.PixelData = bytes([number]) * 4
    ds["PixelData"].VR = "OW"
    return ds


OBJECTS = [image(number) for number in range(1, 5)]


@contextmanager
def in_front_of(seed: Seed, script: Script) -> Iterator[httpx.Client]:
    with ExitStack() as running:
        pacs = ScriptedPacs(seed.archive_port, move=script)
        running.callback(pacs.stop)
        stand_in_front_of(seed, pacs.port)
        client = running.enter_context(served(app=create_app(seed.start())))
        client.base_url = client.base_url.join("/dcm4chee-arc/aets/DCM4CHEE/rs/")
        client.timeout = httpx.Timeout(60)
        yield client
        await_rest(seed)


def dies(received: Received) -> None:
    storing = received.pacs.storing(received)
    for ds in OBJECTS[:2]:
        storing.store(ds)
    storing.abort()
    received.abort()


@pytest.mark.parametrize("path", ["", "/metadata"])
@pytest.mark.parametrize("entity", [f"studies/{STUDY}", SERIES_PATH])
def test_archive_that_dies_in_the_middle_ends_the_connection(seed: Seed, entity: str, path: str) -> None:
    with in_front_of(seed, dies) as http, pytest.raises(httpx.RemoteProtocolError):
        http.get(entity + path)


def told(answer: httpx.Response) -> list[int]:
    """The numbers of the images that an answer has, or whose pixels it has."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("multipart"):
        return [part.content[-1] for part in parts_of(answer)]
    return [int(row["00200013"]["Value"][0]) for row in answer.json()]


VALUES = ["", "/metadata", "/frames/1", "/bulkdata/7FE00010"]


@pytest.mark.parametrize("path", VALUES)
def test_instance_is_the_one_of_the_path(seed: Seed, path: str) -> None:
    with in_front_of(seed, sends(OBJECTS)) as http:
        assert told(http.get(f"{PATH}3{path}")) == [3]


@pytest.mark.parametrize("path", VALUES)
def test_another_instance_is_none(seed: Seed, path: str) -> None:
    with in_front_of(seed, sends(OBJECTS[:1])) as http:
        assert http.get(f"{PATH}3{path}").status_code == 503
