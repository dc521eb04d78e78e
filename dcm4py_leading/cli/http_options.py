"""Options of ``serve`` about HTTP: addresses, TLS, proxies."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dcm4py_leading.cli.command import option
from dcm4py_leading.web.http.addresses import (
    HttpAddress,
    Network,
    PublicUrl,
    bind_all,
    parse_network,
    refuse_exposure,
)
from dcm4py_leading.web.http.certificate import Certificate
from dcm4py_leading.web.viewer.build import ViewerBuild

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """Options of the HTTP server."""

    addresses: tuple[HttpAddress, ...]
    hosts: tuple[str, ...]
    """Names by which the service may be asked."""
    certificate_file: Path | None
    key_file: Path | None
    public_url: PublicUrl | None
    proxies: tuple[Network, ...]
    cors_origins: tuple[str, ...]
    """Origins of web viewers whose pages may read DICOMweb."""
    viewer: ViewerBuild | None
    is_insecure: bool

    def certificate(self) -> Certificate | None:
        """The certificate, read from its files; None for HTTP without TLS. Raises HttpUnavailable."""
        if self.certificate_file is None:
            return None
        return Certificate(self.certificate_file, self.key_file or self.certificate_file)

    def bind(self, *, has_login: bool) -> list[socket.socket]:
        """Listening sockets. Raises HttpUnavailable, also where they would be open to others without TLS or log-in."""
        has_tls = self.certificate_file is not None
        refuse_exposure(self.addresses, has_tls=has_tls, has_login=has_login, is_insecure=self.is_insecure)
        return bind_all(self.addresses)

    def urls(self, ports: tuple[int, ...]) -> tuple[str, ...]:
        """URLs of the listeners on these ports, the public one last."""
        scheme = "http" if self.certificate_file is None else "https"
        own = (
            f"{scheme}://{HttpAddress(address.host, port)}" for address, port in zip(self.addresses, ports, strict=True)
        )
        return (*own, *([] if self.public_url is None else [str(self.public_url)]))


class _Parsed(click.ParamType):  # type: ignore[type-arg]
    """A text that a function reads, which raises ValueError."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as err:
            self.fail(str(err), param, ctx)


def http_options(command: Callable[..., None]) -> Any:
    """The options, given to the command as one `Http`, ``http``."""

    @option(
        "--http",
        "addresses",
        multiple=True,
        default=["127.0.0.1:8080"],
        show_default=True,
        type=_Parsed("address", HttpAddress.parse),
        metavar="HOST:PORT",
        help="Pages, control and health; repeat it for more addresses.",
    )
    @option(
        "--http-host",
        "hosts",
        multiple=True,
        metavar="NAME",
        help="A name by which the service may be asked over HTTP, besides localhost and this machine's.",
    )
    @option("--http-cert", "cert", type=_FILE, help="Certificate (PEM), then those of authorities: HTTPS, not HTTP.")
    @option("--http-key", "key", type=_FILE, help="Its key (PEM), not encrypted, unless it is in the same file.")
    @option(
        "--http-url",
        "public_url",
        type=_Parsed("url", PublicUrl.parse),
        metavar="URL",
        help="https://HOST[:PORT] by which others know the service, where a proxy stands before it.",
    )
    @option(
        "--http-trusted-proxy",
        "proxies",
        multiple=True,
        type=_Parsed("network", parse_network),
        metavar="ADDRESS|NET",
        help="A proxy whose Forwarded, or X-Forwarded-For, -Proto and -Host, are believed.",
    )
    @option(
        "--http-cors-origin",
        "cors_origins",
        multiple=True,
        type=_Parsed("origin", lambda text: str(PublicUrl.parse(text))),
        metavar="URL",
        help="https://HOST[:PORT] of a web viewer, whose pages may read DICOMweb.",
    )
    @option(
        "--viewer-dir",
        "viewer",
        type=_Parsed("folder", ViewerBuild.of),
        metavar="DIR",
        help="Folder dist of an OHIF build, the web viewer that is served at /viewer.",
    )
    @option("--http-insecure", "is_insecure", is_flag=True, help="Let other machines connect without TLS.")
    @wraps(command)
    def with_http(
        addresses: tuple[HttpAddress, ...],
        hosts: tuple[str, ...],
        cert: Path | None,
        key: Path | None,
        public_url: PublicUrl | None,
        proxies: tuple[Network, ...],
        cors_origins: tuple[str, ...],
        viewer: ViewerBuild | None,
        is_insecure: bool,
        **rest: Any,
    ) -> None:
        if key is not None and cert is None:
            raise click.UsageError("--http-key wants --http-cert, the certificate of the key")
        http = Http(
            addresses=addresses,
            hosts=(*hosts, *(address.host for address in addresses)),
            certificate_file=cert,
            key_file=key,
            public_url=public_url,
            proxies=proxies,
            cors_origins=cors_origins,
            viewer=viewer,
            is_insecure=is_insecure,
        )
        command(http=http, **rest)

    return with_http
