"""View of the leading archives for the process that serves HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from dcm4py_leading.leading.last_known import FILE_NAME
from dcm4py_leading.leading.last_known_list import KnownStudies, known_studies
from dcm4py_leading.service.leading.history import History
from dcm4py_leading.service.leading.interval import ServiceSample
from dcm4py_leading.service.leading.overview import Overview, overview
from dcm4py_leading.service.leading.rules import LeadingRule


class LeadingView:
    """The archives that are asked, their history, and the answers that are kept on disk. Safe under threads."""

    def __init__(
        self,
        measure: Callable[[], ServiceSample],
        *,
        rules: Callable[[], Iterable[LeadingRule]],
        data_dir: Path,
        last_known_max_age: timedelta,
    ) -> None:
        """``rules`` are those of the configuration in force."""
        self.history = History(measure)
        self.last_known_max_age = last_known_max_age
        self._measure = measure
        self._rules = rules
        self._file = data_dir / FILE_NAME

    def overview(self) -> Overview:
        """The archives that are asked, at this moment."""
        return overview(self._measure(), self._rules())

    def last_known(self, containing: str, *, start: int, limit: int) -> KnownStudies:
        """A page of the last known answers (see `leading.last_known_list`). Raises StatusError."""
        return known_studies(self._file, containing=containing, start=start, limit=limit, now=time.time)
