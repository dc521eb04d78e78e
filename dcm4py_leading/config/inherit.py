"""Inheritance: each setting is the AE's, else the device's, else the model's default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dcm4py_leading.model.archive import ArchiveSettings


def settings(device: Mapping[str, Any], ae: Mapping[str, Any]) -> ArchiveSettings:
    """The effective settings of an AE, from the fields bound from its device's entry and from its own."""
    return ArchiveSettings(**{**device, **ae})
