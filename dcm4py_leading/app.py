"""The service in one process, and explaining a file without a service."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from dcm4py_leading.coercion.explain import Explanation
from dcm4py_leading.compose import Site, check, health, in_force, leading_settings
from dcm4py_leading.config.remote import RemoteAEResolver
from dcm4py_leading.dicom.scu import FindSCU
from dcm4py_leading.dicom.worklist import WorklistSCU
from dcm4py_leading.errors import ConfigError
from dcm4py_leading.leading.lookup import CachedStudy, LeadingLookup
from dcm4py_leading.leading.query import LeadingQuery
from dcm4py_leading.model.values import UID
from dcm4py_leading.node import Node
from dcm4py_leading.service.explain import (
    AnswerFromFile,
    Basis,
    Wanted,
    WrongQuestion,
    explain,
    read_file,
)
from dcm4py_leading.service.own_find import OwnFindRules
from dcm4py_leading.web.explain import Told
from dcm4py_leading.web.metrics import Measured

LOG = logging.getLogger(__name__)


def explain_file(site: Site, file: Path, wanted: Wanted, leading: str) -> Explanation:
    """Explain what becomes of a file; ``leading`` is ``ask``, ``none``, or a file that supplies the answer.

    Raises ConfigError, WrongQuestion, SubOperationFailed.
    """
    if leading not in ("ask", "none") and not Path(leading).is_file():
        raise WrongQuestion(f"--leading: expected ask, none or a file; there is no file {leading}")
    ds = read_file(file)
    checked = check(site)
    device = checked.snapshot.device
    resolve = RemoteAEResolver(site.source, stale_after=None).resolve
    basis = Basis(device=device, rules=checked.rules, options=site.options, resolve=resolve)
    if leading == "none":
        return explain(ds, wanted, basis)
    query: LeadingQuery
    with contextlib.ExitStack() as open_until_told:
        settings = leading_settings(site.options)
        if leading == "ask":
            own_find = OwnFindRules(checked.rules, compat_5_35=site.options.compat_5_35)
            query = FindSCU(resolve, settings=settings, coerce=own_find)
            open_until_told.callback(query.close)
            basis = replace(basis, worklist=WorklistSCU(resolve, coerce=own_find))
        else:
            query = AnswerFromFile(read_file(Path(leading)))
        lookup = LeadingLookup(device, query, clock=time.monotonic, settings=settings)
        open_until_told.callback(lookup.close)
        return explain(ds, wanted, replace(basis, leading=lookup))


class Service:
    """The running service in this process alone. `reload` may be called from any thread."""

    def __init__(self, site: Site, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Load the configuration, open index and storages, bind and serve every listener.

        Raises ConfigError, IndexUnavailable, StorageUnavailable, OSError.
        """
        self._site = site
        self._now = now
        self._reloading = threading.Lock()
        self._last_failure: dict[str, object] | None = None
        checked = check(site)
        self._node = Node(site, checked)
        in_force(checked, "configuration in force", site)

    def reload(self) -> None:
        """Read, check and swap. Raises ConfigError, and then everything is as it was; see `web.app.Control`."""
        with self._reloading:
            try:
                checked = check(self._site)
                self._node.prepare(checked).commit()
            except ConfigError as err:
                self._last_failure = {"at": self._now().isoformat(), "error": str(err)}
                LOG.error("reload failed, the configuration of %s stays: %s", self._loaded_at(), err)
                raise
            self._last_failure = None
            in_force(checked, "configuration reloaded", self._site)

    def _loaded_at(self) -> str:
        return self._node.snapshot.loaded_at.isoformat()

    def is_ready(self) -> bool:
        """True from construction on: it ends with every listener bound."""
        return True

    def state(self) -> Mapping[str, object]:
        """See `web.app.Control`."""
        snapshot = self._node.snapshot
        return {
            "device": snapshot.device.device_name,
            "configuration": {"fingerprint": snapshot.fingerprint, "loadedAt": self._loaded_at()},
            "lastFailedReload": self._last_failure,
            **health(self._site.directory_state),
            "associations": self._node.open_associations(),
        }

    def measure(self) -> Measured:
        """See `web.metrics.Metered`."""
        return replace(self._node.measure(), is_last_reload_good=self._last_failure is None)

    def cached_studies(self) -> Sequence[CachedStudy]:
        """See `web.leading_cache.LeadingAnswers`."""
        return self._node.cached_studies()

    def drop_answers(self, study_instance_uid: UID | None) -> int:
        """See `web.leading_cache.LeadingAnswers`."""
        return self._node.drop_answers(study_instance_uid)

    def explain(self, study_instance_uid: str, parameters: Mapping[str, str], *, is_asking: bool) -> Told:
        """See `web.explain.Explainer`."""
        return self._node.explain(study_instance_uid, parameters, is_asking=is_asking)

    def stop(self, drain_seconds: float) -> None:
        """Stop listening, let associations end, close the index."""
        self._node.stop(drain_seconds)
