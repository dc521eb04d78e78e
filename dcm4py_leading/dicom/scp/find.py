"""Query as SCP (PS3.4 C.4.1)."""

from __future__ import annotations

from contextlib import closing

from dcm4py_leading.dicom import status
from dcm4py_leading.dicom.identifier import decode_identifier
from dcm4py_leading.dicom.message import Request
from dcm4py_leading.dicom.negotiation import FIND
from dcm4py_leading.dicom.scp.acceptor import AcceptedAssociation, Outcome
from dcm4py_leading.service.find.query import find
from dcm4py_leading.service.find.request import FindRequest


def find_matches(assoc: AcceptedAssociation, request: Request) -> Outcome:
    """Serve a C-FIND: one pending response for each match, sent a page at a time.

    Looks for a C-CANCEL between pages, and while it waits for another archive.
    """
    settings = assoc.local_ae.settings
    over = False

    def is_over() -> bool:
        nonlocal over
        over = over or assoc.is_over(request)
        return over

    found = find(
        assoc.runtime,
        FindRequest(
            identifier=decode_identifier(request),
            model=FIND[request.abstract_syntax],
            sop_class_uid=request.abstract_syntax,
            transfer_syntax_uid=request.transfer_syntax,
            relational=assoc.is_relational(request.abstract_syntax) or settings.relational_query_negotiation_lenient,
            local_ae=assoc.local_ae,
            sending=assoc.remote_peer,
            receiving=assoc.local_peer,
            is_over=is_over,
        ),
    )
    count = 0
    with closing(found.pages) as pages:
        for page in pages:
            if is_over():
                break
            if found.support.has_unsupported:
                assoc.respond_pending(request, page, status.PENDING_WITH_UNSUPPORTED_KEYS)
            else:
                assoc.respond_pending(request, page)
            count += len(page)
    if over:
        if not assoc.is_cancelled(request):
            return status.UNABLE_TO_PROCESS, {"matches": count, "ended": assoc.ended_by(request)}
        assoc.respond(request, status.CANCEL)
        return status.CANCEL, {"matches": count, "ended": "cancelled"}
    assoc.respond(request, status.SUCCESS)
    return status.SUCCESS, {"matches": count, "leading": found.coercer}
