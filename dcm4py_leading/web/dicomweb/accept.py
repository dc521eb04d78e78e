"""Media types that a client accepts, read as clients write them (RFC 9110 12.5.1, PS3.18 8.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from starlette.requests import Request

DICOM_JSON = "application/dicom+json"
_RANGE = re.compile(r"""(?:[^,"]|"(?:[^"\\]|\\.)*"?)+""")
"""One of a list; a comma in a quoted text is none between two."""
_QUALITY = re.compile(r""";\s*q\s*=\s*"?([0-9.]*)""", re.IGNORECASE)


def accepts_any(request: Request, offered: Sequence[str]) -> bool:
    """True if one of these media types is accepted; what else is in the list does not matter.

    The query parameter ``accept`` stands for the header (PS3.18 8.3.3.1); without any, all is accepted.
    """
    said = request.query_params.getlist("accept") or request.headers.getlist("accept")
    found = [one for text in said for one in _ranges(text)]
    return not "".join(said).strip() or any(_covers(accepted, one) for accepted in found for one in offered)


def accepts_gzip(request: Request) -> bool:
    """True if the client says that it takes gzip (RFC 9110 12.5.3)."""
    return any(coding == "gzip" for text in request.headers.getlist("accept-encoding") for coding in _ranges(text))


def _ranges(text: str) -> Iterator[str]:
    """The names in a list, in lower case, without those of quality 0."""
    for one in _RANGE.findall(text):
        quality = _QUALITY.search(one)
        name = one.partition(";")[0].strip().casefold()
        if name and not (quality and quality[1].strip("0.") == "" and quality[1]):
            yield name


def _covers(accepted: str, offered: str) -> bool:
    kind, _, _ = offered.partition("/")
    return accepted in (offered, "*/*", "*", f"{kind}/*")
