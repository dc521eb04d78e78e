"""Guard of the hot path: what one object of a retrieve costs, in calls of functions, is the same on every machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from dcm4py_leading.dicom.upper.association import Association
from dcm4py_leading.dicom.upper.dimse_message import PresentationContext
from dcm4py_leading.service.retrieve.encode import PreparedObject
from dcm4py_leading.service.retrieve.sub_operations import Ending, RetrievedObject, deliver
from tests.dicom.upper.test_association import answer, ended, in_thread
from tests.fixtures.links import linked, tcp_pair
from tests.fixtures.outgoing import Retrieve
from tests.fixtures.rules import CT
from tests.service.retrieve.test_bytewise_coercion import ANSWER, LEADING_RULE, series

SYNTAX = str(ExplicitVRLittleEndian)
CONTEXTS = [PresentationContext(1, CT, SYNTAX, as_scu=True, as_scp=True)]
FIRST, COUNTED = 10, 50
MAX_CALLS = 207
"""A tenth more than there are; above it, look at what was added for each object."""


class Counting:
    """The destination of a delivery, and the calls that are made from the first object on that is counted."""

    def __init__(self, association: Association) -> None:
        self.association = association
        self.window = association.window.invoked
        self.sent = 0
        self.calls = 0

    def accepted_transfer_syntaxes(self, sop_class_uid: str, transfer_syntax_uid: str) -> tuple[str, ...]:
        return self.association.transfer_syntaxes(sop_class_uid)

    def begin_store(self, obj: PreparedObject, message_id: int) -> None:
        self.sent += 1
        if self.sent == FIRST:
            sys.setprofile(self._count)
        self.association.begin_store(obj, message_id, None)

    def end_store(self) -> Ending:
        response = self.association.store_response(60)
        assert response is not None
        return response

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        self.calls += event in ("call", "c_call")


@pytest.fixture
def both() -> Iterator[tuple[Association, Association]]:
    """The association of the one that sends, and of the one that receives."""
    links = linked(*tcp_pair())
    one, other = (Association(link, CONTEXTS, 131072) for link in links)
    yield one, other
    for link in links:
        link.close()


def test_an_object_that_is_like_the_one_before_takes_few_calls(
    tmp_path: Path, both: tuple[Association, Association]
) -> None:
    sending, receiving = both
    retrieve = Retrieve(tmp_path, LEADING_RULE, answer=ANSWER)
    objects: list[RetrievedObject] = [retrieve.instance(one) for one, _ in series(tmp_path, FIRST + COUNTED)]
    thread = in_thread(lambda: [answer(receiving) for _ in objects])
    to = Counting(sending)
    try:
        delivery = deliver(
            iter(objects), len(objects), [to], is_cancelled=lambda: False, on_progress=lambda tally: None
        )
    finally:
        sys.setprofile(None)
    assert ended(thread)
    assert delivery.tally.completed == FIRST + COUNTED
    calls = to.calls / COUNTED
    assert 50 < calls < MAX_CALLS, f"{calls:.0f} calls for each object"
