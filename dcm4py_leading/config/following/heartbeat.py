"""Heartbeat: checks the directory when nobody else asks it, and reloads when it is back after a start without it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigError, ConfigInvalid, ConfigUnavailable
from dcm4py_leading.log import trace

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """Seconds between two beats."""

    well: float = 60.0
    first: float = 2.0
    """After the directory was found to be down; doubles with each beat."""
    longest: float = 30.0


class Heartbeat:
    """Asks the directory again and again, on a thread of its own.

    While the configuration in force is the last good one, each beat reads the device, and an answer is a reload; a tree
    that was refused is not tried again until it changes. Otherwise a beat only asks whether the directory is there.
    """

    def __init__(
        self,
        source: ConfigSource,
        device_name: str,
        reload: Callable[[], None],
        *,
        pauses: Pauses = Pauses(),
    ) -> None:
        """``reload`` reads the source and puts in force what it reads, or raises ConfigError and tells why; it may
        also be called by others."""
        self._source = source
        self._device_name = device_name
        self._reload = reload
        self._pauses = pauses
        self._refused: tuple[Entry, ...] | str | None = None
        self._is_stopped = threading.Event()
        self._reloading = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="heartbeat of the directory", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """No reload begins after this, and none is under way; a question may be."""
        self._is_stopped.set()
        with self._reloading:
            return

    def _run(self) -> None:
        down = self._pauses.first
        while not self._is_stopped.wait(self._pauses.well if self._is_well() else down):
            down = self._pauses.first if self._is_well() else min(2 * down, self._pauses.longest)
            try:
                self._beat()
            except Exception as err:  # noqa: BLE001 - a bug in one beat must not make it the last one
                LOG.error("an error in the service kept it from asking whether the directory is back: %s", trace(err))

    def _is_well(self) -> bool:
        state = self._source.state
        return state is None or (state.is_reachable and not state.is_last_good)

    def _is_last_good(self) -> bool:
        state = self._source.state
        return state is not None and state.is_last_good

    def _beat(self) -> None:
        if self._is_last_good():
            self._take_what_is_back()
        else:
            with suppress(ConfigError):  # told by the source
                self._source.probe()

    def _take_what_is_back(self) -> None:
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
            if self._is_stopped.is_set() or not self._is_last_good():
                return
            try:
                self._reload()
            except ConfigUnavailable:
                return
            except ConfigInvalid:
                self._refused = seen
