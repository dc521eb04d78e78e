"""HTTP over TLS, with real certificates and real sockets."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http import connection
from dcm4py_leading.web.http.addresses import HttpAddress, HttpUnavailable
from dcm4py_leading.web.http.certificate import Certificate
from dcm4py_leading.web.http.server import HttpServer
from tests.fixtures.http import at_most
from tests.fixtures.tls import Authority, Pair


async def scheme(request: Request) -> Response:
    return JSONResponse(request.url.scheme)


APP = guarded_app([Route("/scheme", needs(Role.VIEWER, scheme))])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("archive", "DNS:localhost,IP:127.0.0.1")


@contextmanager
def serving(certificate: Certificate) -> Iterator[int]:
    server = HttpServer(APP, [HttpAddress("127.0.0.1", 0).bind()], certificate=certificate)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def context_of(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.ca_file)


def test_requests_are_answered_over_tls(authority: Authority, pair: Pair) -> None:
    with serving(Certificate(*pair)) as port, httpx.Client(verify=context_of(authority), trust_env=False) as http:
        answers = [http.get(f"https://127.0.0.1:{port}/scheme", timeout=60) for _ in range(3)]
    assert [answer.json() for answer in answers] == ["https"] * 3
    assert answers[0].headers["strict-transport-security"].startswith("max-age=")


def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered_over_tls(
    authority: Authority, pair: Pair
) -> None:
    """Both leave the client in one segment, so that the server has the request before it knows of the handshake."""
    request = b"GET /scheme HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = context_of(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with serving(Certificate(*pair)) as port, socket.create_connection(("127.0.0.1", port), 60) as plain:
        is_done = False
        while not is_done:
            try:
                secured.do_handshake()
                is_done = True
                secured.write(request)
            except ssl.SSLWantReadError:
                pass
            plain.sendall(outgoing.read())
            if not is_done:
                incoming.write(plain.recv(65536))
        incoming.write(_all_of(plain))
        assert secured.read(65536).startswith(b"HTTP/1.1 200 ")


def test_large_answers_and_requests_pass(authority: Authority, pair: Pair) -> None:
    async def echo(request: Request) -> Response:
        return Response(await request.body())

    app = guarded_app([Route("/echo", needs(Role.VIEWER, echo), methods=["POST"])])
    server = HttpServer(app, [HttpAddress("127.0.0.1", 0).bind()], certificate=Certificate(*pair))
    server.start()
    body = bytes(range(256)) * 20_000
    try:
        with httpx.Client(verify=context_of(authority), trust_env=False) as http:
            answer = http.post(f"https://127.0.0.1:{server.port}/echo", content=body, timeout=60)
    finally:
        server.stop()
    assert answer.content == body


def test_old_versions_of_tls_are_not_spoken(authority: Authority, pair: Pair) -> None:
    old = context_of(authority)
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        serving(Certificate(*pair)) as port,
        socket.create_connection(("127.0.0.1", port), 60) as plain,
        pytest.raises(OSError),
    ):
        old.wrap_socket(plain, server_hostname="localhost")


def test_peer_without_tls_is_dropped_and_others_are_served(authority: Authority, pair: Pair) -> None:
    with serving(Certificate(*pair)) as port:
        with socket.create_connection(("127.0.0.1", port), 60) as plain:
            plain.sendall(b"GET /scheme HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200" not in _all_of(plain)
        with httpx.Client(verify=context_of(authority), trust_env=False) as http:
            assert http.get(f"https://127.0.0.1:{port}/scheme", timeout=60).status_code == 200


def test_connections_that_never_begin_tls_give_way_like_others(
    authority: Authority, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_most(monkeypatch, 10)
    with serving(Certificate(*pair)) as port, ExitStack() as open_connections:
        first, *_ = [
            open_connections.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(40)
        ]
        assert _all_of(first) == b""
        with httpx.Client(verify=context_of(authority), trust_env=False) as http:
            assert http.get(f"https://127.0.0.1:{port}/scheme", timeout=60).status_code == 200


def test_a_connection_that_never_begins_tls_is_ended_in_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HTTP_REQUEST_SECONDS", 0.2)
    with serving(Certificate(*pair)) as port, socket.create_connection(("127.0.0.1", port), 60) as silent:
        assert _all_of(silent) == b""


def test_a_new_certificate_is_taken_without_a_new_start(authority: Authority, pair: Pair) -> None:
    certificate = Certificate(*pair)
    with serving(certificate) as port:
        before = _serial_number(authority, port)
        renewed = authority.issue("renewed", "DNS:localhost,IP:127.0.0.1")
        for old, new in zip(pair, renewed, strict=True):
            old.write_bytes(new.read_bytes())
        assert _serial_number(authority, port) == before
        certificate.renew()
        after = _serial_number(authority, port)
    assert after != before


def test_a_certificate_that_cannot_be_read_leaves_the_old_one(authority: Authority, pair: Pair) -> None:
    certificate = Certificate(*pair)
    with serving(certificate) as port:
        before = _serial_number(authority, port)
        other = authority.issue("other", "DNS:localhost")
        pair.certificate.write_bytes(other.certificate.read_bytes())
        with pytest.raises(HttpUnavailable, match="the key is not that of the certificate"):
            certificate.renew()
        assert _serial_number(authority, port) == before


def test_faults_of_the_files_are_told(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    other = authority.issue("other", "DNS:localhost")
    with pytest.raises(HttpUnavailable, match="the key is not that of the certificate"):
        Certificate(pair.certificate, other.key)
    text = tmp_path / "text.pem"
    text.write_text("no PEM")
    with pytest.raises(HttpUnavailable, match=f"{text}.*no certificate and key in PEM"):
        Certificate(text, pair.key)
    with pytest.raises(HttpUnavailable, match="No such file"):
        Certificate(tmp_path / "missing.pem", pair.key)


def test_encrypted_key_is_reported_without_password_prompt(pair: Pair, tmp_path: Path) -> None:
    encrypted = tmp_path / "encrypted.key"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", str(pair.key), "-out", str(encrypted)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(HttpUnavailable, match="the key is encrypted"):
        Certificate(pair.certificate, encrypted)


def _serial_number(authority: Authority, port: int) -> object:
    with (
        socket.create_connection(("127.0.0.1", port), 60) as plain,
        context_of(authority).wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        certificate = secured.getpeercert()
    assert certificate is not None
    return certificate["serialNumber"]


def _all_of(connected: socket.socket) -> bytes:
    """What comes until the other side ends the connection."""
    told = b""
    try:
        while part := connected.recv(4096):
            told += part
    except ConnectionResetError:
        pass
    return told


def test_no_handshake_fails_while_certificates_are_renewed(authority: Authority, pair: Pair) -> None:
    others = [authority.issue(f"renewed-{number}", "DNS:localhost,IP:127.0.0.1") for number in range(2)]
    certificate = Certificate(*pair)
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.is_set():
            for other in others:
                for old, new in zip(pair, other, strict=True):
                    new_name = old.with_suffix(".new")
                    new_name.write_bytes(new.read_bytes())
                    new_name.replace(old)
                certificate.renew()

    with serving(certificate) as port, ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(renew)
        try:
            assert len({_serial_number(authority, port) for _ in range(200)}) > 1
        finally:
            is_over.set()
        renewing.result(60)
