"""Number of connections that a process may have at once, so that it never runs out of file descriptors.

Whoever has an association needs some besides the connection: the file that is written or sent, the index, another
system. So only a part of what the system allows goes to connections, and those without an association get the least.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Self

from dcm4py_leading.model.bounds import HTTP_CONNECTIONS, OPEN_ASSOCIATIONS, UNADMITTED_CONNECTIONS, WEB_STREAMS

_FOR_OURSELVES = 40
"""Listeners, log, index, control of workers."""
_EACH = 4
"""Of an association at work: connection, object, two for the index."""
_MAX_ASKED_FOR = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """So many connections of each kind."""

    unadmitted: int
    """Peers that have no association yet, or none any more."""
    admitted: int
    http: int

    @classmethod
    def of(cls, descriptors: int) -> Self:
        """Those of a process that may have so many descriptors."""
        unadmitted = max(min(UNADMITTED_CONNECTIONS, descriptors // 16), 4)
        http = max(min(HTTP_CONNECTIONS, descriptors // 16), 4)
        streams = min(WEB_STREAMS, http)
        admitted = (descriptors - _FOR_OURSELVES - unadmitted - http) // _EACH - streams
        return cls(unadmitted=unadmitted, admitted=max(min(OPEN_ASSOCIATIONS, admitted), 1), http=http)


def shares() -> Shares:
    """Those of this process, by RLIMIT_NOFILE."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Shares.of(_MAX_ASKED_FOR if limit == resource.RLIM_INFINITY else limit)


def ask_for_more() -> None:
    """Let this process and its children have as many descriptors as the system allows without asking a person."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_ASKED_FOR if hard == resource.RLIM_INFINITY else min(hard, _MAX_ASKED_FOR)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
