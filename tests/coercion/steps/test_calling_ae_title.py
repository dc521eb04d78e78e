from dataclasses import replace

import pytest
from pydicom import Dataset

from dcm4py_leading.coercion.changes import apply
from dcm4py_leading.coercion.context import Peer
from dcm4py_leading.coercion.steps.calling_ae_title import PRIVATE_CREATOR, compile_use_calling_ae_title
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.values import TransferRole
from tests.fixtures.rules import RETRIEVE, data_set

STORE = replace(RETRIEVE, transfer_role=TransferRole.SCU, sending=Peer(ae_title="CT1"))
QUERY = replace(STORE, dimse=Dimse.C_FIND_RQ)
STATION = compile_use_calling_ae_title("ScheduledStationAETitle")
SERIES = compile_use_calling_ae_title("SendingApplicationEntityTitleOfSeries")


def after(step, ds, context=STORE):
    changes = step.changes(ds, context)
    assert changes is not None
    apply(ds, changes)
    return ds


@pytest.mark.ldap("dcmUseCallingAETitleAs")
@pytest.mark.parametrize("items", [None, [], [Dataset()], [data_set(Modality="CT")]])
def test_a_step_is_of_the_station_that_sends(items):
    ds = Dataset() if items is None else data_set(ScheduledProcedureStepSequence=items)
    (item,) = after(STATION, ds).ScheduledProcedureStepSequence
    assert item.ScheduledStationAETitle == "CT1"


@pytest.mark.parametrize("context", [STORE, QUERY])
def test_a_station_that_is_named_stays(context):
    ds = data_set(ScheduledProcedureStepSequence=[data_set(ScheduledStationAETitle="MR1")])
    assert STATION.changes(ds, context) is None


def test_a_query_for_everything_in_the_item_still_asks_for_it():
    ds = data_set(ScheduledProcedureStepSequence=[Dataset()])
    (item,) = after(STATION, ds, QUERY).ScheduledProcedureStepSequence
    assert item.ScheduledStationAETitle == "CT1"
    assert {"Modality", "ScheduledProcedureStepID", "ScheduledProcedureStepStartDate"} <= set(item.dir())
    assert len(item) == 20
    assert all(not element.value for element in item if element.keyword != "ScheduledStationAETitle")


def test_a_query_with_keys_in_the_item_gets_one_more():
    ds = data_set(ScheduledProcedureStepSequence=[data_set(Modality="")])
    (item,) = after(STATION, ds, QUERY).ScheduledProcedureStepSequence
    assert item.dir() == ["Modality", "ScheduledStationAETitle"]


@pytest.mark.parametrize("step", [STATION, SERIES])
def test_a_sender_without_ae_title_changes_nothing(step):
    assert step.changes(Dataset(), replace(QUERY, sending=Peer(host="here"))) is None


@pytest.mark.ldap("dcmUseCallingAETitleAs")
def test_series_carry_who_sent_them():
    ds = after(SERIES, Dataset())
    assert ds.private_block(0x7777, PRIVATE_CREATOR)[0x37].value == "CT1"
    assert SERIES.changes(ds, STORE) is None


def test_the_private_block_that_is_there_is_used():
    ds = Dataset()
    ds.private_block(0x7777, "SOMEBODY", create=True).add_new(0x37, "AE", "X")
    ds.private_block(0x7777, PRIVATE_CREATOR, create=True).add_new(0x37, "AE", "")
    after(SERIES, ds)
    assert ds[0x77771137].value == "CT1"
    assert ds[0x77771037].value == "X"


def test_a_private_block_of_others_is_not_taken():
    ds = Dataset()
    ds.private_block(0x7777, "SOMEBODY", create=True).add_new(0x37, "AE", "X")
    assert after(SERIES, ds).private_block(0x7777, PRIVATE_CREATOR)[0x37].tag == 0x77771137


def test_a_group_without_room_fails():
    ds = Dataset()
    for block in range(0x10, 0x100):
        ds.add_new(0x77770000 | block, "LO", "SOMEBODY")
    with pytest.raises(CoercionFailed, match="no free private block"):
        SERIES.changes(ds, STORE)


def test_other_attributes_are_refused():
    with pytest.raises(ValueError, match="ScheduledStationAETitle, SendingApplicationEntityTitleOfSeries"):
        compile_use_calling_ae_title("StationName")


@pytest.mark.parametrize("step", [STATION, SERIES])
def test_only_what_is_declared_is_written(step):
    changes = step.changes(Dataset(), QUERY)
    assert {change.path[0] for change in changes} <= step.writes
