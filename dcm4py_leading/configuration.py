"""The configuration in force, and how another one takes its place: on command, or because the directory changed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby

from dcm4py_leading.composition.announce import announce
from dcm4py_leading.composition.check import Checked, check
from dcm4py_leading.composition.differences import differences_of, remote_differences
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.following.difference import Difference
from dcm4py_leading.config.following.push import Push
from dcm4py_leading.config.following.watch import Attempt, Follower, Pace
from dcm4py_leading.config.sources.hints import DirectoryHints
from dcm4py_leading.config.sources.recorded import Recorder, Replay
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigError, ConfigInvalid, ConfigUnavailable
from dcm4py_leading.leading.contacts import ContactCounts
from dcm4py_leading.leading.outcome import LookupCounts
from dcm4py_leading.log import foreign
from dcm4py_leading.service.leading.rules import leading_rules
from dcm4py_leading.service.leading.view import LeadingView
from dcm4py_leading.service.monitor.measured import Measured
from dcm4py_leading.web.own.contacts import contacts_json
from dcm4py_leading.web.own.running import FailedReload, PendingReload, RunningConfiguration

LOG = logging.getLogger(__name__)

_STOP_SECONDS = 5.0
_MAX_AUTHORS = 10
"""Of so many entries the log tells who changed them."""


class Configuration:
    """Holds what is in force, and changes it, one change at a time. Safe under threads."""

    def __init__(
        self,
        site: Site,
        put: Callable[[Checked], None],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        looked_up: Callable[[], Sequence[Recording]] = tuple,
        forget: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> None:
        """Read and check. Raises ConfigError.

        ``looked_up`` gives the remote AEs that each process has looked up; ``forget`` lets some be looked up anew.

        ``put`` makes the process, or all of them, work by another configuration, under the lock `changing`; it raises
        ConfigError when that cannot be.
        """
        self._site = site
        self._put = put
        self._now = now
        self._looked_up = looked_up
        self._forget = forget
        self.changing = threading.RLock()
        """Held while another configuration takes the place of the one in force."""
        self._attempt = Attempt.of(Recording(), is_good=False)
        self._last_failure: FailedReload | None = None
        self._hints = site.source.hints
        self._follower: Follower | None = None
        self._push: Push | None = None
        self._is_stopped = False
        self._changes = 0
        self.in_force = self._load(site.source)

    def follow(self, pace: Pace) -> None:
        """Follow the directory from now on."""
        device_name, is_told = self._site.device_name, self._site.source.state is not None
        follower = Follower(
            self._site.source,
            device_name,
            self,
            pace,
            marks=self._hints,
            is_told=is_told,
            looked_up=self._looked_up,
            renew=self._renew,
        )
        self._follower = follower
        follower.start()
        if self._hints is not None:
            self._push = Push(self._hints, device_name, follower.wake)
            self._push.start()

    def stop(self) -> None:
        """Change nothing any more; a change that is being made may end."""
        self._is_stopped = True
        if self._push is not None:
            self._push.stop()
        if self._follower is not None:
            self._follower.stop()
        if self.changing.acquire(timeout=_STOP_SECONDS):
            self.changing.release()

    def reload(self) -> None:
        """Read, check, and put in force, whether or not anything differs. Raises ConfigError: the old one stays."""
        with self.changing:
            old = self.in_force
            try:
                new = self._load(self._site.source)
                self._replace(new)
            except ConfigError as err:
                self._fail(err)
                LOG.error("reload failed, the configuration of %s stays: %s", self.loaded_at, err)
                raise
            announce(new, "configuration reloaded", self._site)
            self._tell_differences(list(differences_of(old, new, self._site)), old, new)

    # What a follower needs; see `config.following.watch.Adopter`.

    @property
    def attempt(self) -> Attempt:
        """Last attempt to read, good or not."""
        return self._attempt

    def adopt(self, seen: Recording) -> None:
        """Check what was seen in the directory, and put it in force if it differs in anything that we act on.

        A failure is told once, however often it comes up. Raises ConfigError: the old one stays.
        """
        with self.changing:
            if self._is_stopped:
                return
            old, failure = self.in_force, self._last_failure
            try:
                new = self._load(Replay(seen, self._site.source.describe(), self._site.source))
                found = list(differences_of(old, new, self._site))
                if found and not self._is_stopped:
                    self._replace(new)
            except ConfigError as err:
                self._fail(err)
                if failure is None or failure.error != str(err):
                    LOG.error("a change in the directory is not taken over: %s", err)
                    LOG.error("the configuration of %s stays", self.loaded_at)
                raise
            for problem in new.snapshot.problems:
                if problem not in old.snapshot.problems:
                    LOG.warning("%s", problem)
            if found:
                LOG.info("configuration follows the directory: fingerprint %s", new.snapshot.fingerprint)
                self._tell_differences(found, old, new)
            elif failure is not None:
                LOG.info("the directory holds the configuration in force again")
            self._last_failure = None
            self._site.source.put_in_force(new.read)
            if not found:
                self.in_force = _with_problems_of(old, new)

    def _renew(self, old: Recording, new: Recording) -> None:
        """AEs that were looked up have changed: log it, and have them looked up again."""
        self._forget(new.aes)
        found = list(remote_differences(old, new, self._site))
        for difference in found:
            LOG.info("changed: %s", difference)
        if found and self._hints is not None:
            self._tell_authors(self._hints, new.changed_since(old))

    def pending(self) -> PendingReload:
        """Outcome of a reload, without doing it: what the directory says is checked as `reload` checks it."""
        old = self.in_force
        try:
            new = check(self._site)
        except ConfigInvalid as err:
            return PendingReload(can_be_reloaded=False, problems=err.problems)
        except ConfigError as err:
            return PendingReload(can_be_reloaded=False, failure=str(err))
        return PendingReload(
            can_be_reloaded=True,
            fingerprint=new.snapshot.fingerprint,
            differences=tuple(differences_of(old, new, self._site)),
            problems=new.snapshot.problems,
        )

    # State.

    @property
    def loaded_at(self) -> str:
        """When what is in force was read, in ISO 8601."""
        return self.in_force.snapshot.loaded_at.isoformat()

    def running(self, *, troubles: Sequence[str] = ()) -> RunningConfiguration:
        """Configuration that is in force; ``troubles`` tell why no associations are accepted."""
        snapshot, directory, failure = self.in_force.snapshot, self._site.source.state, self._last_failure
        return RunningConfiguration(
            device_name=snapshot.device.device_name,
            fingerprint=snapshot.fingerprint,
            loaded_at=snapshot.loaded_at,
            source=self._site.source.describe(),
            is_last_good=directory is not None and directory.is_last_good,
            is_followed=self._follower is not None,
            is_listening=not troubles,
            directory_failure=None if directory is None else directory.failure,
            last_failed_reload=failure,
            problems=snapshot.problems,
            degraded=(*troubles, *self._degraded()),
        )

    def state(
        self, lookups: LookupCounts, contacts: ContactCounts, *, troubles: Sequence[str] = ()
    ) -> dict[str, object]:
        """For `web.app.Control.state`, with what the processes say of the archives that they ask, and ``troubles``."""
        snapshot, directory = self.in_force.snapshot, self._site.source.state
        return {
            "device": snapshot.device.device_name,
            "configuration": {"fingerprint": snapshot.fingerprint, "loadedAt": self.loaded_at},
            "lastFailedReload": None if self._last_failure is None else self._last_failure.to_json(),
            **({} if directory is None else {"directory": directory.to_json()}),
            **contacts_json(lookups, contacts),
            "degraded": [*troubles, *self._degraded(), *contacts.troubles],
        }

    def leading_view(self, measure: Callable[[], Measured]) -> LeadingView:
        """The archives that the configuration in force asks; ``measure`` measures all processes."""
        return LeadingView(
            measure,
            rules=lambda: leading_rules(self.in_force.rules),
            data_dir=self._site.data_dir,
            last_known_max_age=self._site.leading_settings.last_known_max_age,
        )

    def measured(self, process: Measured) -> Measured:
        """Measurements of a process, with what is known here of the configuration."""
        return replace(
            process,
            is_last_reload_good=self._last_failure is None,
            is_degraded=bool(self._degraded() or process.contacts.troubles),
            configuration_changes=self._changes,
            directory=self._site.source.state,
            followed=None if self._follower is None else self._follower.followed,
        )

    def _degraded(self) -> list[str]:
        """Why the configuration in force may not be what the directory says."""
        degraded = []
        if self._last_failure is not None or not self._attempt.is_good:
            degraded.append("the last attempt to take another configuration failed")
        if self._site.source.state is not None:
            degraded += self._site.source.state.degraded
        elif self._follower is not None and not self._follower.followed.is_reachable:
            degraded.append("the directory cannot be read")
        if self._follower is not None and self._follower.followed.is_restless:
            degraded.append("the directory does not come to rest")
        return degraded

    # Parts.

    def _load(self, source: ConfigSource) -> Checked:
        recorder = Recorder(source)
        try:
            checked = check(self._site, recorder)
        except ConfigUnavailable:
            raise
        except ConfigError:
            self._attempt = Attempt.of(recorder.recording, is_good=False)
            raise
        self._attempt = Attempt.of(checked.read, is_good=True)
        return checked

    def _replace(self, new: Checked) -> None:
        try:
            self._put(new)
        except BaseException:  # whatever it was: it is tried again
            self._attempt = replace(self._attempt, is_good=False)
            raise
        self.in_force = new
        self._last_failure = None
        self._changes += 1

    def _fail(self, err: ConfigError) -> None:
        self._attempt = replace(self._attempt, is_good=False)
        self._last_failure = FailedReload(at=self._now(), error=str(err))

    def _tell_differences(self, found: Sequence[Difference], old: Checked, new: Checked) -> None:
        for difference in found:
            LOG.info("changed: %s", difference)
        if found and self._hints is not None:
            self._tell_authors(self._hints, new.read.changed_since(old.read))

    def _tell_authors(self, directory: DirectoryHints, dns: Sequence[str]) -> None:
        """Tell in the log who changed these entries, and when; an entry that is gone tells nothing."""
        try:
            authors = directory.authors(dns[:_MAX_AUTHORS])
        except ConfigError as err:
            LOG.debug("the directory does not tell who changed it: %s", err)
            return
        for name, entries in groupby(sorted(authors, key=lambda author: author.name), key=lambda author: author.name):
            found = list(entries)
            last = max(author.at for author in found)
            when = last.astimezone().strftime("%Y-%m-%d %H:%M:%S%z")
            dns = "; ".join(foreign(author.dn) for author in found)
            LOG.info("changed by %s, last at %s: %s", foreign(name), when, dns)


def _with_problems_of(old: Checked, new: Checked) -> Checked:
    """The same configuration, with what was read, and is to be said, of it now."""
    return replace(old, snapshot=replace(old.snapshot, problems=new.snapshot.problems), read=new.read)
