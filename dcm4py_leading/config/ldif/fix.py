"""Fixing of LDIF so that ldapmodify accepts it, and its modify records can be run again.

Comments and the order of everything are kept, folded lines are not. What cannot be mended with certainty becomes a
comment, a whole record at a time, so that no half of it is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dcm4py_leading.config.dn import dn_key
from dcm4py_leading.config.ldif.lines import Fault, Faults, unfolded
from dcm4py_leading.config.ldif.mend import Mended, Piece, keyword, mend_record
from dcm4py_leading.config.ldif.records import parse_ldif
from dcm4py_leading.config.ldif.schema import is_known_attribute

_BEGINS_NOTHING = frozenset({"-", "add", "delete", "replace", "changetype"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedLdif:
    """The fixed text, and the changes made; line numbers are those of the old text."""

    text: str
    mended: tuple[Fault, ...]
    left_out: tuple[Fault, ...]
    """Why records became comments."""
    unrepeatable: tuple[Fault, ...]
    """Faults that a server finds when the file is run again."""
    origins: tuple[int, ...]
    """For each line of ``text`` the line of the old one; 0 for blank lines."""


def fix_ldif(text: str) -> FixedLdif:
    """Fix what can be fixed."""
    faults = Faults()
    if text.startswith("\ufeff"):
        faults.add(1, "the file begins with a byte order mark, and ldapmodify skips the record behind it")
        text = text.lstrip("\ufeff")
    pieces = [Piece(number, line) for number, line in unfolded(text, faults)]
    records = [_checked(mend_record(chunk), chunk) for chunk in _chunks(pieces, faults)]
    lines = [line for record in records for line in (*record.pieces, Piece(0, ""))]
    return FixedLdif(
        text="".join(f"{line.text}\n" for line in lines),
        mended=_sorted([*faults.found, *(fault for record in records for fault in record.mended)]),
        left_out=_sorted(fault for record in records for fault in record.left_out),
        unrepeatable=_sorted(fault for record in records for fault in record.unrepeatable),
        origins=tuple(line.number for line in lines),
    )


def _sorted(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: fault.line))


def _chunks(pieces: Sequence[Piece], faults: Faults) -> Iterator[list[Piece]]:
    """The lines of each record, with the comments in and before it; comments alone are a chunk too."""
    chunk: list[Piece] = []
    blank = False
    for piece in pieces:
        if not piece.text:
            blank = True
            continue
        if blank and chunk:
            if _belongs_above(piece, chunk):
                faults.add(piece.number, "a blank line within the record: remove it")
            else:
                yield chunk
                chunk = []
        blank = False
        if keyword(piece) == "dn" and any(keyword(other) == "dn" for other in chunk):
            faults.add(piece.number, "a second dn in one record: put a blank line before it")
            yield chunk
            chunk = []
        chunk.append(piece)
    if chunk:
        yield chunk


def _belongs_above(piece: Piece, chunk: Iterable[Piece]) -> bool:
    """True if a line behind a blank one goes on with the record before."""
    name = keyword(piece)
    has_dn = any(_is_dn(other) for other in chunk)
    return has_dn and name is not None and (name in _BEGINS_NOTHING or (name != "dn" and is_known_attribute(name)))


def _is_dn(piece: Piece) -> bool:
    if keyword(piece) != "dn":
        return False
    try:
        dn_key(piece.text.partition(":")[2].lstrip(":").strip())
    except ValueError:
        return False
    return True


def _checked(record: Mended, original: Iterable[Piece]) -> Mended:
    """The record; when it still cannot be read, as it was, in comments."""
    # Among changes, as the file will be: an entry without changetype has no place there.
    text = "".join(f"{piece.text}\n" for piece in record.pieces) + "\ndn: cn=another\nchangetype: delete\n"
    faults = [fault for fault in parse_ldif(text, "").faults if not fault.is_ours]
    if not faults:
        return record
    commented = (piece if piece.text.startswith("#") else Piece(piece.number, f"# {piece.text}") for piece in original)
    return Mended(
        pieces=tuple(commented),
        mended=(),
        left_out=tuple(replace(fault, line=record.pieces[fault.line - 1].number) for fault in faults),
        unrepeatable=(),
    )
