"""Remote AEs, looked up in the directory on demand, and cached for dcmAECacheStaleTimeout."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta

from cachetools import LRUCache

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.loader import load_remote_ae
from dcm4py_leading.config.placeholders import Expand, unchanged
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigUnavailable
from dcm4py_leading.model.bounds import FOLLOWED_AES, REMOTE_AE_TITLES
from dcm4py_leading.model.device import RemoteAE

LOG = logging.getLogger(__name__)

_RETRY_AFTER = timedelta(seconds=30)
"""Time for which a known answer serves unasked once the directory was found down: each attempt costs a timeout."""


@dataclass(frozen=True, slots=True)
class _Answer:
    ae: RemoteAE | None
    """None: the directory has no such AE. dcm4chee remembers that too."""
    fresh_until: float
    """In seconds of the clock."""
    entries: tuple[Entry, ...]
    """Entries that the directory gave."""


class RemoteAEResolver:
    """AE title to RemoteAE, for any AE of the directory, those of our own device included.

    Safe under threads: one lock guards the answers, and is never held while the directory is asked. Who asks for a
    title that another thread is asking for waits for its answer.
    """

    def __init__(
        self,
        source: ConfigSource,
        stale_after: timedelta | None,
        *,
        expand: Expand = unchanged,
        clock: Callable[[], float] = time.monotonic,
        most_answers: int = REMOTE_AE_TITLES,
    ) -> None:
        self._source = source
        self._fresh_seconds = float("inf") if stale_after is None else stale_after.total_seconds()
        self._expand = expand
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: LRUCache[str, _Answer] = LRUCache(most_answers)
        self._found: LRUCache[str, tuple[Entry, ...]] = LRUCache(FOLLOWED_AES)
        self._missed: LRUCache[str, tuple[Entry, ...]] = LRUCache(FOLLOWED_AES // 4)
        self._asked: dict[str, Future[_Answer]] = {}

    def resolve(self, ae_title: str) -> RemoteAE | None:
        """The AE, or None if the directory does not have it.

        While the directory is down, the last known answer. Raises ConfigUnavailable when there never was one, and
        ConfigInvalid when the AE's entries cannot be read.
        """
        with self._lock:
            known = self._answers.get(ae_title)
            if known is not None and self._clock() < known.fresh_until:
                return known.ae
            coming = self._asked.get(ae_title)
            if coming is None:
                mine = self._asked[ae_title] = Future[_Answer]()
        if coming is not None:
            return coming.result().ae
        answer = None
        try:
            answer = self._ask(ae_title, known)
        except BaseException as err:
            mine.set_exception(err)
            raise
        else:
            mine.set_result(answer)
            return answer.ae
        finally:
            with self._lock:
                # An answer from before a clear() must not outlive it.
                if self._asked.get(ae_title) is mine:
                    del self._asked[ae_title]
                    if answer is not None:
                        self._remember(ae_title, answer)

    def _ask(self, ae_title: str, known: _Answer | None) -> _Answer:
        try:
            entries = self._source.read_ae(ae_title)
            ae = load_remote_ae(entries, ae_title, self._expand)
        except ConfigUnavailable as err:
            if known is None:
                raise
            LOG.warning("AE %s: the directory cannot be asked, its previous answer is used: %s", ae_title, err)
            fresh_until = self._clock() + min(self._fresh_seconds, _RETRY_AFTER.total_seconds())
            return _Answer(known.ae, fresh_until, known.entries)
        return _Answer(ae, self._clock() + self._fresh_seconds, entries)

    def _remember(self, ae_title: str, answer: _Answer) -> None:
        self._answers[ae_title] = answer
        self._found.pop(ae_title, None)
        self._missed.pop(ae_title, None)
        (self._found if answer.ae is not None else self._missed)[ae_title] = answer.entries

    def looked_up(self) -> Recording:
        """Recording of the AEs that were looked up last, and of those that were not there."""
        with self._lock:
            return Recording(aes={**self._missed, **self._found})

    def forget(self, ae_titles: Iterable[str]) -> None:
        """Let the next question for one of them go to the directory."""
        with self._lock:
            for title in ae_titles:
                for known in (self._answers, self._found, self._missed, self._asked):
                    known.pop(title, None)

    def clear(self) -> None:
        """Forget everything: the next question goes to the directory."""
        with self._lock:
            for known in (self._answers, self._found, self._missed):
                known.clear()
            self._asked.clear()
