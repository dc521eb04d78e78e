"""Cached data about a study from other archives, which is removed when the study is deleted."""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.leading.last_known import LastKnown
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.model.values import UID


@dataclass(frozen=True, slots=True)
class StudyCaches:
    """Caches of a process: answers of leading archives, last known answers, and studies that passed through."""

    leading: LeadingLookup
    last_known: LastKnown
    proxy_cache: ProxyCache | None

    def forget(self, study_instance_uid: str) -> bool:
        """Remove a study from the caches; False if that is not possible now."""
        try:
            uid = UID(study_instance_uid)
        except ValueError:
            return True  # a study without a valid UID is never queried
        self.leading.drop(uid)
        try:
            if self.proxy_cache is not None:
                self.proxy_cache.forget(uid)
        except StorageUnavailable:
            return False
        return self.last_known.drop(uid)
