"""Kind of call: who answers it, and how request and answer are encoded between processes.

A call is defined once, in a module of this package, and is in the table of `calls.table`. The serving
process or a worker answers any of them; the service in one process and the supervisor put them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from dcm4py_leading.composition.site import Site
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.sending.running_exports import RunningExports

Json = Any
"""A JSON value; who takes one knows its shape."""

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The process that answers."""

    runtime: Runtime
    """The configuration in force, which stays while it is answered."""
    site: Site
    """Where configurations come from, for one that is not in force."""
    sendings: RunningExports
    """Exports under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form(Generic[Q]):
    """The form of a value as JSON."""

    to_json: Callable[[Q], Json]
    from_json: Callable[[Json], Q]


def as_it_is() -> Form[Any]:
    """Form of values that are JSON already, and of None."""
    return Form(to_json=lambda value: value, from_json=lambda value: value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Q, A]):
    """A kind of question."""

    name: str
    do: Callable[[Here, Q], A]
    """Answers the call. Exceptions must be known to `workers.wire_json.error_to_json`."""
    question: Form[Q]
    answer: Form[A]
    seconds: float
    """Time after which another process is not waited for any more."""
    is_repeatable: bool = True
    """True if another process may be asked when the first one gives no answer, whatever that one has done."""

    def answered(self, here: Here, question: Json) -> Json:
        """Answer a question that came from another process."""
        return self.answer.to_json(self.do(here, self.question.from_json(question)))


class Caller(Protocol):
    """The side that calls a process with the archive."""

    def call(self, call: Call[Q, A], question: Q) -> A:
        """The answer of one process. Raises what ``call.do`` raises; StatusError where no process answers."""
        ...

    def call_each(self, call: Call[Q, A], question: Q) -> list[A]:
        """The answers of all processes that give one."""
        ...
