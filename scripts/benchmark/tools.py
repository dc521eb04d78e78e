"""DCMTK's tools, as every archive is driven by them: the wall time of the process, its start included."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.benchmark.archives import Destination, Peer
from scripts.benchmark.process import program, run
from scripts.benchmark.raw.messages import MAX_PDU_LENGTH
from scripts.benchmark.wire import find

_DCMTK = "dcmtk"
_LENGTH = ("-pdu", str(MAX_PDU_LENGTH))


def store(archive: Peer, files: Iterable[Path]) -> float:
    """C-STORE by storescu: seconds. Raises BenchmarkError at the first object that is refused."""
    command = (program("storescu", _DCMTK), "-R", *_called(archive), *_address(archive))
    return run((*command, *map(str, files)))


def move(archive: Peer, destination: Destination, keys: Mapping[str, str]) -> float:
    """C-MOVE by movescu: seconds."""
    command = (program("movescu", _DCMTK), "-S", *_called(archive), "-aem", destination.ae_title)
    return run((*command, *_keys(keys), *_address(archive)))


def get(archive: Peer, keys: Mapping[str, str], *, keep: Path | None = None) -> float:
    """C-GET by getscu: seconds; what it gets is written to ``keep``, or nowhere."""
    kept = ("--ignore",) if keep is None else ("+B", "-od", str(keep))
    command = (program("getscu", _DCMTK), "-S", *_LENGTH, *kept, *_called(archive))
    return run((*command, *_keys(keys), *_address(archive)))


def study_keys(study_uid: str) -> Mapping[str, str]:
    return {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid}


def series_keys(study_uid: str, series_uid: str) -> Mapping[str, str]:
    return {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}


def count_instances(archive: Peer, study_uid: str, series_uids: Sequence[str]) -> int:
    """Number of objects of the study that the archive finds."""
    found = 0
    for series_uid in series_uids:
        keys = {0x00080018: ("UI", ""), 0x0020000D: ("UI", study_uid), 0x0020000E: ("UI", series_uid)}
        found += len(find(archive.port, archive.ae_title, "IMAGE", keys))
    return found


def spread(directory: Path) -> None:
    """Let ext4 put what is in each subdirectory in a part of the disk of its own (chattr(1), attribute T).

    It takes inodes from near the directory, but for minutes none of a file that was deleted, and goes over all of these
    for each new file: near the leftovers of another run, a file takes as long to create as an object to store.
    """
    with suppress(OSError):
        subprocess.run(["chattr", "+T", directory], check=False, capture_output=True)


@contextmanager
def temporary_directory(parent: Path, prefix: str) -> Iterator[Path]:
    """A directory of its own below ``parent``, removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield directory
    finally:
        # A server that has just been killed may still be seen by the file system.
        shutil.rmtree(directory, ignore_errors=True)


def _called(archive: Peer) -> tuple[str, ...]:
    return ("-aet", "BENCH", "-aec", archive.ae_title)


def _address(archive: Peer) -> tuple[str, ...]:
    return ("127.0.0.1", str(archive.port))


def _keys(keys: Mapping[str, str]) -> Iterator[str]:
    for name, value in keys.items():
        yield from ("-k", f"{name}={value}")
