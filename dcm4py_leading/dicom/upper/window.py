"""Asynchronous Operations Window (PS3.7 D.3.3.3): how many operations may be outstanding on one association.

Both sides speak of the requestor of the association: as many as it may invoke, and as many as it may perform. The
acceptor may lower what was proposed. On the wire, 0 is any number, and silence is one of each.
"""

from __future__ import annotations

from typing import NamedTuple

from dcm4py_leading.model.bounds import OPERATIONS_AT_ONCE
from dcm4py_leading.model.device import Connection

Stated = tuple[int, int] | None
"""The item on the wire: operations invoked and performed by the requestor; None: there is none."""


class Window(NamedTuple):
    """Operations that may be outstanding at once, as our side of an association sees them."""

    invoked: int = 1
    """Requests of ours."""
    performed: int = 1
    """Requests of the peer."""


ONE_AT_A_TIME = Window()


def proposal(own: Connection, peer: Connection) -> Stated:
    """The item of a request for C-STOREs from one connection to another; None where it would say what silence says."""
    invoked = own.max_ops_invoked
    if peer.max_ops_performed is not None:
        invoked = _least(invoked, peer.max_ops_performed)
    proposed = invoked, _performed(own)
    return None if proposed == (1, 1) else proposed


def granted(proposed: Stated, answer: Stated) -> Window:
    """Window that the acceptor granted us; one that raises a number grants no more than was proposed."""
    if proposed is None or answer is None:
        return ONE_AT_A_TIME
    return Window(*(_bounded(_least(ours, theirs)) for ours, theirs in zip(proposed, answer, strict=True)))


def answer(own: Connection, proposed: Stated) -> Stated:
    """The item of our answer to a request that came on a connection; none to one that has none."""
    if proposed is None:
        return None
    invoked, performed = proposed
    return _bounded(_least(invoked, _performed(own))), _bounded(_least(performed, own.max_ops_invoked))


def answered(answer: Stated) -> Window:
    """Window that our answer grants, seen from our side: the requestor invokes, we perform."""
    return ONE_AT_A_TIME if answer is None else Window(invoked=answer[1], performed=answer[0])


def _performed(own: Connection) -> int:
    return 1 if own.max_ops_performed is None else own.max_ops_performed


def _least(one: int, other: int) -> int:
    """The lower of two numbers of which 0 is any number."""
    return min(one or other, other or one)


def _bounded(number: int) -> int:
    return min(number or OPERATIONS_AT_ONCE, OPERATIONS_AT_ONCE)
