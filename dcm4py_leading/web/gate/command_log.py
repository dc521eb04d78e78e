"""Log of administrators' commands, with the name of the user."""

from __future__ import annotations

import logging

from starlette.requests import Request

from dcm4py_leading.log import word

LOG = logging.getLogger(__name__)


def log_command(request: Request, what: str) -> None:
    """Log a command that affects the service for everybody, at WARNING, with the user's name."""
    LOG.warning("%s: requested by %s", what, word(request.state.identity.name))
