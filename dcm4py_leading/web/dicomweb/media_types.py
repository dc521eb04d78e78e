"""Media types with their parameters, in the header Accept as clients write it (RFC 9110 12.5.1, PS3.18 8.7).

Clients leave out quotation marks where a value has a slash, or put several parameters between two of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from starlette.requests import Request

MULTIPART = "multipart/related"
_QUOTED = r'"(?:[^"\\]|\\.)*"?'
_RANGE = re.compile(rf'(?:[^,"]|{_QUOTED})+')
_PART = re.compile(rf'(?:[^;"]|{_QUOTED})+')
_NO_QUALITY = re.compile(r"0(\.0*)?")


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One of the media types that a client takes."""

    name: str
    """In lower case; of a multipart type that of its parts."""
    parameters: Mapping[str, str]
    """Without ``type``."""
    is_multipart: bool

    def covers(self, media_type: str) -> bool:
        """True if it stands for the type, perhaps by ``*``."""
        kind, _, _ = media_type.partition("/")
        return self.name in (media_type, f"{kind}/*", "*/*")


def accepted_ranges(request: Request) -> list[MediaRange]:
    """Media types that the client takes: of the parameter ``accept``, or the header; where there is none, ``*/*``."""
    said = request.query_params.getlist("accept") or request.headers.getlist("accept")
    return list(_ranges(", ".join(said))) if "".join(said).strip() else [MediaRange("*/*", {}, is_multipart=False)]


def content_type(request: Request) -> MediaRange | None:
    """Media type of the body; None where the request does not tell one."""
    return next(_ranges(request.headers.get("content-type", "")), None)


def _ranges(text: str) -> Iterator[MediaRange]:
    for one in _RANGE.findall(text):
        name, *rest = (part.strip() for part in _PART.findall(one.strip()) or [""])
        name = "*/*" if name == "*" else name.casefold()
        parameters: dict[str, str] = {}
        for part in rest:
            _read_parameter(part, parameters)
        if _NO_QUALITY.fullmatch(parameters.pop("q", "1")):
            continue
        is_multipart = name == MULTIPART
        of_parts = parameters.pop("type", "*/*").casefold()
        yield MediaRange(of_parts if is_multipart else name, parameters, is_multipart)


def _read_parameter(part: str, into: dict[str, str]) -> None:
    name, _, value = part.partition("=")
    first, *more = (one.strip() for one in value.strip().strip('"').split(";"))
    if first:
        into.setdefault(name.strip().casefold(), first.strip('"'))
    for one in more:
        _read_parameter(one, into)
