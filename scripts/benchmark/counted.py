"""The service as one process that counts its calls of functions: ``python counted.py PORT serve ...``.

Who connects to PORT gets JSON: by function, the calls until then, and the nanoseconds of CPU time in the function
itself. Threads are counted from their start; the main thread, which serves nobody, is not. By sys.setprofile, of which
each thread has its own: cProfile, from Python 3.12 on, is for one thread at a time.
"""

from __future__ import annotations

import json
import os
import socketserver
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

_OUTSIDE = "?"
"""Time before the first call that was seen."""


class Counted:
    """Calls and time of one thread."""

    def __init__(self) -> None:
        self.calls: Counter[CodeType | str] = Counter()
        self.nanoseconds: Counter[CodeType | str] = Counter()
        self._stack: list[CodeType | str] = [_OUTSIDE]
        self._began = time.thread_time_ns()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        self.nanoseconds[self._stack[-1]] += time.thread_time_ns() - self._began
        if event == "call":
            self._enter(frame.f_code)
        elif event == "c_call":
            self._enter(f"{{{getattr(argument, '__qualname__', 'built-in')}}}")
        elif len(self._stack) > 1:
            self._stack.pop()
        self._began = time.thread_time_ns()

    def _enter(self, function: CodeType | str) -> None:
        self.calls[function] += 1
        self._stack.append(function)


_COUNTED: list[Counted] = []


def _begin(frame: FrameType, event: str, argument: object) -> None:
    """Take over a thread that has just begun."""
    counted = Counted()
    _COUNTED.append(counted)
    sys.setprofile(counted)


class _Server(socketserver.TCPServer):
    allow_reuse_address = True


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        calls: Counter[str] = Counter()
        nanoseconds: Counter[str] = Counter()
        for counted in list(_COUNTED):
            for function, number in counted.calls.copy().items():
                calls[_name(function)] += number
            for function, number in counted.nanoseconds.copy().items():
                nanoseconds[_name(function)] += number
        told = {name: (calls[name], nanoseconds[name]) for name in calls.keys() | nanoseconds.keys()}
        self.request.sendall(json.dumps(told).encode())


def _name(function: CodeType | str) -> str:
    if isinstance(function, str):
        return function
    path = os.path.relpath(function.co_filename)
    _, found, library = path.rpartition("site-packages/")
    return f"{library if found else path}:{function.co_qualname}"


def main() -> None:
    """Serve until the service ends."""
    # Not our folder but the checkout from which the service is to be: the current one.
    sys.path[0] = str(Path.cwd())
    port = int(sys.argv[1])
    sys.argv[1:2] = []
    server = _Server(("127.0.0.1", port), _Handler)
    threading.Thread(target=server.serve_forever, name="calls", daemon=True).start()
    threading.setprofile(_begin)
    from dcm4py_leading.__main__ import main as serve

    serve()


if __name__ == "__main__":
    main()
