"""Look-up of the AEs that we query."""

from __future__ import annotations

from collections.abc import Callable

from dcm4py_leading.errors import ConfigError, DependencyError
from dcm4py_leading.model.device import RemoteAE
from dcm4py_leading.model.values import AETitle

Resolve = Callable[[AETitle], RemoteAE | None]
"""Looks a remote AE up in the directory; None: it has none. Raises ConfigUnavailable."""


def resolved(resolve: Resolve, ae_title: AETitle, failure: type[DependencyError]) -> RemoteAE:
    """The AE of that title. Raises ``failure`` if the directory has none, or is not available."""
    try:
        remote = resolve(ae_title)
    except ConfigError as err:
        raise failure(f"{ae_title} cannot be looked up: {err}") from err
    if remote is None:
        raise failure(f"{ae_title} is not in the directory")
    return remote
