"""Errors of associations, for the code that opened or uses them."""

from __future__ import annotations


class AssociationFailed(Exception):
    """The association could not be opened, or ended before the answer. The message says what the peer did."""


class NotCallable(AssociationFailed):
    """The two AEs have no compatible connections; the peer was not called."""


class AssociationRejected(AssociationFailed):
    """The peer rejects the association; a later attempt may succeed."""


class AssociationRefused(AssociationRejected):
    """The peer rejects the association permanently: it does not accept our AE."""


class PeerReleases(AssociationFailed):
    """The peer asks to release."""
