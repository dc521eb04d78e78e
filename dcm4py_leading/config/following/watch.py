"""Watch on the directory: it is read at intervals, and a change is taken over once it has settled.

What wakes the follower, a timer or the directory itself, decides nothing: what is read decides.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

from dcm4py_leading.config.sources.hints import Marks
from dcm4py_leading.config.sources.recorded import record
from dcm4py_leading.config.sources.recording import Entries, Recording
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigError, ConfigInvalid, ConfigUnavailable
from dcm4py_leading.log import trace

LOG = logging.getLogger(__name__)

_STOP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Pace at which a directory is followed."""

    interval_seconds: float = 5.0
    """Between two looks, while nothing changes."""
    quiet_seconds: float = 2.0
    """Two looks so far apart have to see the same before it is put in force."""
    restless_seconds: float = 60.0
    """After so long without rest the log tells."""
    looks_until_thorough: int = 12
    """Each so-many-th look reads everything, whatever the directory's mark says."""

    @classmethod
    def every(cls, seconds: float) -> Self:
        """A look every so many seconds; the rest as it goes with that."""
        usual = cls()
        return cls(
            interval_seconds=seconds,
            quiet_seconds=min(seconds, usual.quiet_seconds),
            restless_seconds=max(usual.looks_until_thorough * seconds, usual.restless_seconds),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Reading of the directory when a configuration was last to be put in force."""

    recording: Recording
    digest: str
    is_good: bool
    """True if it was put in force, or equals what is."""

    @classmethod
    def of(cls, recording: Recording, *, is_good: bool) -> Self:
        """An attempt with that recording."""
        return cls(recording=recording, digest=recording.digest(), is_good=is_good)


class Adopter(Protocol):
    """Adopter of changes that a follower sees."""

    @property
    def attempt(self) -> Attempt:
        """The last attempt, whoever made it."""
        ...

    def adopt(self, seen: Recording) -> None:
        """Check what was seen, and put it in force where it differs. Raises ConfigError, having told it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """State of following a directory."""

    is_reachable: bool = True
    failed_reads: int = 0
    is_restless: bool = False
    """The directory has been changing for long, and none of it counts yet."""


class Follower:
    """Looks at the directory on a thread of its own; `step` is one look."""

    def __init__(
        self,
        source: ConfigSource,
        device_name: str,
        adopter: Adopter,
        pace: Pace,
        *,
        marks: Marks | None = None,
        is_told: bool = False,
        clock: Callable[[], float] = time.monotonic,
        looked_up: Callable[[], Sequence[Recording]] = tuple,
        renew: Callable[[Recording, Recording], None] = lambda old, new: None,
    ) -> None:
        """``is_told``: the source itself tells in the log when it cannot be read, and when it can again.

        ``looked_up`` gives the AEs that each process has looked up, such as move destinations; ``renew`` is called
        with those that have changed: old and new.
        """
        self._looked_up = looked_up
        self._renew = renew
        self._source = source
        self._device_name = device_name
        self._adopter = adopter
        self._pace = pace
        self._marks = marks
        self._is_told = is_told
        self._clock = clock
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower of the directory", daemon=True)
        self._looks = 0
        self._marked: tuple[str, str] | None = None
        """A mark, and the digest of what was there then."""
        self._moving: str | None = None
        """Digest of what differs from the last attempt, as the last look saw it."""
        self._seen_at = self._moving_since = 0.0
        self.followed = Followed()

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wake(self) -> None:
        """Look soon: something may have changed."""
        self._woken.set()

    def stop(self) -> None:
        """Stop looking. A look under way may outlast this, if the directory does not answer."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                pause = self.step()
            except Exception as err:  # noqa: BLE001 - a bug must not end the following of the directory
                LOG.error("an error in the service kept it from looking for changes in the directory: %s", trace(err))
                pause = self._pace.interval_seconds
            if self._moving is None:
                # A busy directory wakes often; it is not asked all the time for that.
                breath = min(pause, self._pace.quiet_seconds) / 4
                self._stopping.wait(breath)
                self._woken.wait(pause - breath)
            else:
                self._stopping.wait(pause)

    def step(self) -> float:
        """One look, and what follows from it. Returns the seconds until the next."""
        attempt = self._adopter.attempt
        is_thorough = (
            self._looks % self._pace.looks_until_thorough == 0
            or self._moving is not None
            or not self.followed.is_reachable
        )
        self._looks += 1
        others: dict[str, list[Entries]] = {}
        for looked_up in self._looked_up():
            for title in looked_up.aes.keys() - attempt.recording.aes.keys():
                others.setdefault(title, []).append(looked_up.aes[title])
        mark = self._mark(attempt, others)
        if not is_thorough and mark is not None and self._marked == (mark, attempt.digest):
            return self._pace.interval_seconds
        try:
            seen = record(self._source, like=attempt.recording, device_name=self._device_name)
            self._look_at(others)
        except ConfigUnavailable as err:
            self._has_failed(err)
            return self._pace.interval_seconds
        self._has_answered()
        digest = seen.digest()
        if digest == attempt.digest:
            self._rest()
            if mark is not None:
                self._marked = (mark, digest)
            if not attempt.is_good and is_thorough:  # mended elsewhere: a port that was taken, a style sheet
                self._adopt(seen)
            return self._pace.interval_seconds
        return self._watch(seen, digest)

    def _look_at(self, others: Mapping[str, Sequence[Entries]]) -> None:
        """Have those AEs renewed that are no longer as they were when they were looked up. Raises ConfigUnavailable.

        There is nothing to wait for: whoever needs one reads it as it is then.
        """
        old, new = {}, {}
        for title, told in others.items():
            try:
                now = self._source.read_ae(title)
            except ConfigInvalid:
                continue  # told by the look at the device
            digest = Recording(aes={title: now}).digest()
            before = next((known for known in told if Recording(aes={title: known}).digest() != digest), None)
            if before is not None:
                old[title], new[title] = before, now
        if new:
            self._renew(Recording(aes=old), Recording(aes=new))

    def _mark(self, attempt: Attempt, others: Iterable[str]) -> str | None:
        if self._marks is None or not self.followed.is_reachable:
            return None
        try:
            return self._marks.mark(
                (self._device_name, *attempt.recording.devices), (*attempt.recording.aes, *sorted(others))
            )
        except ConfigError:  # the read tells
            return None

    def _watch(self, seen: Recording, digest: str) -> float:
        """Something differs: wait until two looks agree, then act."""
        now = self._clock()
        if self._moving is None:
            self._moving_since = now
        if self._moving != digest:
            self._moving, self._seen_at = digest, now
            if now - self._moving_since >= self._pace.restless_seconds and not self.followed.is_restless:
                self.followed = replace(self.followed, is_restless=True)
                seconds = now - self._moving_since
                LOG.warning("the directory has been changing for %.0f s: nothing of it counts until it rests", seconds)
            return self._pace.quiet_seconds
        rest = self._seen_at + self._pace.quiet_seconds - now
        if rest > 0:
            return rest
        self._rest()
        self._adopt(seen)
        return self._pace.interval_seconds

    def _rest(self) -> None:
        self._moving = None
        self.followed = replace(self.followed, is_restless=False)

    def _adopt(self, seen: Recording) -> None:
        try:
            self._adopter.adopt(seen)
        except ConfigError as err:
            LOG.debug("not adopted: %s", err)

    def _has_failed(self, err: ConfigUnavailable) -> None:
        self._moving = None
        if self.followed.is_reachable and not self._is_told:
            LOG.warning("the directory cannot be read, the configuration in force stays: %s", err)
        self.followed = replace(self.followed, is_reachable=False, failed_reads=self.followed.failed_reads + 1)

    def _has_answered(self) -> None:
        if not self.followed.is_reachable:
            if not self._is_told:
                LOG.info("the directory can be read again")
            self.followed = replace(self.followed, is_reachable=True)
