"""AEs that dcmAcceptedUserRole leaves to some of the users, on the pages of studies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from starlette.requests import Request

from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.gate.identity import Identity, Role
from tests.fixtures.pages import reading
from tests.fixtures.service import AE, CONNECTION, DEVICE, Seed
from tests.fixtures.studies import STUDY, STUDY_PAGE

USERS = {
    "cora": Identity("cora", frozenset({Role.VIEWER}), frozenset({"cardiology"})),
    "vera": Identity("vera", frozenset({Role.VIEWER}), frozenset({"user"})),
    "anna": Identity("anna", frozenset({Role.ADMINISTRATOR})),
}


class Doorkeeper:
    """Believes names."""

    async def identify(self, request: Request) -> Identity | None:
        return USERS[request.headers["authorization"]]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with ExitStack() as running:
        seed = Seed(tmp_path_factory.mktemp("archive"), running)
        seed.set(AE, dcmAcceptedUserRole="cardiology", dcmOtherAETitle="ALIAS")
        seed.change(
            f"dn: dicomAETitle=OPEN,{DEVICE}\nchangetype: add\nobjectClass: dicomNetworkAE\ndicomAETitle: OPEN\n"
            f"dicomNetworkConnectionReference: {CONNECTION}\ndicomAssociationInitiator: TRUE\n"
            "dicomAssociationAcceptor: TRUE"
        )
        service = seed.start()
        yield running.enter_context(reading(editor_of(seed.site), service, doorkeeper=Doorkeeper())).client


@pytest.mark.ldap("dcmAcceptedUserRole")
@pytest.mark.parametrize(("user", "may"), [("cora", True), ("vera", False), ("anna", True)])
def test_pages_of_studies_are_for_those_who_may_ask_the_ae(client: httpx.Client, user: str, may: bool) -> None:
    headers = {"Authorization": user}
    assert ('value="DCM4CHEE"' in client.get("/ui/studies", headers=headers).text) is may
    for path in ("", "/series/1.2", "/picture", "/values"):
        assert (client.get(f"{STUDY_PAGE}{path}", headers=headers).status_code == 403) is not may, path
    for title in ("DCM4CHEE", "ALIAS") if not may else ("DCM4CHEE",):
        answer = client.post("/ui/studies", data={"aet": title, "PatientID": "P1"}, headers=headers)
        assert (answer.status_code == 403) is not may, title
        assert STUDY not in answer.text


def test_other_aes_stay_open(client: httpx.Client) -> None:
    answer = client.post("/ui/studies", data={"aet": "OPEN"}, headers={"Authorization": "vera"})
    assert answer.status_code == 200
