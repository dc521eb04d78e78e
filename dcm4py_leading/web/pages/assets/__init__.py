"""Style sheets and scripts, of others and our own. ``manifest.json`` tells where those of others are from."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

PATH = "/ui/assets/"


@cache
def address(name: str) -> str:
    """Where the browser gets an asset; another version has another address, so each may be kept for ever."""
    digest = hashlib.sha256(resources.files(__name__).joinpath(name).read_bytes()).hexdigest()
    return f"{PATH}{name}?v={digest[:12]}"
