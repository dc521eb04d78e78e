"""AE titles that LDIF files name, and that no AE of the tree has: most often a slip of the pen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from dcm4py_leading.config.ldif import LdifFile
from dcm4py_leading.config.lint import Finding, added_values
from dcm4py_leading.errors import Problem, Severity

_RECEIVER = re.compile(r"ReceivingApplicationEntityTitle!?=(?P<title>[\w -]{1,16})")
"""A condition on one title; a regular expression names none."""
_TITLES = frozenset({"dcmacceptedmovedestination"})


def unknown_titles(files: Iterable[LdifFile], is_known: Callable[[str], bool]) -> Iterator[Finding]:
    """A WARNING for each title of a receiver that ``is_known`` denies. (Callers need not be in a directory, and what
    a rule asks, `check` looks up.)"""
    for file in files:
        for record in file.records:
            for line in added_values(record):
                title = _title(line.name.lower(), line.value)
                if title is not None and not is_known(title):
                    problem = Problem(
                        dn=record.dn,
                        attribute=line.name,
                        value=line.value,
                        reason=f"the directory has no dicomNetworkAE {title}",
                        severity=Severity.WARNING,
                    )
                    number = file.record_at(line.number)
                    yield Finding(file=file.name, record=number, line=line.number, problem=problem)


def _title(attribute: str, value: str) -> str | None:
    if attribute == "dcmproperty":
        match = _RECEIVER.fullmatch(value.strip(" "))
        return match["title"].strip(" ") if match else None
    return value.strip(" ") if attribute in _TITLES else None
