"""Where HTTP listens: what may be written, who could connect, and what is refused."""

from __future__ import annotations

import socket

import pytest

from dcm4py_leading.web.http.addresses import (
    HttpAddress,
    HttpUnavailable,
    PublicUrl,
    bind_all,
    is_among,
    parse_network,
    refuse_exposure,
)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        ("[::1]:8080", "::1", 8080),
        ("archive.example:65535", "archive.example", 65535),
    ],
)
def test_addresses_are_read_and_written_back(text: str, host: str, port: int) -> None:
    address = HttpAddress.parse(text)
    assert (address.host, address.port, str(address)) == (host, port, text)


@pytest.mark.parametrize("text", ["8080", ":8080", "localhost:", "localhost:65536", "localhost:-1", "::1:8080", "a:b"])
def test_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        HttpAddress.parse(text)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("localhost.example", False),
        ("archive", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, is_loopback: bool) -> None:
    assert HttpAddress(host, 80).is_loopback() is is_loopback


@pytest.mark.parametrize(
    ("host", "has_tls", "has_login", "is_insecure", "told"),
    [
        ("127.0.0.1", False, False, False, None),
        ("0.0.0.0", True, True, False, None),
        ("0.0.0.0", False, True, True, None),
        ("0.0.0.0", False, True, False, "--http-cert"),
        ("0.0.0.0", True, False, False, "--login"),
        ("0.0.0.0", False, False, True, "--login"),
    ],
)
def test_others_connect_by_tls_and_log_in_only(
    host: str, has_tls: bool, has_login: bool, is_insecure: bool, told: str | None
) -> None:
    addresses = [HttpAddress("127.0.0.1", 80), HttpAddress(host, 80)]

    def check() -> None:
        refuse_exposure(addresses, has_tls=has_tls, has_login=has_login, is_insecure=is_insecure)

    if told is None:
        check()
    else:
        with pytest.raises(HttpUnavailable, match=f"--http {host}:80.*{told}"):
            check()


def test_ipv4_and_ipv6_listen_side_by_side() -> None:
    sockets = bind_all([HttpAddress("127.0.0.1", 0), HttpAddress("::1", 0)])
    try:
        for host, one in zip(("127.0.0.1", "::1"), sockets, strict=True):
            socket.create_connection((host, one.getsockname()[1]), 60).close()
    finally:
        for one in sockets:
            one.close()


def test_all_addresses_are_bound_or_none() -> None:
    with HttpAddress("127.0.0.1", 0).bind() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HttpUnavailable, match=f"cannot listen on 127.0.0.1:{port} .*Address already in use"):
            bind_all([HttpAddress("127.0.0.1", 0), HttpAddress("127.0.0.1", port)])


def test_a_host_that_is_not_known_is_told() -> None:
    with pytest.raises(HttpUnavailable, match=r"cannot listen on no\.such\.host\.invalid:80"):
        HttpAddress("no.such.host.invalid", 80).bind()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://Archive.example", "https://archive.example"),
        ("https://archive.example:443/", "https://archive.example"),
        ("https://archive.example:8443", "https://archive.example:8443"),
        ("http://[2001:db8::1]:80", "http://[2001:db8::1]"),
    ],
)
def test_public_urls_are_written_as_browsers_write_origins(text: str, told: str) -> None:
    assert str(PublicUrl.parse(text)) == told


@pytest.mark.parametrize(
    "text",
    [
        "archive.example",
        "ftp://archive.example",
        "https://",
        "https://a/b",
        "https://a?b",
        "https://u@a",
        "https://a:x",
    ],
)
def test_invalid_public_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        PublicUrl.parse(text)


def test_proxies_are_addresses_and_networks() -> None:
    networks = [parse_network(text) for text in ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32")]
    assert all(is_among(host, networks) for host in ("10.1.2.3", "192.0.2.7", "2001:db8::9", "::ffff:10.0.0.1"))
    assert not any(is_among(host, networks) for host in ("192.0.2.8", "::1", "unknown", ""))
    with pytest.raises(ValueError, match="expected an IP address"):
        parse_network("proxy.example")
