"""Trial of rules on one object: the rules in force, or those of a configuration that is not saved yet."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag

from dcm4py_leading.coercion.differences import shown_element
from dcm4py_leading.coercion.explain import Explanation, to_json
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.dataset.dicom_json.model import data_set_of
from dcm4py_leading.dataset.pydicom_bridge import to_pydicom
from dcm4py_leading.dataset.reading import parse
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.model.bounds import UNCHANGED_ELEMENTS
from dcm4py_leading.service.explain import AssumedAnswer, Basis, ExplainedMessage, WrongQuestion, parse_message
from dcm4py_leading.service.retrieve.encode import ObjectErrors
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.trying.subject import Subject, stored_subject

Json = Any
"""A JSON value."""

_UTF_8 = "ISO_IR 192"


class AnswerSource(enum.Enum):
    """Sources of the leading archive's answer."""

    ASK = "ask"
    """The archive, through the cache."""
    NONE = "none"
    """Nobody: whom to ask is told."""
    ASSUME = "assume"
    """Whoever tries the rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Request for a trial."""

    message: Mapping[str, str]
    """Parameters of `service.explain.parse_message`."""
    study_instance_uid: str = ""
    sop_instance_uid: str = ""
    """Empty: the first instance of the study."""
    data_set: bytes = b""
    """Instead of a stored study, a data set in Explicit VR Little Endian."""
    leading: AnswerSource = AnswerSource.ASK
    answer: Json = None
    """The answer to assume (DICOM JSON Model); None: the archive does not know the study."""
    configuration: Recording | None = None
    """Entries of a configuration that is not in force; None: the one that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """Outcome of a trial."""

    explanation: Mapping[str, Json]
    """As `coercion.explain.to_json` has it."""
    has_failed: bool
    unchanged: tuple[Mapping[str, Json], ...] = field(default=())
    """Elements that are the same before and after, at most `UNCHANGED_ELEMENTS`: ``path``, ``tag``, ``value``."""


def try_rules(runtime: Runtime, trial: Trial, basis: Basis) -> TrialResult:
    """Apply the rules of ``basis`` to the object, without storing or delivering it.

    Raises WrongQuestion, StudyNotStored, DocumentInvalid, StatusError.
    """
    wanted = parse_message(trial.message)
    subject = _subject(runtime, trial, wanted, basis)
    with _answering(subject, trial, basis) as answered:
        explanation = subject.explained(answered)
    return TrialResult(
        explanation=to_json(explanation),
        has_failed=explanation.has_failed,
        unchanged=() if explanation.failure is not None else tuple(_unchanged(subject.ds, explanation)),
    )


def _subject(runtime: Runtime, trial: Trial, wanted: ExplainedMessage, basis: Basis) -> Subject:
    if not trial.data_set:
        if not trial.study_instance_uid:
            raise WrongQuestion("say which study, or give a file")
        return stored_subject(runtime, basis, wanted, trial.study_instance_uid, trial.sop_instance_uid)
    with ObjectErrors("the file cannot be parsed"):
        return Subject(ds=to_pydicom(parse(trial.data_set, EXPLICIT_LITTLE).elements), wanted=wanted)


@contextmanager
def _answering(subject: Subject, trial: Trial, basis: Basis) -> Iterator[Basis]:
    """The basis, if requested with a leading archive that gives the assumed answer."""
    if trial.leading is not AnswerSource.ASSUME:
        yield basis
        return
    study: Dataset | None = None
    if trial.answer is not None:
        study = data_set_of(trial.answer)
        study.SpecificCharacterSet = _UTF_8
        study.StudyInstanceUID = subject.ds.get("StudyInstanceUID")
    lookup = LeadingLookup(basis.device, AssumedAnswer(study), clock=time.monotonic)
    try:
        yield replace(basis, leading=lookup, is_answer_assumed=True)
    finally:
        lookup.close()


def _unchanged(ds: Dataset, explanation: Explanation) -> Iterator[Mapping[str, Json]]:
    changed = {element.path.partition("[")[0] for element in explanation.elements}
    count = 0
    for element in ds:
        path = keyword_for_tag(element.tag) or f"{int(element.tag):08X}"
        shown = shown_element(element)
        if shown is not None and path not in changed and count < UNCHANGED_ELEMENTS:
            count += 1
            yield {"path": path, "tag": f"{int(element.tag):08X}", "value": dict(shown.json)}
