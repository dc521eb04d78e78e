"""``GET /dcm4py-leading/explain/{study}``: parameters in, JSON or text out, statuses for what cannot be explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import httpx
import pytest

from dcm4py_leading.coercion.explain import Explanation, RenderedExplanation
from dcm4py_leading.errors import IndexUnavailable
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.explain import StudyNotStored, WrongQuestion
from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.http.addresses import HttpAddress
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.http.server import HttpServer
from dcm4py_leading.web.rest.operations import routes_of
from dcm4py_leading.web.rest.own.explain import FAILED_HEADER, explain_alias, explain_operation
from tests.fixtures.rules import RETRIEVE

EXPLANATION = Explanation(ae_title=AETitle("DCM4CHEE"), context=RETRIEVE, rules=(), steps=(), elements=())


class Service:
    """Answers with what it was given, and remembers what it was asked."""

    def __init__(self, answer: Explanation | Exception = EXPLANATION) -> None:
        self._answer = answer
        self.asked: list[tuple[str, Mapping[str, str], bool]] = []

    def explain(
        self, study_instance_uid: str, parameters: Mapping[str, str], *, is_asking: bool
    ) -> RenderedExplanation:
        self.asked.append((study_instance_uid, parameters, is_asking))
        if isinstance(self._answer, Exception):
            raise self._answer
        return RenderedExplanation.of(self._answer)


Client = Callable[[Service], httpx.Client]


@pytest.fixture
def client() -> Iterator[Client]:
    """Serves the route on a port of its own, and gives a client to it."""
    with ExitStack() as running:

        def serve(service: Service) -> httpx.Client:
            room = Room("test", threads=2, waiting=8)
            routes = routes_of([explain_operation(service)], reading=room, changing=room)
            app = guarded_app([*routes, explain_alias(service, room)])
            web = HttpServer(app, [HttpAddress("127.0.0.1", 0).bind()])
            web.start()
            running.callback(web.stop)
            return running.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{web.port}", trust_env=False))

        yield serve


def test_study_and_parameters_are_handed_on(client: Client) -> None:
    service = Service()
    response = client(service).get("/dcm4py-leading/explain/1.2.3?dimse=C_STORE_RQ&role=SCP&receiving-ae=STORESCP")
    assert response.status_code == 200
    assert response.json()["aeTitle"] == "DCM4CHEE"
    parameters = {"dimse": "C_STORE_RQ", "role": "SCP", "receiving-ae": "STORESCP"}
    assert service.asked == [("1.2.3", parameters, True)]


def test_the_leading_archive_can_be_left_alone(client: Client) -> None:
    service = Service()
    client(service).get("/dcm4py-leading/explain/1.2.3?leading=none")
    assert service.asked == [("1.2.3", {}, False)]
    assert client(service).get("/dcm4py-leading/explain/1.2.3?leading=answer.dcm").status_code == 400


def test_text_for_who_prefers_it(client: Client) -> None:
    response = client(Service()).get("/dcm4py-leading/explain/1.2.3", headers={"Accept": "text/plain"})
    assert response.headers["content-type"].startswith("text/plain")
    assert "RULES" in response.text


def test_nothing_is_kept_by_caches_and_a_failure_is_marked(client: Client) -> None:
    good = client(Service()).get("/dcm4py-leading/explain/1.2.3")
    assert (good.headers["cache-control"], good.headers[FAILED_HEADER]) == ("no-store", "false")
    bad = client(Service(replace(EXPLANATION, failure="no"))).get("/dcm4py-leading/explain/1.2.3")
    assert bad.headers[FAILED_HEADER] == "true"


@pytest.mark.parametrize(
    ("error", "status"),
    [(WrongQuestion("which AE?"), 400), (StudyNotStored("not here"), 404), (IndexUnavailable("locked"), 503)],
)
def test_errors_have_their_status_and_message(client: Client, error: Exception, status: int) -> None:
    response = client(Service(error)).get("/dcm4py-leading/explain/1.2.3")
    assert response.status_code == status
    assert response.json() == {"errorMessage": str(error)}


def test_the_old_address_answers_the_same(client: Client) -> None:
    service = Service()
    http = client(service)
    old, new = (http.get(f"{prefix}/explain/1.2.3?to=STORESCP") for prefix in ("", "/dcm4py-leading"))
    assert (old.status_code, old.json()) == (200, new.json())
    assert service.asked == [("1.2.3", {"to": "STORESCP"}, True)] * 2
