"""Switch for DICOM: administrators stop and start the listening."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

from dcm4py_leading.errors import ConfigUnavailable

LOG = logging.getLogger(__name__)

DRAIN_SECONDS = 30.0
"""Time that associations get to end, where nobody says otherwise."""


class Listening:
    """The switch for DICOM; HTTP goes on. Safe under threads."""

    def __init__(
        self,
        changing: AbstractContextManager[object],
        *,
        open_ports: Callable[[], None],
        close_ports: Callable[[], Callable[[], None]],
        now: Callable[[], datetime],
    ) -> None:
        """``changing`` is held while another configuration takes the place of the one in force.

        ``open_ports`` binds those of the configuration in force, or none and raises ConfigError. ``close_ports`` closes
        all of them, and gives what waits for the associations under way and ends them.
        """
        self._changing = changing
        self._open_ports = open_ports
        self._close_ports = close_ports
        self._now = now
        self._switching = threading.Lock()
        self._is_over = False
        self._stopped_at: datetime | None = None

    @property
    def is_on(self) -> bool:
        """True if associations are accepted."""
        return self._stopped_at is None

    @property
    def troubles(self) -> list[str]:
        """Why not, in words; empty while it is on."""
        return [] if self._stopped_at is None else [f"stopped by an administrator at {self._stopped_at.isoformat()}"]

    def start(self) -> None:
        """Accept associations; nothing when that is so already. Raises ConfigError, and then it stays stopped."""
        with self._switching, self._changing:
            if self._is_over:
                raise ConfigUnavailable("the service is about to end")
            if self.is_on:
                return
            self._open_ports()
            self._stopped_at = None
            LOG.info("DICOM is started again")

    def stop(self) -> None:
        """Accept none any more, and end those under way; nothing when that is so already."""
        with self._switching:
            with self._changing:
                if not self.is_on:
                    return
                self._stopped_at = self._now()
                drain = self._close_ports()
            drain()
            LOG.warning("DICOM is stopped until ctrl/start")

    def end(self) -> None:
        """The service ends: nothing is started any more."""
        self._is_over = True
