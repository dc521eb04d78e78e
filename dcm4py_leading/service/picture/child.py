"""The process that decodes: a DICOM file on standard input, a PNG or JSON with the reason on standard output."""

from __future__ import annotations

import json
import resource
import sys
import warnings
from typing import BinaryIO

from dcm4py_leading.model.bounds import PICTURE_CPU_SECONDS, PICTURE_MEMORY_BYTES


def main() -> int:
    """Decode; the exit code is 1 where there is no picture."""
    _limit()
    try:
        picture = _picture(sys.stdin.buffer)
    except MemoryError:
        return _no("the image takes more memory than a picture may")
    if isinstance(picture, str):
        return _no(picture)
    sys.stdout.buffer.write(picture)
    return 0


def _limit() -> None:
    """Set the limits of this process before it reads anything; it cannot write files or dump core."""
    for kind, most in (
        (resource.RLIMIT_AS, PICTURE_MEMORY_BYTES),
        (resource.RLIMIT_CPU, PICTURE_CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def _picture(file: BinaryIO) -> bytes | str:
    """The PNG, or the reason for its absence."""
    warnings.simplefilter("ignore")
    try:
        from dcm4py_leading.service.picture.drawing import NoPicture, draw_png
    except ImportError as err:
        return f"images need the extra codecs of the package, and {err.name} is not installed"
    try:
        return draw_png(file)
    except NoPicture as err:
        return str(err)
    except MemoryError:
        raise
    except Exception as err:  # noqa: BLE001 - whatever decoders raise; its text may quote patient data
        return f"the image cannot be decoded ({type(err).__name__})"


def _no(why_not: str) -> int:
    sys.stdout.write(json.dumps({"why_not": why_not}))
    return 1


if __name__ == "__main__":
    sys.exit(main())
