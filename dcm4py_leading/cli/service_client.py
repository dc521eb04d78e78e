"""HTTP client of the running service, for commands: its address, the user, and the answer."""

from __future__ import annotations

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from dcm4py_leading.cli.command import PROBLEMS, UNREACHABLE, WRONG_USAGE, fail, option
from dcm4py_leading.web.http.addresses import HttpAddress

DEFAULT_SERVICE = "http://127.0.0.1:8080"

_READY = "/health/ready"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SECONDS = 60.0
"""So long an answer may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningService:
    """The running service, as named on the command line."""

    url: str
    is_named: bool
    """False: it is the default."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def exchange(
        self, method: str, path: str, accept: str = "application/json", *, seconds: float = _SECONDS
    ) -> tuple[str, Mapping[str, str]]:
        """Body and headers of the answer, names in lower case; ends the program without an answer, or with an error."""
        try:
            with self._opener().open(self._request(method, path, accept), timeout=seconds) as response:
                return response.read().decode(), _lower(response.headers)
        except urllib.error.HTTPError as err:
            body = err.read().decode(errors="replace")
            if path == _READY and err.code == HTTPStatus.SERVICE_UNAVAILABLE and body.startswith("{"):
                return body, _lower(err.headers)
            fail(self._told(err, body), WRONG_USAGE if err.code == HTTPStatus.BAD_REQUEST else PROBLEMS)
        except (urllib.error.URLError, OSError) as err:
            reason = getattr(err, "reason", err)
            if isinstance(reason, ssl.SSLCertVerificationError):
                fail(f"{self.url}: {reason.verify_message}: name its authority by --http-ca-file", UNREACHABLE)
            told = getattr(reason, "strerror", None) or reason
            fail(f"{self.url}: {told}: is the service running there?", UNREACHABLE)

    def state(self) -> Mapping[str, Any]:
        """Details of ``/health/ready``; ends the program if the user may not see them."""
        state: Mapping[str, Any] = json.loads(self.exchange("GET", _READY)[0])
        if "configuration" not in state:
            self.exchange("GET", "/dcm4chee-arc/ctrl/status")  # tells why
        return state

    def _request(self, method: str, path: str, accept: str) -> urllib.request.Request:
        request = urllib.request.Request(self.url + path, method=method, headers={"Accept": accept})
        if self.user is not None:
            credentials = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {credentials}")  # RFC 7617
        return request

    def _opener(self) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cafile=self.ca_file)
        return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))

    def _told(self, err: urllib.error.HTTPError, body: str) -> str:
        try:
            message = str(json.loads(body)["errorMessage"])
        except (ValueError, KeyError, TypeError):
            message = body or str(err)
        if err.code == HTTPStatus.UNAUTHORIZED and self.user is None:
            return f"{self.url}: {message}: give --http-user, and --http-password-file or DCM4PY_HTTP_PASSWORD"
        return message


def service_options(command: Callable[..., None]) -> Any:
    """The options that name the running service, given to the command as one `RunningService`, ``service``."""

    @option(
        "--http",
        default=DEFAULT_SERVICE,
        show_default=True,
        metavar="URL",
        callback=_checked_url,
        help="The running service.",
    )
    @option("--http-user", "user", metavar="NAME", help="Who logs in. Password: DCM4PY_HTTP_PASSWORD.")
    @option("--http-password-file", "password_file", type=_FILE, help="It holds the password of that user.")
    @option("--http-ca-file", "http_ca_file", type=_FILE, help="CA certificates (PEM) that https:// is checked by.")
    @wraps(command)
    def with_service(
        http: str, user: str | None, password_file: Path | None, http_ca_file: Path | None, **rest: Any
    ) -> None:
        is_named = click.get_current_context().get_parameter_source("http") is not ParameterSource.DEFAULT
        service = RunningService(
            url=http, is_named=is_named, user=user, password=_password(http, user, password_file), ca_file=http_ca_file
        )
        command(service=service, **rest)

    return with_service


def _checked_url(_: click.Context, __: click.Parameter, value: str) -> str:
    """A URL; of addresses as `serve` takes them, the first, over TLS where the environment names a certificate."""
    first = next(iter(value.split()), "")
    scheme = "https" if os.environ.get("DCM4PY_HTTP_CERT") else "http"
    url = first if "://" in first else f"{scheme}://{first}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as err:
        raise click.BadParameter(f"{first!r} has no port from 1 to 65535: {err}") from err
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise click.BadParameter(f"{first!r} is no URL: expected http://HOST:PORT or https://HOST:PORT")
    return url.rstrip("/")


def _password(url: str, user: str | None, file: Path | None) -> str | None:
    """The password of the user. Raises UsageError where there is none, or where all could read it on its way."""
    if user is None:
        return None
    password = os.environ.get("DCM4PY_HTTP_PASSWORD") if file is None else file.read_text("utf-8").rstrip("\r\n")
    if not password:
        raise click.UsageError(f"expected a password for {user}: give --http-password-file or DCM4PY_HTTP_PASSWORD")
    parts = urlsplit(url)
    if parts.scheme == "http" and not HttpAddress(parts.hostname or "", 0).is_loopback():
        raise click.UsageError(f"{url}: the password would go there as plain text: name the service by https://")
    return password


def _lower(headers: Message[str, str]) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}
