"""ETag and If-Match (RFC 9110 13.1.1) of devices and single entries."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from starlette.requests import Request

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.writing.state import etag
from dcm4py_leading.model.bounds import TOLD_ENTRIES
from dcm4py_leading.secret_text import is_secret
from dcm4py_leading.web.rest.configuration.failures import Conflict, PreconditionFailed


class ToldStates:
    """States sent recently, by ETag, so that a client that comes too late is told both values."""

    def __init__(self, most_entries: int = TOLD_ENTRIES) -> None:
        self._most = most_entries
        self._held: OrderedDict[str, tuple[Entry, ...]] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def tag(self, entries: Sequence[Entry]) -> str:
        """The ETag header of these entries, which are remembered."""
        found = etag(entries)
        with self._lock:
            if found not in self._held:
                self._held[found] = tuple(entries)
                self._count += len(entries)
            self._held.move_to_end(found)
            while self._count > self._most and len(self._held) > 1:
                _, oldest = self._held.popitem(last=False)
                self._count -= len(oldest)
        return f'"{found}"'

    def check(self, request: Request, now: Sequence[Entry]) -> None:
        """Raise PreconditionFailed if If-Match of the request does not name the present state ``now``."""
        wanted = [tag.strip() for line in request.headers.getlist("if-match") for tag in line.split(",")]
        if not wanted or "*" in wanted or f'"{etag(now)}"' in wanted:
            return
        for tag in wanted:
            if (told := self._held.get(tag.strip('"'))) is not None:
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
