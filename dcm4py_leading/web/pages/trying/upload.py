"""Forms with a file (multipart/form-data, RFC 7578), held in memory only."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.model.bounds import HTTP_FORM_FIELDS, TRIED_FILE_BYTES, TRIED_FILES_AT_ONCE
from dcm4py_leading.web.http.answers import refusal
from dcm4py_leading.web.http.rooms import Endpoint, Room
from dcm4py_leading.web.pages.answering import answered
from dcm4py_leading.web.pages.changing.form import Form

FileHandler = Callable[[Request, Form, bytes], Response]
"""Handler of a form and the file in it, which is empty where none was chosen. Runs in a worker thread."""


class _InMemory(MultiPartParser):
    """Parser that keeps files in memory: the route limits their size."""

    spool_max_size = TRIED_FILE_BYTES


class Uploads:
    """Uploads to one page: a limited number is held at once, others get 503."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._count = 0

    def posted(self, handler: FileHandler) -> Endpoint:
        """The endpoint that runs ``handler`` with what was sent; 400 where it is no such form."""

        async def endpoint(request: Request) -> Response:
            if self._count >= TRIED_FILES_AT_ONCE:
                headers = {"Retry-After": "5"}
                return refusal(request, 503, "too many files are being tried at once", headers=headers)
            self._count += 1
            try:
                try:
                    form, file = await _parsed(request)
                except (MultiPartException, KeyError, ValueError):
                    return refusal(request, 400, "expected the fields of a form with a file")
                return await self._room.serves(answered(lambda asked: handler(asked, form, file)))(request)
            finally:
                self._count -= 1

        return endpoint


async def _parsed(request: Request) -> tuple[Form, bytes]:
    """Fields and file of a form. Raises MultiPartException, or KeyError without a boundary; ValueError."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ValueError("another kind of form")
    parser = _InMemory(request.headers, request.stream(), max_files=1, max_fields=HTTP_FORM_FIELDS)
    sent = await parser.parse()
    try:
        fields: dict[str, list[str]] = {}
        file = b""
        for name, value in sent.multi_items():
            if isinstance(value, UploadFile):
                file = await value.read()
            else:
                fields.setdefault(name, []).append(value)
        return {name: tuple(values) for name, values in fields.items()}, file
    finally:
        await sent.close()
