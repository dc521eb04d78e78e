"""Log of what users look at on the pages: a line as DICOMweb has it, without patient data."""

from __future__ import annotations

import logging
import time

from starlette.requests import Request

from dcm4py_leading.log import word

LOG = logging.getLogger(__name__)


class Use:
    """One search, or one opening of a study; it begins now."""

    def __init__(self, request: Request, page: str, ae_title: str) -> None:
        self._request = request
        self._page = page
        self._ae_title = ae_title
        self._began = time.monotonic()

    def tell(self, status: int, **details: object) -> None:
        """Log it, with the HTTP status. ``details`` are free of patient data; a study stands there as `log.ref`."""
        client = self._request.client
        LOG.info(
            "page %s from=%s user=%s to=%s status=%d%s ms=%d",
            self._page,
            word(client.host if client is not None else "-"),
            word(self._request.state.identity.name or "-"),
            word(self._ae_title),
            status,
            "".join(f" {name}={word(str(value))}" for name, value in details.items()),
            (time.monotonic() - self._began) * 1000,
        )
