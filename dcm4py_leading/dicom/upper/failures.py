"""Ways in which an association fails, as whoever wanted it is told."""

from __future__ import annotations


class AssociationFailed(Exception):
    """The association could not be opened, or ended before the answer. The message says what the peer did."""


class NotCallable(AssociationFailed):
    """The two AEs have no connections that go together: nobody was called."""


class AssociationRejected(AssociationFailed):
    """The peer rejects the association, for now at least."""


class AssociationRefused(AssociationRejected):
    """The peer rejects it permanently: it does not want it of us."""


class PeerReleases(AssociationFailed):
    """The peer asks to release."""
