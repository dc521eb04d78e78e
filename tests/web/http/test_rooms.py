"""What keeps others waiting over HTTP, and whom it does not."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, cast

import httpx
import pytest

from dcm4py_leading.coercion.explain import RenderedExplanation
from dcm4py_leading.model.bounds import HTTP_THREADS, HTTP_WAITING_REQUESTS
from dcm4py_leading.web.app import Control, create_app
from tests.fixtures.http import at_most, served


class Service:
    """Explains and reloads as long as ``going_on`` is not set."""

    def __init__(self) -> None:
        self.going_on = threading.Event()
        self.busy = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0

    def _work(self) -> None:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.busy.release()
        assert self.going_on.wait(60)
        with self.lock:
            self.at_once -= 1

    def explain(
        self, study_instance_uid: str, parameters: Mapping[str, str], *, is_asking: bool
    ) -> RenderedExplanation:
        self._work()
        return RenderedExplanation(as_json={}, as_text="", has_failed=False)

    def reload(self) -> None:
        self._work()

    def is_ready(self) -> bool:
        return True

    def state(self) -> dict[str, object]:
        return {}

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the service is asked for {name}")


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.going_on.set()


@pytest.mark.parametrize(
    ("method", "path", "threads"),
    [("GET", "/dcm4py-leading/explain/1.2.3", HTTP_THREADS), ("POST", "/dcm4chee-arc/ctrl/reload", 1)],
)
def test_waiting_requests_keep_no_health_check_waiting(
    service: Service, method: str, path: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_most(monkeypatch, 200)
    limits = httpx.Limits(max_connections=200)
    most = threads + HTTP_WAITING_REQUESTS
    with (
        served(app=create_app(cast(Control, service))) as http,
        httpx.Client(base_url=http.base_url, trust_env=False, limits=limits, timeout=100) as many,
        ThreadPoolExecutor(most + 10) as pool,
    ):
        try:
            asked = [pool.submit(many.request, method, path) for _ in range(most + 10)]
            for _ in range(threads):
                assert service.busy.acquire(timeout=60)
            for health in ("/health/live", "/health/ready", "/dcm4chee-arc/ctrl/status"):
                assert http.get(health, timeout=60).status_code == 200
        finally:
            service.going_on.set()
        codes = sorted(one.result(100).status_code for one in asked)
    assert service.most_at_once == threads
    assert set(codes) <= {200, 204, 503}
    assert codes.count(503) <= 10


def test_silent_connections_give_way_to_those_who_ask(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at_most(monkeypatch, 10)
    with served(app=create_app(cast(Control, service))) as http, ExitStack() as open_connections:
        address = ("127.0.0.1", http.base_url.port or 0)
        first = open_connections.enter_context(socket.create_connection(address, 60))
        for _ in range(40):
            open_connections.enter_context(socket.create_connection(address, 60))
        assert first.recv(1) == b""  # the oldest
        assert http.get("/health/live", timeout=60).status_code == 200
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1
    assert "more than 10" in told[0].getMessage()


def test_a_request_at_work_does_not_give_way(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch, 5)
    with served(app=create_app(cast(Control, service))) as http, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(http.get, "/dcm4py-leading/explain/1.2.3", timeout=100)
        assert service.busy.acquire(timeout=60)
        with ExitStack() as open_connections:
            address = ("127.0.0.1", http.base_url.port or 0)
            first, *_ = [open_connections.enter_context(socket.create_connection(address, 60)) for _ in range(20)]
            assert first.recv(1) == b""
        service.going_on.set()
        assert asked.result(100).status_code == 200
