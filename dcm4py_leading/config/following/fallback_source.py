"""Source that answers from the last good configuration while the directory is down."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.following.last_good import LastGood
from dcm4py_leading.config.sources.directory_state import DirectoryState
from dcm4py_leading.config.sources.hints import DirectoryHints
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigError, ConfigUnavailable

T = TypeVar("T")

LOG = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS = 30.0
"""Time for which kept AEs serve unasked once the directory was found down: each attempt costs a timeout."""


class FallbackSource(ConfigSource):
    """ConfigSource over a directory, and over what is kept of it for the time when it is down.

    Until a configuration is in force, the device is read from what was kept when the directory gives no answer; later
    never, so that a reload fails and changes nothing. Remote AEs are taken from there at any time. A directory that
    answers with a broken tree is not down. Safe under threads.
    """

    def __init__(
        self,
        directory: ConfigSource,
        last_good: LastGood,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._last_good = last_good
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._state = DirectoryState()
        self._is_in_force = False
        self._has_fallen_back = False
        self._ask_again_at = 0.0

    @property
    def state(self) -> DirectoryState:
        """State of the directory, as far as anybody has asked."""
        return self._state

    @property
    def itself(self) -> ConfigSource:
        """The directory itself."""
        return self._directory

    @property
    def servers(self) -> tuple[str, ...]:
        """Those of the directory."""
        return self._directory.servers

    @property
    def hints(self) -> DirectoryHints | None:
        """Those of the directory."""
        return self._directory.hints

    def describe(self) -> str:
        """The directory, and whether what is told of it was kept."""
        where = self._directory.describe()
        return f"{where} (last good configuration)" if self._has_fallen_back else where

    def read_device(self, device_name: str) -> tuple[Entry, ...]:
        """As the directory says; until a configuration is in force, as it was kept. Raises ConfigUnavailable."""
        if self._is_starting_without_directory():
            return self._last_good.device(device_name) or ()
        try:
            return self.read_directory(device_name)
        except ConfigUnavailable as err:
            entries = None if self._is_in_force else self._last_good.device(device_name)
            if entries is None:
                raise
            self._has_fallen_back = True
            LOG.warning(
                "THE DIRECTORY IS DOWN: starting with the last good configuration, kept at %s, until it is back: %s",
                self._last_good.kept_at(),
                err,
            )
            return entries

    def read_ae(self, ae_title: str) -> tuple[Entry, ...]:
        """As the directory says, or as it was kept. Raises ConfigUnavailable when neither is to be had."""
        if self._is_starting_without_directory():
            return self._last_good.ae(ae_title) or ()
        if self._clock() < self._ask_again_at and (kept := self._last_good.ae(ae_title)) is not None:
            return kept
        try:
            entries = self._asked(lambda: self._directory.read_ae(ae_title))
        except ConfigUnavailable as err:
            kept = self._last_good.ae(ae_title)
            if kept is None:
                raise
            LOG.warning("AE %s: the directory cannot be asked, its last good entry is used: %s", ae_title, err)
            return kept
        self._last_good.keep_ae(ae_title, entries)
        return entries

    def ae_dns(self, ae_titles: Collection[str] | None) -> Mapping[str, tuple[str, ...]]:
        """As the directory says; nothing while we start without it. Raises ConfigUnavailable."""
        return {} if self._is_starting_without_directory() else self._asked(lambda: self._directory.ae_dns(ae_titles))

    def device_names(self) -> tuple[str, ...]:
        """As the directory says. Raises ConfigUnavailable."""
        return self._directory.device_names()

    def read_directory(self, device_name: str) -> tuple[Entry, ...]:
        """The device as the directory says, and nobody else. Raises ConfigUnavailable, ConfigInvalid."""
        return self._asked(lambda: self._directory.read_device(device_name))

    def probe(self) -> None:
        """Ask whether the directory can be read; `state` tells too. Raises ConfigUnavailable, ConfigInvalid."""
        self._asked(self._directory.probe)

    def put_in_force(self, recording: Recording) -> None:
        """Keep what was read for a configuration that is now in force, unless it was kept already."""
        with self._lock:
            is_last_good = self._has_fallen_back and not self._is_in_force
            self._is_in_force = True
            self._has_fallen_back = is_last_good
            self._state = replace(self._state, is_last_good=is_last_good)
        if not is_last_good:
            self._last_good.keep_devices(recording.devices.values())

    def _is_starting_without_directory(self) -> bool:
        return self._has_fallen_back and not self._is_in_force

    def _asked(self, read: Callable[[], T]) -> T:
        try:
            answer = read()
        except ConfigUnavailable as err:
            self._saw(str(err))
            raise
        except ConfigError:
            self._saw(None)
            raise
        self._saw(None)
        return answer

    def _saw(self, failure: str | None) -> None:
        """Note the outcome, and log it if it is new."""
        now = self._now()
        with self._lock:
            # What has answered is asked again at once, what has not after a while.
            self._ask_again_at = 0.0 if failure is None else self._clock() + _ASK_AGAIN_SECONDS
            was_reachable = self._state.is_reachable
            read_at = now if failure is None else self._state.last_read_at
            self._state = replace(self._state, asked_at=now, last_read_at=read_at, failure=failure)
        if failure is None and not was_reachable:
            LOG.info("the directory can be read again")
        elif failure is not None and was_reachable:
            LOG.warning("the directory cannot be read: %s", failure)
