"""A service that started with the last good configuration takes the directory's own as soon as it is back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.surviving import SurvivingSource
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable
from dcm4py_leading.log import trace

_log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 30.0


class DirectoryReturn:
    """Asks the directory again and again, on a thread of its own, until its configuration is in force.

    The pause between two attempts doubles from 2 to 30 seconds. A tree that was refused is not tried again until it
    changes. Nothing happens where the configuration in force is the directory's from the start.
    """

    def __init__(
        self,
        source: SurvivingSource,
        device_name: str,
        reload: Callable[[], None],
        *,
        pauses: tuple[float, float] = (_FIRST_PAUSE, _LONGEST_PAUSE),
    ) -> None:
        """``reload`` reads the source and puts in force what it reads, or raises ConfigError and tells why; it may
        also be called by others. ``pauses``: the first and the longest, in seconds."""
        self._source = source
        self._device_name = device_name
        self._reload = reload
        self._pauses = pauses
        self._refused: tuple[Entry, ...] | str | None = None
        self._is_stopped = threading.Event()
        self._reloading = threading.Lock()

    def __enter__(self) -> Self:
        if self._source.state.is_last_good:
            threading.Thread(target=self._run, name="directory", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """No reload begins after this, and none is under way."""
        self._is_stopped.set()
        with self._reloading:
            return

    def _run(self) -> None:
        pause, longest = self._pauses
        while self._source.state.is_last_good and not self._is_stopped.wait(pause):
            pause = min(2 * pause, longest)
            try:
                self._attempt()
            except Exception as err:  # noqa: BLE001 - a bug in one attempt must not be the last one
                _log.error("the return of the directory: %s", trace(err))

    def _attempt(self) -> None:
        seen: tuple[Entry, ...] | str
        try:
            seen = self._source.read_directory(self._device_name)
        except ConfigUnavailable:
            return  # told by the source
        except ConfigInvalid as err:
            seen = str(err)
        if seen == self._refused:
            return
        with self._reloading:
            if self._is_stopped.is_set() or not self._source.state.is_last_good:
                return
            try:
                self._reload()
            except ConfigUnavailable:
                return
            except ConfigInvalid:
                self._refused = seen
