"""The table of the upper layer is that of PS3.8, which pynetdicom has typed in as well."""

from __future__ import annotations

import pytest
from pynetdicom import fsm

from dcm4py_leading.dicom.upper.state import ACTIONS, TABLE, Event, Machine, NotAllowed, State

EVERY_PAIR = [(event, state) for event in Event for state in State]


def theirs(event: Event, state: State) -> str | None:
    return fsm.TRANSITION_TABLE.get((f"Evt{event.value}", state.name.capitalize()))


def machine_in(state: State, *, is_requestor: bool) -> Machine:
    machine = Machine(is_requestor=is_requestor)
    machine.state = state
    return machine


def test_every_action_is_that_of_table_9_10() -> None:
    assert {pair: theirs(*pair) for pair in EVERY_PAIR if theirs(*pair)} == dict(TABLE)


@pytest.mark.parametrize("is_requestor", [True, False])
def test_every_transition_leads_where_table_9_10_says(is_requestor: bool) -> None:
    for event, state in EVERY_PAIR:
        name = theirs(event, state)
        if name is None:
            continue
        machine = machine_in(state, is_requestor=is_requestor)
        assert machine.on(event) is ACTIONS[name]
        reached = machine.state.name.capitalize()
        if name == "AR-8":
            # PS3.8 table 9-7: a release collision.
            assert reached == ("Sta9" if is_requestor else "Sta10")
        elif name == "AE-6":
            # An unacceptable request is refused by the caller, out of Sta3.
            assert reached == "Sta3"
        else:
            assert reached == fsm.ACTIONS[name][2], (event, state)


def test_impossible_change_is_refused_and_changes_nothing() -> None:
    for event, state in EVERY_PAIR:
        if theirs(event, state) is None:
            machine = machine_in(state, is_requestor=True)
            with pytest.raises(NotAllowed, match=event.name):
                machine.on(event)
            assert machine.state is state


def test_an_abort_of_ours_names_the_user_and_one_for_the_protocol_the_provider() -> None:
    # PS3.8 9.3.8; AA-1 may be either, and is the user's.
    assert {name: action.sends_abort for name, action in ACTIONS.items() if action.sends_abort is not None} == {
        "AA-1": 0,
        "AA-7": 2,
        "AA-8": 2,
    }
