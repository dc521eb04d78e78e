"""Chunks of the body of an answer, which are sent while they are made."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress

from dcm4py_leading.dataset.scan import Buffer

Chunk = Sequence[Buffer]
"""Buffers that are good until the next chunk is asked for; of some only the system may look at the octets."""
Chunks = Generator[Chunk]


class HeadSuffices(Exception):
    """Thrown into the generator: the client has the answer already, or wants its head alone."""


def nothing() -> Chunks:
    """The body of an answer that has none."""
    with suppress(GeneratorExit):
        yield ()
