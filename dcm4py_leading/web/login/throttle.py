"""A pause for whoever tries passwords: by user name, and by where they come from.

An attempt counts as wrong from its beginning until it has turned out to be right, so that many at the same time are no
way around it.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dcm4py_leading.errors import LoginThrottled
from dcm4py_leading.log import word
from dcm4py_leading.model.bounds import LOGIN_FAILURES, LOGIN_FAILURES_REMEMBERED, LOGIN_FAILURES_SECONDS
from dcm4py_leading.web.login.credentials import name_key

LOG = logging.getLogger(__name__)

_SHOWN_CHARACTERS = 64

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in under way."""

    began: float
    user: Key
    address: Key


class Throttle:
    """Counts wrong log-ins. Safe under threads. No cache: the times of a key are a window, its last ones count."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        """``clock`` in seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[Key, deque[float]] = OrderedDict()
        """Of each key the times of the last ones; the key that failed last is the last one."""
        self._told: dict[Key, float] = {}
        """Until when a key's pause has been told."""

    def begin(self, user: str, address: str) -> Attempt:
        """An attempt, which counts as wrong until it is `right` or `void`. Raises LoginThrottled."""
        with self._lock:
            attempt = Attempt(self._clock(), ("user", name_key(user)), ("address", _network(address)))
            self._check(attempt.began, (attempt.user, attempt.address), user)
            self._count(attempt.began, attempt.user, attempt.address)
            return attempt

    def check(self, user: str, address: str) -> None:
        """Raise LoginThrottled where an attempt would be refused."""
        with self._lock:
            self._check(self._clock(), (("user", name_key(user)), ("address", _network(address))), user)

    def check_address(self, address: str) -> None:
        """Raise LoginThrottled where an attempt from there would be refused, whoever the user is."""
        with self._lock:
            self._check(self._clock(), (("address", _network(address)),), "")

    def wrong(self, address: str) -> None:
        """Count a wrong attempt that names no user."""
        with self._lock:
            self._count(self._clock(), ("address", _network(address)))

    def right(self, attempt: Attempt) -> None:
        """Forget the attempt and the user's wrong ones; those of the address stay: others may be trying from it."""
        with self._lock:
            self._failures.pop(attempt.user, None)
            self._take_back(attempt.address, attempt.began)

    def void(self, attempt: Attempt) -> None:
        """Forget the attempt: its password could not be checked."""
        with self._lock:
            self._take_back(attempt.user, attempt.began)
            self._take_back(attempt.address, attempt.began)

    def _take_back(self, key: Key, began: float) -> None:
        times = self._failures.get(key)
        if times is not None and began in times:
            times.remove(began)
            if not times:
                del self._failures[key]

    def _count(self, now: float, *keys: Key) -> None:
        for key in keys:
            self._failures.setdefault(key, deque(maxlen=LOGIN_FAILURES)).append(now)
            self._failures.move_to_end(key)
        while len(self._failures) > LOGIN_FAILURES_REMEMBERED:
            self._failures.popitem(last=False)

    def _check(self, now: float, keys: Iterable[Key], user: str) -> None:
        pauses = {key: self._pause(key, now) for key in keys}
        key, seconds = max(pauses.items(), key=lambda item: item[1])
        if seconds > 0:
            self._tell(key, now, seconds, user)
            minutes = math.ceil(seconds / 60)
            raise LoginThrottled(
                f"too many wrong log-ins: try again in {minutes} minute{'s' * (minutes != 1)}",
                retry_after_seconds=math.ceil(seconds),
            )

    def _pause(self, key: Key, now: float) -> float:
        """Seconds until the oldest of the last failures no longer counts; 0 where there are not that many."""
        times = self._failures.get(key)
        if times is None or len(times) < LOGIN_FAILURES:
            return 0.0
        return max(0.0, times[0] + LOGIN_FAILURES_SECONDS - now)

    def _tell(self, key: Key, now: float, seconds: float, user: str) -> None:
        """Log the refusal, once for each pause."""
        self._told = {told: until for told, until in self._told.items() if until > now}
        if key in self._told or len(self._told) >= LOGIN_FAILURES_REMEMBERED:
            return
        self._told[key] = now + seconds
        kind, name = key
        who = f"for user {word(user[:_SHOWN_CHARACTERS])}" if kind == "user" else f"from {name}"
        LOG.warning("%d wrong log-ins %s: refused for %d s", LOGIN_FAILURES, who, math.ceil(seconds))


def _network(address: str) -> str:
    """Network of an address: one IPv4 address, or a /64 of IPv6, which is the least that a site has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)
