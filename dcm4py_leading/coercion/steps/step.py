"""Protocol of steps, and the simple steps: leading archive, nullify, markers.

A step changes nothing itself: it returns changes, and declares the tags that it may read and write. Larger steps have
their own modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from pydicom import Dataset

from dcm4py_leading.coercion.changes import Change, empty_attribute
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.question import Answer, LeadingQuestion, Question
from dcm4py_leading.coercion.tags import AllTags, Tags
from dcm4py_leading.coercion.update import is_empty, plan_update_with_identifier_groups
from dcm4py_leading.dataset.text.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import UID, AETitle, Tag

STUDY_INSTANCE_UID = 0x0020000D
QUERY_CONTROL_ATTRIBUTES = frozenset({0x00080052, 0x00080054, 0x00080056})
"""Query/Retrieve Level, Retrieve AE Title, Instance Availability: of the query, not of the study (PS3.4 C.4.1)."""
PIXEL_DATA = (Tag(0x7FE00008), Tag(0x7FE00009), Tag(0x7FE00010))
"""Float Pixel Data, Double Float Pixel Data, Pixel Data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Properties of a step for the chain, and for caches of outcomes."""

    is_repeatable: bool = True
    """The same data set is changed alike throughout a request, so that the outcome may be remembered. ``{now}`` counts
    as the same."""
    is_timeless: bool = False
    """Elements, peers and answers alone decide what it does, so that another request may have the same outcome."""
    is_failure_final: bool = False
    """Its failure ends the coercion, whatever dcmCoercionOnFailure says."""
    hides_originals: bool = False
    """Its changes must not be told in the Original Attributes Sequence."""
    omits_indexed: bool = False
    """The attributes of the index stay out of the object."""


class Step(Protocol):
    """Properties that every step has."""

    @property
    def name(self) -> str:
        """The scheme of a version-2 rule for this step."""
        ...

    @property
    def traits(self) -> Traits:
        """Properties that decide how the step is used."""
        ...

    @property
    def reads(self) -> Tags:
        """Tags that the step reads."""
        ...

    @property
    def writes(self) -> Tags:
        """Tags that the step may change."""
        ...


@runtime_checkable
class PureStep(Step, Protocol):
    """A step that needs only the data set and the context."""

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change] | None:
        """Changes in ``ds``; None: the step does not apply. Raises CoercionFailed."""
        ...


@runtime_checkable
class AskingStep(Step, Protocol):
    """A step that needs an answer first."""

    def question(self, ds: Dataset, context: CoercionContext) -> Question | None:
        """The question to ask; None: the step does not apply."""
        ...

    def changes_from(self, ds: Dataset, answer: Answer, context: CoercionContext) -> list[Change] | None:
        """Changes that ``answer`` makes in ``ds``; None: the step does not apply. Raises CoercionFailed."""
        ...


AnyStep = PureStep | AskingStep


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingStep:
    """Merge the attributes of the study in the leading archive (dcmLeadingCFindSCP, ``leading-arc:``)."""

    name: ClassVar[str] = "leading-arc"
    traits: ClassVar[Traits] = Traits(is_timeless=True)

    leading_cfind_scp: AETitle
    policy: UpdatePolicy
    return_keys: frozenset[int] | None = None
    """Attributes that the leading archive is asked for; None: not known beforehand."""

    @property
    def reads(self) -> Tags:
        """The return keys, and Study Instance UID."""
        return AllTags.ALL if self.return_keys is None else self.return_keys | {STUDY_INSTANCE_UID}

    @property
    def writes(self) -> Tags:
        """The return keys, including Specific Character Set."""
        return AllTags.ALL if self.return_keys is None else self.return_keys

    def question(self, ds: Dataset, context: CoercionContext) -> LeadingQuestion | None:
        """Question for the attributes of the study; None without Study Instance UID, as at PATIENT level."""
        # dcm4chee goes by the SOP class, and asks for all studies where there is no UID.
        element = ds.get(STUDY_INSTANCE_UID)
        try:
            uid = UID(str(element.value)) if element is not None and element.value else None
        except ValueError:
            uid = None
        return None if uid is None else self.question_about(uid)

    def question_about(self, study_instance_uid: UID) -> LeadingQuestion:
        """The question about one study, to be asked before its objects are read."""
        return LeadingQuestion(self.leading_cfind_scp, study_instance_uid)

    def changes_from(self, ds: Dataset, answer: Answer, context: CoercionContext) -> list[Change] | None:
        """Changes that ``answer``, the return keys of this study, makes in ``ds``."""
        if not isinstance(answer, Dataset):
            return None
        # dcm4chee merges everything that comes.
        return plan_update_with_identifier_groups(ds, answer, self.policy, only=_said(answer))

    def decides(self, answer: Dataset) -> frozenset[int]:
        """Attributes that always become those of ``answer``, so that an edit has no effect.

        An issuer also follows a changed identifier; see `update.IDENTIFIER_GROUPS`.
        """
        if self.policy is UpdatePolicy.OVERWRITE:
            return _said(answer)
        if self.policy is UpdatePolicy.MERGE:
            return frozenset(tag for tag in _said(answer) if not is_empty(answer[tag]))
        return frozenset()


def _said(answer: Dataset) -> frozenset[int]:
    """The attributes of the study in an answer."""
    return frozenset(map(int, answer.keys())) - QUERY_CONTROL_ATTRIBUTES - {STUDY_INSTANCE_UID, SPECIFIC_CHARACTER_SET}


@dataclass(frozen=True, slots=True, kw_only=True)
class NullifyStep:
    """Empty attributes (dcmNullifyTag, ``nullify-pixel-data:``)."""

    name: ClassVar[str] = "nullify-pixel-data"
    traits: ClassVar[Traits] = Traits(is_timeless=True)

    tags: tuple[Tag, ...]

    @property
    def reads(self) -> Tags:
        """The same tags."""
        return frozenset(self.tags)

    @property
    def writes(self) -> Tags:
        """The tags it empties."""
        return frozenset(self.tags)

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change] | None:
        """An EMPTY for each attribute with a value."""
        present = [(tag, ds[tag]) for tag in self.tags if tag in ds]
        return [empty_attribute(tag, element.VR) for tag, element in present if not is_empty(element)]


@dataclass(frozen=True, slots=True)
class RetrieveAsReceived:
    """A marker: the attributes of the index stay out of the object (dcmRetrieveAsReceived, the scheme of that name)."""

    name: ClassVar[str] = "retrieve-as-received"
    traits: ClassVar[Traits] = Traits(is_timeless=True, omits_indexed=True)

    @property
    def reads(self) -> Tags:
        """Nothing."""
        return frozenset()

    @property
    def writes(self) -> Tags:
        """Nothing."""
        return frozenset()

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change] | None:
        """Nothing; see `select.Selection.retrieve_as_received`."""
        return []
