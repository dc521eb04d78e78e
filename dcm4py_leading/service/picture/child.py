"""A decoder process: it answers the jobs that come over the socket on its standard input, until that ends."""

from __future__ import annotations

import os
import resource
import socket
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from dcm4py_leading.errors import InvalidObject, SubOperationFailed
from dcm4py_leading.model.bounds import DECODER_MEMORY_BYTES, DECODING_CPU_SECONDS
from dcm4py_leading.service.picture.job import Job, receive_message, send_message

_OUT_OF_MEMORY = "the image takes more memory than there is for one"


def main() -> int:
    """Answer until nobody asks any more."""
    _limit()
    warnings.simplefilter("ignore")
    sock = _only_socket()
    while True:
        try:
            head, data = receive_message(sock)
        except (OSError, EOFError):
            return 0
        _allow_time()
        try:
            answer: bytes | str = _done(Job.of(head, data))
        except MemoryError:
            with suppress(OSError):
                send_message(sock, {"why_not": _OUT_OF_MEMORY}, b"")
            return 1  # its memory is in pieces
        if isinstance(answer, str):
            send_message(sock, {"why_not": answer}, b"")
        else:
            send_message(sock, {}, answer)


def _limit() -> None:
    """Set the limits of this process before it reads anything; it cannot write files or dump core."""
    with suppress(OSError):  # where memory is short, the system ends a decoder and not the service
        Path("/proc/self/oom_score_adj").write_text("1000")
    for kind, most in (
        (resource.RLIMIT_AS, DECODER_MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def _only_socket() -> socket.socket:
    """The socket, where no library that prints can write into it."""
    sock = socket.socket(fileno=os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    return sock


def _allow_time() -> None:
    """Allow processor time for one job more; beyond it the system ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + DECODING_CPU_SECONDS, most))


def _done(job: Job) -> bytes | str:
    """Frame or picture, or the reason for its absence."""
    try:
        from dcm4py_leading.service.picture.decoding import native_frame, picture_of

        if job.rendering is None:
            return native_frame(job)
        return picture_of(job, job.rendering)
    except ImportError as err:
        return f"images need the extra 'codecs' of the package ({err.name} is not installed)"
    except (SubOperationFailed, InvalidObject) as err:
        return str(err)
    except MemoryError:
        raise
    except Exception as err:  # noqa: BLE001 - whatever decoders raise; its text may quote patient data
        return f"the image cannot be decoded ({type(err).__name__})"


if __name__ == "__main__":
    sys.exit(main())
