"""Header Warning (RFC 7234 5.5) of answers by DICOMweb: what they lack, and whose values they have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from starlette.requests import Request


def outage_warnings(*, stored: int, last_known: int) -> Iterator[str]:
    """Texts about values that are not the leading archive's of today.

    ``stored`` is the number of studies for which the rules had no answer, ``last_known`` of those with an old one.
    """
    if stored:
        yield f"A leading archive gives no usable answer: values of {stored} studies may be those that are stored"
    if last_known:
        yield f"A leading archive gives no usable answer: values of {last_known} studies are the last known ones"


def warning_header(request: Request, texts: Iterable[str]) -> dict[str, str]:
    """The header, with code 299; nothing where there are no texts."""
    told = ", ".join(f'299 {request.url.netloc} "{text}"' for text in texts)
    return {"Warning": told} if told else {}
