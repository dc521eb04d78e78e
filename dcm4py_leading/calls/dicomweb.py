"""DICOMweb."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Protocol

from dcm4py_leading.calls.call import Form, Here
from dcm4py_leading.calls.stream import H, IsGone, Q, Stream, StreamCall
from dcm4py_leading.service.dicomweb.chunks import Chunks
from dcm4py_leading.service.dicomweb.search import Search, SearchHead, search


def _search(here: Here, wanted: Search, is_gone: IsGone) -> tuple[SearchHead, Chunks]:
    return search(here.runtime, wanted, is_gone)


SEARCH: StreamCall[Search, SearchHead] = StreamCall(
    name="search",
    do=_search,
    question=Form(to_json=Search.to_json, from_json=Search.from_json),
    head=Form(to_json=asdict, from_json=lambda value: SearchHead(**value)),
)


class Streaming(Protocol):
    """The side that calls a process with the archive for a long answer."""

    def stream(self, call: StreamCall[Q, H], question: Q, body: Iterable[bytes] | None = None) -> Stream[H]:
        """The answer of one process, to which ``body`` goes before.

        Raises what ``call.do`` or ``body`` raises; StatusError where no process answers.
        """
        ...


class Searches(Streaming):
    """Searches (see `web.dicomweb.search.Searching`)."""

    def search(self, wanted: Search) -> Stream[SearchHead]:
        """Search for patients, studies, series or instances."""
        return self.stream(SEARCH, wanted)
