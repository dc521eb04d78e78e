"""Asynchronous Operations Window (PS3.7 D.3.3.3): how many operations may be outstanding on one association.

The item has two numbers about the association requestor: the operations that it may invoke, and those that it may
perform. The acceptor may lower both. On the wire, 0 means no limit, and a missing item means one of each.
"""

from __future__ import annotations

from typing import NamedTuple

from dcm4py_leading.model.bounds import OPERATIONS_AT_ONCE
from dcm4py_leading.model.device import Connection

Stated = tuple[int, int] | None
"""The item on the wire: operations invoked and performed by the requestor; None: there is none."""


class Window(NamedTuple):
    """Number of outstanding operations, from our side of an association."""

    invoked: int = 1
    """Requests of ours."""
    performed: int = 1
    """Requests of the peer."""


ONE_AT_A_TIME = Window()


def proposal(own: Connection, peer: Connection) -> Stated:
    """The item to propose for C-STOREs from one connection to another; None if it would equal a missing item."""
    invoked = own.max_ops_invoked
    if peer.max_ops_performed is not None:
        invoked = _least(invoked, peer.max_ops_performed)
    proposed = invoked, _performed(own)
    return None if proposed == (1, 1) else proposed


def granted(proposed: Stated, answer: Stated) -> Window:
    """The window that the acceptor granted; never more than was proposed."""
    if proposed is None or answer is None:
        return ONE_AT_A_TIME
    return Window(*(_bounded(_least(ours, theirs)) for ours, theirs in zip(proposed, answer, strict=True)))


def answer(own: Connection, proposed: Stated) -> Stated:
    """The item of our A-ASSOCIATE-AC for a request on a connection; None if the request has none."""
    if proposed is None:
        return None
    invoked, performed = proposed
    return _bounded(_least(invoked, _performed(own))), _bounded(_least(performed, own.max_ops_invoked))


def answered(answer: Stated) -> Window:
    """The window that our answer grants, from our side: the requestor invokes, we perform."""
    return ONE_AT_A_TIME if answer is None else Window(invoked=answer[1], performed=answer[0])


def _performed(own: Connection) -> int:
    return 1 if own.max_ops_performed is None else own.max_ops_performed


def _least(one: int, other: int) -> int:
    """The lower of two limits; 0 means no limit."""
    return min(one or other, other or one)


def _bounded(number: int) -> int:
    return min(number or OPERATIONS_AT_ONCE, OPERATIONS_AT_ONCE)
