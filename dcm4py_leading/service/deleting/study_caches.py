"""Traces of a study in what is remembered of other archives, which go when the study is deleted."""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.leading.last_known import LastKnown
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.model.values import UID


@dataclass(frozen=True, slots=True)
class StudyCaches:
    """Places of a process that have them: answers of leading archives, the last known ones, what passed through."""

    leading: LeadingLookup
    last_known: LastKnown
    proxy_cache: ProxyCache | None

    def forget(self, study_instance_uid: str) -> bool:
        """Forget a study; False where that cannot be done now."""
        try:
            uid = UID(study_instance_uid)
        except ValueError:
            return True  # nobody is asked about a study without a proper UID
        self.leading.drop(uid)
        try:
            if self.proxy_cache is not None:
                self.proxy_cache.forget(uid)
        except StorageUnavailable:
            return False
        return self.last_known.drop(uid)
