"""Time limit for calls that have none, such as the resolution of a host name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


class Overrun(Exception):
    """It took too long."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """Result of ``work``, or what it raises. Raises Overrun after so many seconds, and then a thread goes on with the
    work until it ends by itself: whoever calls sees to it that it does."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as err:  # noqa: BLE001 - raised again where the work is waited for
            future.set_exception(err)

    threading.Thread(target=copy_context().run, args=(run,), name="bounded", daemon=True).start()
    if not wait([future], seconds).done:
        raise Overrun
    return future.result()
