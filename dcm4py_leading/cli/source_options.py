"""Options that commands share, to say where the configuration is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dcm4py_leading import log
from dcm4py_leading.cli.command import IS_ABOUT_SOURCE, PROBLEMS, UNREACHABLE, fail, option
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.ldap.properties import LdapArguments, parse_ldap_properties
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigUnavailable, Dcm4pyError
from dcm4py_leading.model.options import SETTINGS, parse_options

_SOURCES = {"ldap_url": "--ldap-url", "ldap_properties": "--ldap-properties", "ldif": "--ldif"}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DATA_DIR: Mapping[str, Any] = {
    "default": "dcm4py-data",
    "show_default": True,
    "type": click.Path(file_okay=False, path_type=Path),
}


def _source_option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """One of the options of the SOURCE."""
    decorate = option(*names, **settings)

    def marked(command: Any) -> Any:
        decorated = decorate(command)
        setattr(decorated.__click_params__[-1], IS_ABOUT_SOURCE, True)
        return decorated

    return marked


def data_dir_option(what: str) -> Callable[[Any], Any]:
    """``--data-dir`` of a command that needs no configuration, given to it as a path, ``data_dir``."""
    return option("--data-dir", **_DATA_DIR, help=what)


def source_options(command: Callable[..., None], *, is_required: bool = True) -> Any:
    """The SOURCE of a configuration, given to the command as one `Site`; None when it may be left out and is."""

    @_source_option(
        "--ldap-url",
        multiple=True,
        metavar="URL",
        help="ldap[s]://HOST:PORT/BASE_DN, ldapi://%2FPATH%2FOF%2FSOCKET/BASE_DN; repeat it for failover.",
    )
    @_source_option(
        "--bind-dn", metavar="DN", help="Simple bind; anonymous without it. Password: DCM4PY_BIND_PASSWORD."
    )
    @_source_option("--bind-password-file", type=_FILE, help="It holds the password of the bind DN.")
    @_source_option(
        "--sasl-external", is_flag=True, help="Bind as the client certificate, or the user of an ldapi: socket."
    )
    @_source_option("--ldap-properties", type=_FILE, help="dcm4che's ldap.properties instead of the options above.")
    @_source_option("--start-tls", is_flag=True, help="StartTLS before the bind.")
    @_source_option("--ca-file", type=_FILE, help="CA certificates (PEM).")
    @_source_option("--client-cert", type=_FILE, help="For TLS (PEM).")
    @_source_option("--client-key", type=_FILE, help="Its key (PEM), not encrypted, unless it is in the same file.")
    @_source_option(
        "--ldif", multiple=True, type=_FILE, help="The embedded directory: LDIF files, in order, instead of a server."
    )
    @_source_option("--device", default="dcm4chee-arc", show_default=True, help="dicomDeviceName.")
    @_source_option(
        "--property", "properties", multiple=True, metavar="NAME=VALUE", help="Value of a ${NAME} placeholder."
    )
    @_source_option("--data-dir", **_DATA_DIR, help="Index, objects, keys. Relative to the current directory.")
    @_source_option(
        "--set",
        "settings",
        multiple=True,
        metavar="[AET:]NAME=VALUE",
        help=f"What the schema has no attribute for: {', '.join(SETTINGS)}.",
    )
    @_source_option("--compat", type=click.Choice(["5.35"]), help="Do as this dcm4chee-arc where we differ on purpose.")
    @_source_option(
        "--style-sheet-dir",
        "style_sheet_dirs",
        multiple=True,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Where style sheets of rules may be, besides DATA_DIR/temp.",
    )
    @_source_option(
        "--log-level",
        default="INFO",
        show_default=True,
        type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
        help="What goes to stderr.",
    )
    @wraps(command)
    def with_site(
        ldap_url: tuple[str, ...],
        bind_dn: str | None,
        bind_password_file: Path | None,
        sasl_external: bool,
        ldap_properties: Path | None,
        start_tls: bool,
        ca_file: Path | None,
        client_cert: Path | None,
        client_key: Path | None,
        ldif: tuple[Path, ...],
        device: str,
        properties: tuple[str, ...],
        data_dir: Path,
        settings: tuple[str, ...],
        compat: str | None,
        style_sheet_dirs: tuple[Path, ...],
        log_level: str,
        **rest: Any,
    ) -> None:
        chosen = _chosen({"ldap_url": ldap_url, "ldap_properties": ldap_properties, "ldif": ldif})
        if chosen is None and is_required:
            raise click.UsageError("give one of --ldap-url, --ldap-properties, --ldif: where the configuration is")
        log.configure(log_level.upper())
        log.quieten_pydicom()
        if chosen is None:
            command(site=None, **rest)
            return
        source: ConfigSource
        try:
            if chosen == "ldif":
                source = LdifSource(ldif)
            else:
                if chosen == "ldap_properties":
                    assert ldap_properties is not None
                    arguments = parse_ldap_properties(ldap_properties)
                else:
                    arguments = LdapArguments(
                        urls=ldap_url,
                        bind_dn=bind_dn,
                        password=_password(bind_dn, bind_password_file),
                        sasl_external=sasl_external,
                    )
                source = LdapSource(
                    **arguments, start_tls=start_tls, ca_file=ca_file, client_cert=client_cert, client_key=client_key
                )
        except ValueError as err:
            raise click.UsageError(str(err)) from err
        try:
            options = parse_options(settings, compat_5_35=compat == "5.35")
        except ValueError as err:
            raise click.UsageError(f"--set: {err}") from err
        pairs = [text.partition("=") for text in properties]
        if any(not separator for _, separator, _ in pairs):
            raise click.UsageError("--property wants NAME=VALUE")
        site = Site(
            source=source,
            device_name=device,
            properties={name: value for name, _, value in pairs},
            data_dir=data_dir.absolute(),
            style_sheet_folders=tuple(folder.absolute() for folder in style_sheet_dirs),
            options=options,
        )
        try:
            command(site=site, **rest)
        except ConfigUnavailable as err:
            fail(str(err), UNREACHABLE)
        except Dcm4pyError as err:
            fail(str(err), PROBLEMS)

    return with_site


def _chosen(given: Mapping[str, Any]) -> str | None:
    """Chosen source; the command line takes precedence over the environment. Raises UsageError."""
    context = click.get_current_context()
    present = [name for name, value in given.items() if value]
    typed = [name for name in present if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    chosen = typed or present
    if len(chosen) > 1:
        named = (
            _SOURCES[name] if name in typed else f"{_SOURCES[name]} (by DCM4PY_{name.upper()} in the environment)"
            for name in chosen
        )
        raise click.UsageError(f"give exactly one of {', '.join(_SOURCES.values())}, not {' and '.join(named)}")
    return chosen[0] if chosen else None


def is_source_typed() -> bool:
    """True if the SOURCE is on the command line, not only in the environment."""
    context = click.get_current_context()
    return any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in _SOURCES)


def _password(bind_dn: str | None, file: Path | None) -> str | None:
    """The password of the bind DN. Raises ValueError where there is none."""
    password = os.environ.get("DCM4PY_BIND_PASSWORD")
    if file is not None:
        password = file.read_text().rstrip("\r\n")
    if bind_dn and not password:
        how = "give it by --bind-password-file or DCM4PY_BIND_PASSWORD"
        raise ValueError(f"expected a password for the bind DN {bind_dn}: {how}")
    return password
