"""dcm4che's ldap.properties, by which a dcm4chee installation says where its directory is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypedDict

from dcm4py_leading.config.placeholders import Expand, unchanged
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable, Problem

_URL = "java.naming.provider.url"
_PRINCIPAL = "java.naming.security.principal"
_CREDENTIALS = "java.naming.security.credentials"
_PROTOCOL = "java.naming.security.protocol"
_AUTHENTICATION = "java.naming.security.authentication"

_PAIR = re.compile(r"(?P<key>(?:\\.|[^\s:=\\])+)(?:\s*[:=]\s*|\s+|$)(?P<value>.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class LdapArguments(TypedDict):
    """Arguments of an LdapSource."""

    urls: tuple[str, ...]
    bind_dn: str | None
    password: str | None
    sasl_external: bool


def parse_ldap_properties(path: Path, expand: Expand = unchanged) -> LdapArguments:
    """Read ``java.naming.provider.url`` (several URLs are separated by blanks), ``java.naming.security.principal``,
    ``.credentials``, ``.protocol`` (ssl) and ``.authentication``: none, simple or EXTERNAL.

    Raises ConfigUnavailable when the file cannot be read, ConfigInvalid without a URL and for other authentication.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigUnavailable(f"cannot read the LDAP properties {path}: {err}") from err
    properties = _properties(text)
    values: dict[str, str] = {}
    problems = []
    for key in (_URL, _PRINCIPAL, _CREDENTIALS, _PROTOCOL, _AUTHENTICATION):
        try:
            values[key] = expand(properties.get(key, "")).strip()
        except ValueError as err:
            problems.append(Problem(dn=str(path), attribute=key, reason=str(err)))
    if _URL in values and not values[_URL]:
        problems.append(Problem(dn=str(path), attribute=_URL, reason="is required, but absent"))
    authentication = values.get(_AUTHENTICATION, "").lower()
    if authentication not in ("", "none", "simple", "external"):
        reason = "expected none, simple or EXTERNAL"
        problems.append(Problem(dn=str(path), attribute=_AUTHENTICATION, value=values[_AUTHENTICATION], reason=reason))
    if problems:
        raise ConfigInvalid(problems)
    urls = values[_URL].split()
    if values[_PROTOCOL].lower() == "ssl":
        urls = [re.sub(r"^ldap:", "ldaps:", url) for url in urls]
    has_password = authentication in ("", "simple")
    return LdapArguments(
        urls=tuple(urls),
        bind_dn=(values[_PRINCIPAL] or None) if has_password else None,
        password=(values[_CREDENTIALS] or None) if has_password else None,
        sasl_external=authentication == "external",
    )


def _properties(text: str) -> dict[str, str]:
    """The format of java.util.Properties."""
    found: dict[str, str] = {}
    line = ""
    for physical in text.splitlines():
        if not line and physical.lstrip()[:1] in ("#", "!"):
            continue
        line += physical.lstrip()
        if (len(line) - len(line.rstrip("\\"))) % 2:
            line = line[:-1]
            continue
        if match := _PAIR.match(line):
            found[_unescaped(match["key"])] = _unescaped(match["value"])
        line = ""
    return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _CONTROL.get(match[2], match[2]), text)
