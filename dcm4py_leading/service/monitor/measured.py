"""The figures of the service, of which the metrics are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCacheCounts
from dcm4py_leading.config.following.watch import Followed
from dcm4py_leading.config.sources.directory_state import DirectoryState
from dcm4py_leading.leading.contacts import ContactCounts
from dcm4py_leading.leading.outcome import LookupCounts, LookupOutcome, sum_of_outcomes
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.counts import Key, ObjectKey, RequestKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The service at one moment."""

    lookups: LookupCounts
    key_lookups: Mapping[AETitle, Mapping[LookupOutcome, int]]
    """Questions by matching keys, by AE title of the leading archive."""
    coercions: Mapping[Key, int]
    transcoded_objects: int
    open_associations: int
    fingerprint: str
    """Of the configuration in force."""
    loaded_at: datetime
    is_last_reload_good: bool
    """False: the configuration in force is older than the last attempt to replace it."""
    is_degraded: bool = False
    """The configuration in force may not be what the directory says."""
    configuration_changes: int = 0
    """Number of times that another configuration took the place of the one in force."""
    followed: Followed | None = None
    """None: the directory is not followed."""
    is_listening: bool = True
    """False: an administrator has stopped the listening."""
    workers: int = 1
    """Processes that serve and have answered."""
    worker_restarts: int = 0
    directory: DirectoryState | None = None
    """None where the configuration is not that of a live directory."""

    requests: Mapping[RequestKey, int] = field(default_factory=dict)
    objects: Mapping[ObjectKey, int] = field(default_factory=dict)
    """Objects of retrieves."""
    contacts: ContactCounts = field(default_factory=ContactCounts)
    kept: ProxyCacheCounts | None = None
    """Of what passes through from other archives; None where nothing is kept."""

    def plus(self, other: Measured) -> Measured:
        """With what another process of the same service has done: counts are added; the rest is ours."""
        return replace(
            self,
            lookups=self.lookups.plus(other.lookups),
            key_lookups=sum_of_outcomes(self.key_lookups, other.key_lookups),
            coercions=Counter(self.coercions) + Counter(other.coercions),
            requests=Counter(self.requests) + Counter(other.requests),
            objects=Counter(self.objects) + Counter(other.objects),
            contacts=self.contacts.plus(other.contacts),
            transcoded_objects=self.transcoded_objects + other.transcoded_objects,
            open_associations=self.open_associations + other.open_associations,
            workers=self.workers + other.workers,
            worker_restarts=self.worker_restarts + other.worker_restarts,
            directory=_seen(self.directory, other.directory),
            kept=_kept_together(self.kept, other.kept),
        )


def _seen(ours: DirectoryState | None, other: DirectoryState | None) -> DirectoryState | None:
    return ours if ours is None or other is None else ours.newer(other)


def _kept_together(ours: ProxyCacheCounts | None, other: ProxyCacheCounts | None) -> ProxyCacheCounts | None:
    return other or ours if ours is None or other is None else ours.plus(other)
