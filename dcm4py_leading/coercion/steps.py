"""The steps of a coercion. Each is small, changes nothing itself, and says what it may read and write."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset

from dcm4py_leading.coercion.changes import Change, emptied
from dcm4py_leading.coercion.context import Context
from dcm4py_leading.coercion.merge_attribute import MergeAttribute
from dcm4py_leading.coercion.question import LeadingQuestion
from dcm4py_leading.coercion.tags import All, Tags
from dcm4py_leading.coercion.update import is_empty, plan_update_with_identifier_groups
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.values import UID, AETitle, Tag

STUDY_INSTANCE_UID = 0x0020000D
QUERY_CONTROL_ATTRIBUTES = frozenset({0x00080052, 0x00080054, 0x00080056})
"""Query/Retrieve Level, Retrieve AE Title, Instance Availability: of the query, not of the study (PS3.4 C.4.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingStep:
    """Take over what the leading archive says of the study (dcmLeadingCFindSCP, dcmAttributeUpdatePolicy)."""

    leading_cfind_scp: AETitle
    policy: UpdatePolicy

    @property
    def reads(self) -> Tags:
        """What it compares with: any return key."""
        return All.ALL

    @property
    def writes(self) -> Tags:
        """Any return key."""
        return All.ALL

    def question(self, study_instance_uid: UID) -> LeadingQuestion:
        """What has to be known to carry it out."""
        return LeadingQuestion(self.leading_cfind_scp, study_instance_uid)

    def changes(self, ds: Dataset, answer: Dataset) -> list[Change]:
        """What ``answer``, the return keys of this study, changes in ``ds``."""
        # dcm4chee merges everything that comes.
        only = {int(element.tag) for element in answer} - QUERY_CONTROL_ATTRIBUTES - {STUDY_INSTANCE_UID}
        return plan_update_with_identifier_groups(ds, answer, self.policy, only=only)


@dataclass(frozen=True, slots=True, kw_only=True)
class NullifyStep:
    """Empty attributes (dcmNullifyTag)."""

    tags: tuple[Tag, ...]

    @property
    def reads(self) -> Tags:
        """The same tags."""
        return frozenset(self.tags)

    @property
    def writes(self) -> Tags:
        """The tags it empties."""
        return frozenset(self.tags)

    def changes(self, ds: Dataset, context: Context) -> list[Change]:
        """An EMPTY for each that has a value."""
        present = [(tag, ds[tag]) for tag in self.tags if tag in ds]
        return [emptied(tag, element.VR) for tag, element in present if not is_empty(element)]


Step = LeadingStep | NullifyStep | MergeAttribute
