"""Change notifications of the directory server. They only wake the watch, which also looks at intervals."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from dcm4py_leading.config.sources.hints import Listening, OpenSession, Talking
from dcm4py_leading.errors import ConfigError
from dcm4py_leading.log import trace

LOG = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
_LONG_ENOUGH = 60.0
"""Seconds after which listening counts as having gone well: the next attempt waits the first pause again."""


class Push:
    """Listens on a thread of its own, and again after a pause when that ends."""

    def __init__(self, directory: Talking, device_name: str, wake: Callable[[], None]) -> None:
        self._directory = directory
        self._device_name = device_name
        self._wake = wake
        self._session: OpenSession | None = None
        self._is_told = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener to the directory", daemon=True)
        self.is_listening = threading.Event()
        """Set while the directory tells of changes."""

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening. A connection under way ends by itself."""
        self._stopping.set()
        if self._session is not None:
            self._session.abandon()
        if self._thread.is_alive():
            self._thread.join(1)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            is_offered = self._listen()
            self.is_listening.clear()
            self._session = None
            if time.monotonic() - began > _LONG_ENOUGH:
                pause = _FIRST_PAUSE
            self._stopping.wait(pause if is_offered else _LONGEST_PAUSE)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _listen(self) -> bool:
        """Listen until that ends; True if it is worth while to try again soon."""
        try:
            ended = self._directory.listen(self._device_name, self._heard, self._opened)
        except ConfigError as err:  # whoever reads the directory tells
            LOG.debug("not listening to the directory: %s", err)
        except Exception as err:  # noqa: BLE001 - a bug here must cost the push only
            LOG.error("an error in the service ended its listening to the directory: %s", trace(err))
        else:
            if ended is Listening.NOT_OFFERED:
                if not self._is_told:
                    LOG.info(
                        "the directory server does not report changes: it is asked for them at intervals (--watch)"
                    )
                self._is_told = True
                return False
            self._is_told = False
        self._wake()
        return True

    def _opened(self, session: OpenSession) -> None:
        self._session = session
        if self._stopping.is_set():
            session.abandon()

    def _heard(self) -> None:
        if not self.is_listening.is_set():
            self.is_listening.set()
            LOG.info("the directory server reports changes")
        self._wake()
