"""Options of ``serve`` about bearer tokens: whose are accepted, and what their roles mean."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dcm4py_leading.cli.command import option
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.login.bearer import DEFAULT_CLAIMS, DEFAULT_ROLES, BearerTokens, Expected
from dcm4py_leading.web.login.issuer_keys import IssuerKeys


def oidc_options(command: Callable[..., None]) -> Any:
    """The options, given to the command as one `BearerTokens` or None, ``tokens``."""

    @option("--oidc-issuer", metavar="URL", help="Accept bearer tokens of this OpenID Connect issuer, too.")
    @option(
        "--oidc-client",
        multiple=True,
        metavar="ID",
        help="Client or audience that tokens must be of (azp) or for (aud); may be repeated.",
    )
    @option(
        "--oidc-roles-claim",
        multiple=True,
        default=DEFAULT_CLAIMS,
        show_default=True,
        metavar="PATH",
        help="Claim with a list of roles; {client} stands for each --oidc-client. May be repeated.",
    )
    @_role_option(Role.VIEWER, "Who has it may look.")
    @_role_option(Role.ADMINISTRATOR, "Who has it may do everything.")
    @_role_option(Role.SERVICE, "Programs that have it may ask for metrics and health, and reload.")
    @option(
        "--oidc-ca-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="CA certificates (PEM) that the issuer is checked by.",
    )
    @wraps(command)
    def with_tokens(
        oidc_issuer: str | None,
        oidc_client: tuple[str, ...],
        oidc_roles_claim: tuple[str, ...],
        oidc_viewer_role: tuple[str, ...],
        oidc_administrator_role: tuple[str, ...],
        oidc_service_role: tuple[str, ...],
        oidc_ca_file: Path | None,
        **rest: Any,
    ) -> None:
        if oidc_issuer is None:
            if oidc_client:
                raise click.UsageError("--oidc-client wants --oidc-issuer")
            command(tokens=None, **rest)
            return
        if not oidc_client:
            raise click.UsageError("--oidc-issuer wants --oidc-client: tokens for other programs are refused")
        expected = Expected(
            issuer=oidc_issuer,
            clients=oidc_client,
            roles={
                Role.VIEWER: oidc_viewer_role,
                Role.ADMINISTRATOR: oidc_administrator_role,
                Role.SERVICE: oidc_service_role,
            },
            claims=oidc_roles_claim,
        )
        try:
            keys = IssuerKeys(oidc_issuer, ca_file=oidc_ca_file)
        except ValueError as err:
            raise click.UsageError(f"--oidc-issuer: {err}") from err
        except OSError as err:
            raise click.UsageError(f"--oidc-ca-file: {err.strerror or err}") from err
        command(tokens=BearerTokens(expected, keys), **rest)

    return with_tokens


def _role_option(role: Role, what: str) -> Callable[[Any], Any]:
    return option(
        f"--oidc-{role}-role",
        multiple=True,
        default=DEFAULT_ROLES[role],
        show_default=True,
        metavar="NAME",
        help=f"Role in the token. {what} May be repeated.",
    )
