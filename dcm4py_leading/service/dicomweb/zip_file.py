"""Objects as the files of a ZIP archive (PS3.18 8.7.3.5, 10.4.1.1.1), which is written while they are read.

It has no more in memory than a piece of one object. Files are stored as they are, not compressed: most objects are
already, and so they are sent as fast as by a multipart body.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from typing import IO, cast

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.service.dicomweb.chunks import Chunk
from dcm4py_leading.service.retrieve.encode import PreparedObject


class _Written:
    """A file that cannot be sought: what is written to it waits to be taken."""

    def __init__(self) -> None:
        self._buffers: list[Buffer] = []

    def write(self, data: Buffer) -> int:
        self._buffers.append(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def take(self) -> Chunk:
        buffers, self._buffers = self._buffers, []
        return buffers


def zip_file(objects: Iterator[PreparedObject], header_of: Callable[[PreparedObject], bytes]) -> Iterator[Chunk]:
    """The octets of the archive; ``header_of`` makes what stands before the data set of an object."""
    written = _Written()
    with zipfile.ZipFile(cast(IO[bytes], written), "w") as archive:
        for number, prepared in enumerate(objects, 1):
            # Its size is told behind it, so that there must be room for that of a large one.
            with archive.open(zipfile.ZipInfo(f"{number:08}.dcm"), "w", force_zip64=True) as file:
                file.write(header_of(prepared))
                # They are read here, for the checksum: a map of a file that becomes shorter would end the process.
                for batch in prepared.batches():
                    for buffer in batch:
                        file.write(buffer)
                    yield written.take()
            yield written.take()
    yield written.take()
