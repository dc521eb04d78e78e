"""Requests that may be served in their presentation context."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dcm4py_leading import log
from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.dicom.scp.requests import named, require_service
from dcm4py_leading.dicom.upper.dimse_message import PresentationContext
from dcm4py_leading.errors import StatusError

CT, ECHO = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1"
FIND, MOVE = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"
IMPLICIT = "1.2.840.10008.1.2"


def request(command: str, sop_class: str, *, has_data_set: bool = True) -> Request:
    return Request(
        command=command,
        message_id=1,
        context_id=1,
        sop_class_uid=sop_class,
        sop_instance_uid="1.2.3.4" if command == "C-STORE" else "",
        move_destination="",
        move_originator=("", None),
        abstract_syntax=sop_class,
        transfer_syntax=IMPLICIT,
        data=iter(()),
        has_data_set=has_data_set,
    )


STORE = request("C-STORE", CT)
RIGHT = [STORE, request("C-ECHO", ECHO, has_data_set=False), request("C-FIND", FIND), request("C-MOVE", MOVE)]


def refused(asked: Request, *, as_scp: bool = True, takes_data_sets: bool = True) -> int | None:
    """Status of the refusal; None where it is served."""
    context = PresentationContext(1, asked.abstract_syntax, IMPLICIT, as_scu=True, as_scp=as_scp)
    try:
        require_service(context, asked, takes_data_sets=takes_data_sets)
    except StatusError as err:
        return err.status
    return None


@pytest.mark.parametrize("asked", RIGHT, ids=lambda asked: asked.command)
def test_a_request_for_the_service_of_its_context_is_served(asked: Request) -> None:
    assert refused(asked) is None


@pytest.mark.parametrize("asked", RIGHT, ids=lambda asked: asked.command)
def test_another_sop_class_or_a_context_where_the_peer_is_scp_is_refused(asked: Request) -> None:
    assert refused(replace(asked, sop_class_uid="1.2.3")) == status.SOP_CLASS_NOT_SUPPORTED
    assert refused(asked, as_scp=False) == status.SOP_CLASS_NOT_SUPPORTED


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (request("C-MOVE", FIND), status.UNRECOGNIZED_OPERATION),
        (request("C-STORE", ECHO), status.UNRECOGNIZED_OPERATION),
        (request("C-ECHO", ECHO), status.MISTYPED_ARGUMENT),
        (replace(STORE, sop_instance_uid=""), status.INVALID_SOP_INSTANCE),
        (request("C-FIND", FIND, has_data_set=False), status.NOT_OF_SOP_CLASS),
        (request("C-MOVE", MOVE, has_data_set=False), status.NOT_OF_SOP_CLASS),
    ],
)
def test_each_fault_has_its_status(asked: Request, code: int) -> None:
    assert refused(asked) == code


def test_a_peer_that_takes_no_data_sets_may_store_and_echo_only() -> None:
    served = {asked.command: refused(asked, takes_data_sets=False) for asked in RIGHT}
    assert served == {
        **dict.fromkeys(("C-STORE", "C-ECHO")),
        **dict.fromkeys(("C-FIND", "C-MOVE"), status.UNABLE_TO_PROCESS),
    }


def test_only_the_object_of_a_store_is_named_and_by_reference() -> None:
    assert named(request("C-FIND", FIND), "1.2.3") == {}
    assert named(STORE) == {"instance": log.ref("1.2.3.4")}
    assert named(STORE, "1.2.3") == {"study": log.ref("1.2.3"), "instance": log.ref("1.2.3.4")}
