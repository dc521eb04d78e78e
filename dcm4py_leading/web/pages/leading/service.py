"""The service as the pages of the leading archives use it."""

from __future__ import annotations

from typing import Protocol

from dcm4py_leading.web.own.leading_cache import LeadingAnswers
from dcm4py_leading.web.rest.echo import EchoService
from dcm4py_leading.web.rest.own.leading import LeadingService


class LeadingArchives(LeadingService, EchoService, LeadingAnswers, Protocol):
    """The archives that are asked. Called from a worker thread."""
