"""ETag and If-Match (RFC 9110 13.1.1) of devices and single entries."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from cachetools import FIFOCache
from starlette.requests import Request

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.writing.state import etag
from dcm4py_leading.model.bounds import TOLD_ENTRIES
from dcm4py_leading.secret_text import is_secret
from dcm4py_leading.web.rest.configuration.failures import Conflict, PreconditionFailed


class ToldStates:
    """States sent recently, by ETag, so that a client that comes too late is told both values. Safe under threads."""

    def __init__(self, most_entries: int = TOLD_ENTRIES) -> None:
        # One that has more entries than all together may have is kept, alone.
        self._held: FIFOCache[str, tuple[Entry, ...]] = FIFOCache(
            most_entries, getsizeof=lambda entries: min(len(entries), most_entries)
        )
        self._lock = threading.Lock()

    def tag(self, entries: Sequence[Entry]) -> str:
        """The ETag header of these entries, which are remembered."""
        found = etag(entries)
        with self._lock:
            self._held[found] = tuple(entries)
        return f'"{found}"'

    def check(self, request: Request, now: Sequence[Entry]) -> None:
        """Raise PreconditionFailed if If-Match of the request does not name the present state ``now``."""
        wanted = [tag.strip() for line in request.headers.getlist("if-match") for tag in line.split(",")]
        if not wanted or "*" in wanted or f'"{etag(now)}"' in wanted:
            return
        with self._lock:
            known = [self._held.get(tag.strip('"')) for tag in wanted]
        for told in known:
            if told is not None:
                raise PreconditionFailed(_conflicts(told, now))
        raise PreconditionFailed


def _conflicts(told: Sequence[Entry], now: Sequence[Entry]) -> Iterator[Conflict]:
    before, after = ({entry.key: entry for entry in entries} for entries in (told, now))
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            yield Conflict((old or new or told[0]).dn, None)
            continue
        for name in sorted({*old, *new}):
            if not is_secret(name) and sorted(old.values(name)) != sorted(new.values(name)):
                yield Conflict(new.dn, new.spell(old.spell(name)), old.values(name), new.values(name))
