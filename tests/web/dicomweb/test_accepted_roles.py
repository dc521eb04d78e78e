"""AEs that dcmAcceptedUserRole leaves to some of the users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from starlette.requests import Request

from dcm4py_leading.web.app import create_app
from dcm4py_leading.web.gate.identity import Identity, Role
from tests.fixtures.http import served
from tests.fixtures.service import AE, Seed

USERS = {
    "cora": Identity("cora", frozenset({Role.VIEWER}), frozenset({"cardiology", "user"})),
    "vera": Identity("vera", frozenset({Role.VIEWER}), frozenset({"user"})),
    "anna": Identity("anna", frozenset({Role.ADMINISTRATOR})),
}
STUDY = "studies/1.2.3"


class Doorkeeper:
    """Believes names."""

    async def identify(self, request: Request) -> Identity | None:
        return USERS[request.headers["authorization"]]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with ExitStack() as running:
        seed = Seed(tmp_path_factory.mktemp("archive"), running)
        seed.set(AE, dcmAcceptedUserRole=["cardiology", "surgery"])
        app = create_app(seed.start(), doorkeeper=Doorkeeper())
        client = running.enter_context(served(app=app))
        client.base_url = client.base_url.join("/dcm4chee-arc/aets/DCM4CHEE/rs/")
        yield client


@pytest.mark.ldap("dcmAcceptedUserRole")
@pytest.mark.parametrize(("user", "may"), [("cora", True), ("vera", False), ("anna", True)])
def test_others_get_403_that_names_the_ae_and_the_attribute(client: httpx.Client, user: str, may: bool) -> None:
    paths = [
        "studies",
        "patients/count",
        STUDY,
        f"{STUDY}/metadata",
        f"{STUDY}/rendered",
        f"{STUDY}/series/1.2/thumbnail",
    ]
    paths += [
        f"{STUDY}/series/1.2/instances/1.1/frames/1",
        "../wado?requestType=WADO&studyUID=1.2&seriesUID=1&objectUID=1",
    ]
    for path in paths:
        answer = client.get(path, headers={"Authorization": user})
        assert (answer.status_code == 403) is not may, path
        if not may:
            told = "AE DCM4CHEE is for users with a role that its dcmAcceptedUserRole lists"
            assert answer.json() == {"errorMessage": told}
