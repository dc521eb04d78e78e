"""Files of an OHIF build: which may be served, and how they come to work below ``/viewer/``.

A build is made for one path (``PUBLIC_URL``). The one that npm has is made for ``/``: the addresses in its page, style
sheets and scripts are led here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from dcm4py_leading.web.http.answers import VIEWER

_INDEX = "index.html"
APP_CONFIG = "app-config.js"
"""The file of a build that says where its data come from; ours takes its place."""
_MOVED = (
    (re.compile(rb'\b(__webpack_require__\.p = )"/"'), rb'\1"%s"'),
    (re.compile(rb"\burl\(/(?!/)"), rb"url(%s"),
)
_IN_PAGE = re.compile(r'(\b(?:src|href|content|PUBLIC_URL) ?= ?")/(?!/)')
_SCRIPT = re.compile(r"<script(?=[ >])")
_HASHED = re.compile(r"(?:^|\.)[0-9a-f]{16,}\.[\w.]+$")


class WrongViewer(ValueError):
    """A folder that holds no OHIF build for this service. The message names it."""


@dataclass(frozen=True, slots=True)
class ViewerBuild:
    """The folder ``dist`` of an OHIF build."""

    directory: Path
    """Without symbolic links."""
    is_for_root: bool
    """True if the build is made for ``/``."""

    @classmethod
    def of(cls, directory: str) -> ViewerBuild:
        """The build in a folder. Raises WrongViewer."""
        root = Path(os.path.realpath(directory))
        try:
            page = (root / _INDEX).read_text("utf-8")
        except OSError as err:
            raise WrongViewer(f"{directory}: {_INDEX} of an OHIF build: {err.strerror}") from err
        except UnicodeDecodeError as err:
            raise WrongViewer(f"{directory}: {_INDEX} is no page of an OHIF build") from err
        for base in ("/", VIEWER):
            if f'"{base}{APP_CONFIG}"' in page:
                return cls(root, is_for_root=base == "/")
        raise WrongViewer(f"{directory}: no OHIF build for / or {VIEWER}: {_INDEX} does not ask for {APP_CONFIG} there")

    def file(self, name: str) -> Path | None:
        """A file of the build; None where there is none, or where a link leads out of the folder."""
        if "\0" in name:
            return None
        found = Path(os.path.realpath(self.directory / name.lstrip("/")))
        try:
            return found if found.is_relative_to(self.directory) and found.is_file() else None
        except OSError:  # such as a name that is too long for any file
            return None

    def is_moved(self, file: Path) -> bool:
        """True if the file may hold addresses that have to be led to ``/viewer/``."""
        return self.is_for_root and file.parent == self.directory and file.suffix in (".js", ".css")

    def page(self, nonce: str) -> str:
        """The page; its scripts run by the nonce. Raises OSError."""
        text = (self.directory / _INDEX).read_text("utf-8", "replace")
        if self.is_for_root:
            text = _IN_PAGE.sub(rf"\1{VIEWER}", text)
        return _SCRIPT.sub(f'<script nonce="{nonce}"', text)


def moved(content: bytes) -> bytes:
    """A script or style sheet made for ``/``, with its addresses below ``/viewer/``."""
    for pattern, replacement in _MOVED:
        content = pattern.sub(replacement % VIEWER.encode(), content)
    return content


def is_hashed(file: Path) -> bool:
    """True if the name has a hash of the content: the file never changes."""
    return _HASHED.search(file.name) is not None
