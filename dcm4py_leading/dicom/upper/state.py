"""The state machine of the upper layer as one table (PS3.8 9.2). It knows neither sockets nor the bytes of a PDU."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class State(enum.Enum):
    """States of PS3.8 tables 9-1 to 9-5."""

    STA1 = "idle"
    STA2 = "transport connection open, awaiting an A-ASSOCIATE-RQ"
    STA3 = "awaiting our answer to an A-ASSOCIATE-RQ"
    STA4 = "awaiting that the transport connection opens"
    STA5 = "awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ"
    STA6 = "association established"
    STA7 = "awaiting A-RELEASE-RP"
    STA8 = "awaiting our answer to an A-RELEASE-RQ"
    STA9 = "release collision, requestor: awaiting our answer"
    STA10 = "release collision, acceptor: awaiting A-RELEASE-RP"
    STA11 = "release collision, requestor: awaiting A-RELEASE-RP"
    STA12 = "release collision, acceptor: awaiting our answer"
    STA13 = "awaiting that the transport connection closes"


class Event(enum.IntEnum):
    """Events of PS3.8 table 9-10, by row: our requests, PDUs of the peer, events of the transport connection."""

    ASSOCIATE_REQUESTED = 1
    CONNECTED = 2
    ACCEPTED_BY_PEER = 3
    REJECTED_BY_PEER = 4
    CONNECTION_CAME_IN = 5
    ASSOCIATE_RQ_RECEIVED = 6
    ACCEPT = 7
    REJECT = 8
    SEND_DATA = 9
    DATA_RECEIVED = 10
    RELEASE = 11
    RELEASE_RQ_RECEIVED = 12
    RELEASE_RP_RECEIVED = 13
    ANSWER_RELEASE = 14
    ABORT = 15
    ABORT_RECEIVED = 16
    CONNECTION_CLOSED = 17
    TIMER_EXPIRED = 18
    INVALID_PDU_RECEIVED = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Action of a transition beside changing the state (PS3.8 tables 9-6 to 9-9)."""

    name: str
    indicates: bool = False
    """The event is told to whoever uses the association."""
    sends_abort: int | None = None
    """An A-ABORT goes out; its source."""
    closes: bool = False
    """The transport connection is closed at once."""


def _actions() -> dict[str, Action]:
    silent = ("AE-1", "AE-2", "AE-5", "AE-7", "AE-8", "DT-1", "AR-1", "AR-4", "AR-7", "AR-9", "AA-5", "AA-6")
    actions = {name: Action(name=name) for name in silent}
    for name in ("AE-3", "AE-6", "DT-2", "AR-2", "AR-6", "AR-8", "AR-10", "AA-4"):
        actions[name] = Action(name=name, indicates=True)
    for name in ("AE-4", "AR-3", "AA-3"):
        actions[name] = Action(name=name, indicates=True, closes=True)
    for name in ("AA-2", "AR-5"):
        actions[name] = Action(name=name, closes=True)
    actions["AA-1"] = Action(name="AA-1", sends_abort=0)
    actions["AA-7"] = Action(name="AA-7", sends_abort=2)
    actions["AA-8"] = Action(name="AA-8", sends_abort=2, indicates=True)
    return actions


ACTIONS: Mapping[str, Action] = _actions()


class NotAllowed(Exception):
    """The event is not possible in this state."""


_S = State
_NEXT = {
    "AE-1": _S.STA4,
    "AE-2": _S.STA5,
    "AE-3": _S.STA6,
    "AE-4": _S.STA1,
    "AE-5": _S.STA2,
    "AE-6": _S.STA3,
    "AE-7": _S.STA6,
    "AE-8": _S.STA13,
    "DT-1": _S.STA6,
    "DT-2": _S.STA6,
    "AR-1": _S.STA7,
    "AR-2": _S.STA8,
    "AR-3": _S.STA1,
    "AR-4": _S.STA13,
    "AR-5": _S.STA1,
    "AR-6": _S.STA7,
    "AR-7": _S.STA8,
    "AR-9": _S.STA11,
    "AR-10": _S.STA12,
    "AA-1": _S.STA13,
    "AA-2": _S.STA1,
    "AA-3": _S.STA1,
    "AA-4": _S.STA1,
    "AA-5": _S.STA1,
    "AA-6": _S.STA13,
    "AA-7": _S.STA13,
    "AA-8": _S.STA13,
}
"""The state after an action; AR-8, a release collision, leads to STA9 or STA10 by role."""

# One line for each event, one column for each state from STA1 to STA13, as in PS3.8 table 9-10; `-` is not possible.
_ROWS = """
 1  AE-1 -    -    -    -    -    -    -    -    -     -    -    -
 2  -    -    -    AE-2 -    -    -    -    -    -     -    -    -
 3  -    AA-1 AA-8 -    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
 4  -    AA-1 AA-8 -    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
 5  AE-5 -    -    -    -    -    -    -    -    -     -    -    -
 6  -    AE-6 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
 7  -    -    AE-7 -    -    -    -    -    -    -     -    -    -
 8  -    -    AE-8 -    -    -    -    -    -    -     -    -    -
 9  -    -    -    -    -    DT-1 -    AR-7 -    -     -    -    -
10  -    AA-1 AA-8 -    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
11  -    -    -    -    -    AR-1 -    -    -    -     -    -    -
12  -    AA-1 AA-8 -    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
13  -    AA-1 AA-8 -    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6
14  -    -    -    -    -    -    -    AR-4 AR-9 -     -    AR-4 -
15  -    -    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1 AA-1 -
16  -    AA-2 AA-3 -    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3 AA-3 AA-2
17  -    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4 AA-4 AR-5
18  -    AA-2 -    -    -    -    -    -    -    -     -    -    AA-2
19  -    AA-1 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
"""


def _table() -> dict[tuple[Event, State], str]:
    table: dict[tuple[Event, State], str] = {}
    for line in _ROWS.strip().splitlines():
        number, *names = line.split()
        table.update(
            {(Event(int(number)), state): name for state, name in zip(State, names, strict=True) if name != "-"}
        )
    return table


TABLE: Mapping[tuple[Event, State], str] = _table()
"""Name of the action by event and state."""


def _transitions(*, is_requestor: bool) -> dict[State, dict[int, tuple[Action, State]]]:
    collision = _S.STA9 if is_requestor else _S.STA10
    transitions: dict[State, dict[int, tuple[Action, State]]] = {state: {} for state in State}
    for (event, state), name in TABLE.items():
        transitions[state][event] = ACTIONS[name], collision if name == "AR-8" else _NEXT[name]
    return transitions


_TRANSITIONS = {is_requestor: _transitions(is_requestor=is_requestor) for is_requestor in (True, False)}


class Machine:
    """State machine of one association."""

    def __init__(self, *, is_requestor: bool) -> None:
        self._transitions = _TRANSITIONS[is_requestor]
        self.state = State.STA1

    @property
    def state(self) -> State:
        """The current state."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state, self._row = state, self._transitions[state]

    def on(self, event: Event) -> Action:
        """Go to the next state and return the actions to carry out. Raises NotAllowed."""
        try:
            action, state = self._row[event]
        except KeyError:
            raise NotAllowed(f"{event.name} in state {self.state.name} ({self.state.value})") from None
        if state is not self._state:
            self.state = state
        return action
