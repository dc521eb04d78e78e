"""Verification as SCP (PS3.4 A)."""

from __future__ import annotations

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.dicom.scp.acceptor import AcceptedAssociation, Outcome


def echo(assoc: AcceptedAssociation, request: Request) -> Outcome:
    """C-ECHO."""
    assoc.respond(request, status.SUCCESS)
    return status.SUCCESS, {}
