"""Fields of a submitted form (application/x-www-form-urlencoded)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.model.bounds import HTTP_FORM_FIELDS
from dcm4py_leading.web.http.answers import refusal
from dcm4py_leading.web.http.rooms import Endpoint, Room

Form = Mapping[str, tuple[str, ...]]
"""The values of each name, in the order of the page."""


def parse_form(body: bytes) -> Form:
    """The fields of a form. Raises ValueError for what is none, or has more than `HTTP_FORM_FIELDS` fields."""
    found = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=HTTP_FORM_FIELDS)
    return {name: tuple(values) for name, values in found.items()}


def one_of(form: Form, name: str) -> str:
    """The only value of a name; empty where there is none."""
    return next(iter(form.get(name, ())), "")


def posted(room: Room, handler: Callable[[Request, Form], Response]) -> Endpoint:
    """The endpoint that runs ``handler`` in ``room`` with the form that was sent; 400 where it is none."""

    async def endpoint(request: Request) -> Response:
        try:
            form = parse_form(await request.body())
        except ValueError:
            return refusal(request, 400, "expected the fields of a form")
        return await room.serves(lambda asked: handler(asked, form))(request)

    return endpoint
