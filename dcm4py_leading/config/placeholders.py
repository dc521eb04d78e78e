"""Placeholders ``${name}`` in attribute values, as in upstream's LDIF."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

Expand = Callable[[str], str]

_PLACEHOLDER = re.compile(r"\$\{(?P<name>[^{}:]+)(?::(?P<default>[^{}]*))?\}")
_ENVIRONMENT = "env."


def unchanged(text: str) -> str:
    """Expand nothing."""
    return text


def data_dir_properties(data_dir: Path) -> dict[str, str]:
    """``jboss.server.{data,storage,temp}.{dir,url}``: folders of ``data_dir``, the URLs with scheme file."""
    properties = {}
    for name in ("data", "storage", "temp"):
        folder = data_dir.absolute() / name
        properties[f"jboss.server.{name}.dir"] = str(folder)
        properties[f"jboss.server.{name}.url"] = folder.as_uri()
    return properties


def expander(properties: Mapping[str, str], environment: Mapping[str, str]) -> Expand:
    """A function that replaces ``${name}``, ``${name:default}`` and ``${env.NAME:default}``.

    It raises ValueError that names the placeholder when there is neither value nor default.
    """

    def value(match: re.Match[str]) -> str:
        name: str = match["name"].strip()
        found = properties.get(name)
        if found is None and name.startswith(_ENVIRONMENT):
            found = environment.get(name.removeprefix(_ENVIRONMENT))
        if found is None:
            found = match["default"]
        if found is None:
            raise ValueError(f"expected a value for the placeholder {match[0]}: give --property {name}=VALUE")
        return found

    return lambda text: _PLACEHOLDER.sub(value, text) if "${" in text else text
