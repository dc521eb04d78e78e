"""Import of the DICOM files below a directory; each is stored as if by a C-STORE to an AE of ours."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dcm4py_leading.coercion.select import Peer
from dcm4py_leading.dataset.part10 import DICOMDIR, read_file_meta
from dcm4py_leading.errors import IndexUnavailable, ObjectRefused, StatusError, StorageUnavailable
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import TransferRole
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.store import ReceivedObject, store

_CHUNK_BYTES = 1 << 20


class Outcome(enum.Enum):
    """Outcome of one file."""

    NEW = "new"
    REPLACED = "replaced"
    IGNORED = "there already"
    """dcmOverwritePolicy, or dcmRelationalMismatchPolicy, keeps the object that was there."""
    DICOMDIR = "DICOMDIR"
    NO_DICOM = "no DICOM"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """One file and its outcome."""

    file: Path
    outcome: Outcome
    reason: str = ""
    """Why it has failed."""


def files_below(directory: Path) -> Iterator[Path]:
    """All regular files below a directory, by name. Raises OSError for a directory that cannot be read."""
    for folder, folders, names in os.walk(directory, onerror=_raise):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_file():
                yield path


def _raise(err: OSError) -> None:
    raise err


class Import:
    """Stores files to an AE, as if sent by AE title ``sending``; None: no AE title."""

    def __init__(self, runtime: Runtime, ae: ApplicationEntity, sending: str | None) -> None:
        self._runtime = runtime
        self._ae = ae
        self._sending = Peer(host=None, ae_title=None) if sending is None else runtime.peer_of(sending)
        hosts = [connection.hostname for connection in ae.connections]
        self._receiving = Peer(host=next(iter(hosts), None), ae_title=ae.ae_title)
        self._taken = {
            (str(capability.sop_class), str(syntax))
            for capability in ae.transfer_capabilities
            if capability.transfer_role is TransferRole.SCP
            for syntax in capability.transfer_syntaxes
        }

    def store(self, path: Path) -> ImportedFile:
        """Store the object of a file, if it is a DICOM file. Raises StorageUnavailable, IndexUnavailable."""
        try:
            with path.open("rb") as file:
                return ImportedFile(path, self._store(file))
        except (StorageUnavailable, IndexUnavailable):
            raise
        except StatusError as err:
            return ImportedFile(path, Outcome.FAILED, str(err))
        except OSError as err:
            return ImportedFile(path, Outcome.FAILED, err.strerror or type(err).__name__)

    def _store(self, file: BinaryIO) -> Outcome:
        meta = read_file_meta(file)
        if meta is None:
            return Outcome.NO_DICOM
        if meta.media_storage_sop_class_uid == DICOMDIR:
            return Outcome.DICOMDIR
        if (meta.media_storage_sop_class_uid, meta.transfer_syntax_uid) not in self._taken:
            raise ObjectRefused(
                f"AE {self._ae.ae_title} has no transfer capability for SOP class {meta.media_storage_sop_class_uid} "
                f"in transfer syntax {meta.transfer_syntax_uid}"
            )
        file.seek(meta.end)
        received = ReceivedObject(
            sop_class_uid=meta.media_storage_sop_class_uid,
            sop_instance_uid=meta.media_storage_sop_instance_uid,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            sending=self._sending,
            receiving=self._receiving,
            data=iter(lambda: file.read(_CHUNK_BYTES), b""),
        )
        what = store(self._runtime, self._ae, received).what
        return {"new": Outcome.NEW, "replaced": Outcome.REPLACED, "ignored": Outcome.IGNORED}[what]
