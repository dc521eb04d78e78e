"""Multipart bodies that are read while they arrive (RFC 2046 5.1, RFC 2387, PS3.18 8.6.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.model.bounds import STORED_PART_HEADER_BYTES, STORED_PARTS


class MalformedBody(Exception):
    """A body that cannot be read to its end."""


class TooMuch(Exception):
    """A body that holds more than is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part; `data` has to be read before the next part is."""

    number: int
    """From 1."""
    headers: Mapping[str, str]
    """By names in lower case."""
    data: Iterator[Buffer]

    @property
    def media_type(self) -> str:
        """Media type in lower case; empty if there is none."""
        return self._content_type.get_content_type() if "content-type" in self.headers else ""

    def parameter(self, name: str) -> str:
        """Parameter of the media type; empty if there is none."""
        return str(self._content_type.get_param(name, "")).strip()

    @property
    def _content_type(self) -> Message:
        message = Message()
        message["Content-Type"] = self.headers.get("content-type", "")
        return message


def read_parts(body: Iterable[bytes], boundary: str) -> Iterator[Part]:
    """The parts of a body; what of a part was not read is passed over. Raises MalformedBody, TooMuch."""
    events = _events(body, boundary)
    number = 0
    for name, _ in events:
        if name != "part_begin":
            continue
        number += 1
        if number > STORED_PARTS:
            raise TooMuch(f"the request has more than {STORED_PARTS} parts")
        headers = _headers(events, number)
        data = _data(events)
        yield Part(number=number, headers=headers, data=data)
        for _ in data:
            pass


_Event = tuple[str, memoryview]
_NOTHING = memoryview(b"")


def _events(body: Iterable[bytes], boundary: str) -> Iterator[_Event]:
    """Events of a parser of the body. Raises MalformedBody."""
    told: list[_Event] = []

    def notes(name: str) -> object:
        return lambda: told.append((name, _NOTHING))

    def takes(name: str) -> object:
        return lambda data, start, end: told.append((name, memoryview(data)[start:end]))

    names = ("part_begin", "header_end", "headers_finished", "part_end", "end")
    callbacks = {f"on_{name}": notes(name) for name in names}
    callbacks |= {f"on_{name}": takes(name) for name in ("header_field", "header_value", "part_data")}
    fault: FormParserError | None = None
    has_end = False
    try:
        parser = MultipartParser(boundary.encode("latin-1", "replace"), callbacks)  # type: ignore[arg-type]
    except FormParserError as err:
        raise MalformedBody("the boundary in Content-Type is none") from err
    for chunk in body:
        try:
            parser.write(chunk)
        except FormParserError as err:
            fault = err
        for event in told:
            has_end = has_end or event[0] == "end"
            yield event
        told.clear()
        if fault is not None:
            raise MalformedBody("the body is no multipart body with the boundary that Content-Type tells") from fault
    if not has_end:
        raise MalformedBody("the body ends before its last boundary")


def _headers(events: Iterator[_Event], number: int) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    field, value, size = bytearray(), bytearray(), 0
    for name, content in events:
        size += len(content)
        if size > STORED_PART_HEADER_BYTES:
            raise MalformedBody(f"part {number}: headers are longer than {STORED_PART_HEADER_BYTES} bytes")
        if name == "header_field":
            field += content
        elif name == "header_value":
            value += content
        elif name == "header_end":
            headers.setdefault(field.decode("latin-1").casefold(), value.decode("latin-1").strip())
            field, value = bytearray(), bytearray()
        else:
            break
    return headers


def _data(events: Iterator[_Event]) -> Iterator[Buffer]:
    for name, content in events:
        if name == "part_end":
            return
        yield content
