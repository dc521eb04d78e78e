"""The request to an AE that a request over HTTP is."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.requests import Request

from dcm4py_leading.service.dicomweb.web_request import WebRequest
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.http.addresses import PublicUrl

_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_LONGEST_UID = 64


class MalformedUid(ValueError):
    """A UID in the path that is none; the message names the entity."""


def uids_of_path(request: Request) -> tuple[str, ...]:
    """The UIDs of study, series and instance, as far as the path has them. Raises MalformedUid."""
    uids = []
    for name in ("study", "series", "instance"):
        if (uid := request.path_params.get(name)) is not None:
            uids.append(required_uid(name, uid))
    return tuple(uids)


def required_uid(name: str, uid: str) -> str:
    """The UID; ``name`` is that of the entity. Raises MalformedUid."""
    if len(uid) > _LONGEST_UID or not _UID.fullmatch(uid):
        raise MalformedUid(f"the UID of the {name} is no UID")
    return uid


def web_request(request: Request, public_url: PublicUrl | None) -> WebRequest:
    """The AE of the path, who asks, and the URL of the AE: the public one, else the one that was asked."""
    identity: Identity = request.state.identity
    ae_title: str = request.path_params["aet"]
    root = str(public_url) if public_url is not None else f"{request.url.scheme}://{request.url.netloc}"
    return WebRequest(
        ae_title=ae_title,
        client=request.client.host if request.client is not None else "",
        user=identity.name,
        base_url=f"{root}/dcm4chee-arc/aets/{quote(ae_title, safe='')}/rs",
        roles=tuple(sorted(identity.groups | identity.roles)),
        is_administrator=identity.may(Role.ADMINISTRATOR),
    )
