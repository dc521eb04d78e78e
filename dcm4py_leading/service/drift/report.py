"""CSV file of a comparison (RFC 4180): one row for each study, without patient data unless values are wanted."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from dcm4py_leading.coercion.differences import DisplayedElement
from dcm4py_leading.errors import DriftNotResumed
from dcm4py_leading.log import ref
from dcm4py_leading.service.drift.comparison import Compared

_COLUMNS = ("reference", "StudyInstanceUID", "archive", "outcome", "attributes")
_VALUES = ("archived", "leading")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is computed by spreadsheets. Objects and other archives may have such UIDs."""


class Report:
    """The file while it is written."""

    def __init__(self, path: Path, *, has_values: bool, at: int) -> None:
        """Begin a file, or resume one after its first ``at`` bytes. Raises DriftNotResumed, OSError."""
        self._has_values = has_values
        flags = os.O_RDWR if at else os.O_RDWR | os.O_CREAT | os.O_TRUNC
        try:
            self._file = os.fdopen(os.open(path, flags | os.O_CLOEXEC, 0o600), "r+b")
        except FileNotFoundError as err:
            if not at:
                raise
            raise DriftNotResumed(f"{path}: there is no such file, but the comparison had begun to write it") from err
        if at > os.fstat(self._file.fileno()).st_size:
            self._file.close()
            raise DriftNotResumed(f"{path}: it has less than the comparison had written to it")
        self._file.truncate(at)  # what a killed one has written beyond its state is asked for again
        self._file.seek(at)
        if not at:
            self._write([[*_COLUMNS, *(_VALUES if has_values else ())]])

    def add(self, studies: Sequence[tuple[str, Compared]], archive: str) -> int:
        """Write UIDs and outcomes of one archive, durably; how long the file is then. Raises OSError."""
        self._write([self._row(uid, archive, compared) for uid, compared in studies])
        os.fsync(self._file.fileno())
        return self._file.tell()

    def _row(self, uid: str, archive: str, compared: Compared) -> list[str]:
        row = [ref(uid), _as_text(uid), _as_text(archive), compared.outcome.value, " ".join(compared.attributes)]
        if self._has_values:
            row.append(_shown({one.path: one.before for one in compared.differences}))
            row.append(_shown({one.path: one.after for one in compared.differences}))
        return row

    def _write(self, rows: Sequence[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._file.write(text.getvalue().encode("utf-8", "backslashreplace"))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def _as_text(cell: str) -> str:
    """The cell as no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _shown(values: Mapping[str, DisplayedElement | None]) -> str:
    """The values by path, as JSON; without those that are absent, and empty if nothing differs."""
    present = {path: value.text for path, value in values.items() if value is not None}
    return json.dumps(present, ensure_ascii=False) if values else ""
