"""Issuers of identifiers, and codes, in the spelling of the directory (dcm4che's Issuer and Code)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_HL7_ESCAPE = re.compile(r"\\([FSTRE])\\")
_HL7_SEPARATORS = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}

# No two neighbours take the same character, or a long text would take for ever; blanks are stripped afterwards.
_CODE = re.compile(
    r'\((?P<value>[^,]+),(?P<scheme>[^,\[\]]*)(?:\[(?P<version>[^\]]+)\]\s*)?,\s*"(?P<meaning>[^"]+)"\s*\)'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Issuer of an identifier (HL7 v2 HD): a local name, a universal ID with its type, or both."""

    local_namespace_entity_id: str | None = None
    universal_entity_id: str | None = None
    universal_entity_id_type: str | None = None

    def __post_init__(self) -> None:
        if self.local_namespace_entity_id is None and self.universal_entity_id is None:
            raise ValueError("expected an issuer: NAME, NAME&UNIVERSAL_ID&TYPE or &UNIVERSAL_ID&TYPE")
        if (self.universal_entity_id is None) != (self.universal_entity_id_type is None):
            raise ValueError(
                "a universal ID of an issuer and its type belong together: expected NAME&UNIVERSAL_ID&TYPE"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME``, ``NAME&UNIVERSAL_ID&TYPE`` or ``&UNIVERSAL_ID&TYPE``; HL7 escapes such as ``\\T\\`` count.

        Raises ValueError.
        """
        parts = [_unescaped(part.strip()) or None for part in text.split("&")]
        if len(parts) > 3:
            raise ValueError("expected an issuer of at most three parts: NAME&UNIVERSAL_ID&TYPE")
        name, universal, kind = (*parts, None, None)[:3]
        return cls(local_namespace_entity_id=name, universal_entity_id=universal, universal_entity_id_type=kind)

    def matches(self, other: Issuer) -> bool:
        """True if both can be the same: what both have is equal, and both have something in common."""
        local = self.local_namespace_entity_id is not None and other.local_namespace_entity_id is not None
        universal = self.universal_entity_id is not None and other.universal_entity_id is not None
        if not local and not universal:
            return False
        return not self.contradicts(other)

    def contradicts(self, other: Issuer) -> bool:
        """True if they cannot be the same: something that both have differs."""
        mine, theirs = self.local_namespace_entity_id, other.local_namespace_entity_id
        if mine is not None and theirs is not None and mine != theirs:
            return True
        if self.universal_entity_id is None or other.universal_entity_id is None:
            return False
        return (self.universal_entity_id, self.universal_entity_id_type) != (
            other.universal_entity_id,
            other.universal_entity_id_type,
        )


def _unescaped(text: str) -> str:
    return _HL7_ESCAPE.sub(lambda escape: _HL7_SEPARATORS[escape[1]], text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded concept (PS3.3 8)."""

    value: str
    scheme: str | None
    """Coding Scheme Designator; None where the value is a URN, which needs none."""
    version: str | None = None
    meaning: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``(VALUE, SCHEME, "MEANING")`` or ``(VALUE, SCHEME[VERSION], "MEANING")``. Raises ValueError."""
        match = _CODE.fullmatch(text.strip())
        if match is None or not match["value"].strip():
            raise ValueError('expected a code such as (121181, DCM, "DICOM Object Catalog")')
        version = match["version"]
        code = cls(
            value=match["value"].strip(),
            scheme=match["scheme"].strip() or None,
            version=version and (version.strip() or None),
            meaning=match["meaning"],
        )
        if code.scheme is None and not code.is_urn:
            raise ValueError("a code that is no URN needs a coding scheme: (VALUE, SCHEME, MEANING)")
        return code

    @property
    def is_urn(self) -> bool:
        """True if the value is a URN or URL (PS3.3 8.1)."""
        return self.value.startswith("urn:") or "://" in self.value
