"""C-STOREs to a destination, several under way: what an association that ends in their midst leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.scu.store import StoreSCU
from dcm4py_leading.errors import StorageUnavailable, SubOperationFailed
from dcm4py_leading.model.device import Connection, RemoteAE
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.retrieve.encode import StoreContext
from tests.fixtures.links import CT, IMPLICIT, prepared
from tests.fixtures.ports import free_port
from tests.fixtures.rules import application_entity
from tests.fixtures.windowed_sink import Script, Talk, WindowedSink

StartSink = Callable[[int, Script, tuple[int, int] | None], WindowedSink]


def calling(port: int) -> StoreSCU:
    """The SCU of a retrieve, that may have four objects under way."""
    here = Connection(dn="cn=dicom", hostname="127.0.0.1", max_ops_invoked=4)
    there = Connection(dn="cn=dicom", hostname="127.0.0.1", port=port)
    remote = RemoteAE(dn="ae", ae_title=AETitle("SINK"), device_name="sink", connections=(there,))
    local = replace(application_entity(), connections=(here,))
    return StoreSCU(local, remote, [StoreContext(CT, (IMPLICIT,))])


def unreadable() -> Iterator[Sequence[Buffer]]:
    """The batches of an object whose file is lost half-way."""
    yield [b"ab"]
    raise StorageUnavailable("lost")


def test_loss_within_an_object_fails_only_unanswered_objects(
    windowed_sink: StartSink,
) -> None:
    def script(talk: Talk) -> None:
        if len(sink.talks) == 1:
            taken = talk.take(3)
            talk.answer(taken[1])
            talk.take()
        while True:
            talk.answer(*talk.take())

    port = free_port()
    sink = windowed_sink(port, script, (4, 1))
    with calling(port) as scu:
        assert IMPLICIT in scu.accepted_transfer_syntaxes(CT, IMPLICIT)
        for number in (1, 2, 3):
            scu.begin_store(prepared(b"ab"), number)
        assert scu.end_store() == (2, 0x0000)
        with pytest.raises(StorageUnavailable):
            scu.begin_store(replace(prepared(b"abcd"), source=unreadable()), 4)
        ends = dict(scu.end_store() for _ in range(2))
        assert set(ends) == {1, 3}
        for end in ends.values():
            assert isinstance(end, SubOperationFailed) and "aborted, as another object failed: lost" in str(end)
        assert IMPLICIT in scu.accepted_transfer_syntaxes(CT, IMPLICIT)
        scu.begin_store(prepared(b"ab"), 5)
        assert scu.end_store() == (5, 0x0000)
    assert len(sink.talks) == 2


def test_an_object_that_cannot_be_read_at_all_costs_no_other(windowed_sink: StartSink) -> None:
    def script(talk: Talk) -> None:
        taken = talk.take(2)
        for message_id in reversed(taken):
            talk.answer(message_id)
        talk.take()

    def missing() -> Iterator[Sequence[Buffer]]:
        raise StorageUnavailable("gone")
        yield []

    port = free_port()
    sink = windowed_sink(port, script, (4, 1))
    with calling(port) as scu:
        scu.accepted_transfer_syntaxes(CT, IMPLICIT)
        scu.begin_store(prepared(b"ab"), 1)
        with pytest.raises(StorageUnavailable):
            scu.begin_store(replace(prepared(b"abcd"), source=missing()), 2)
        scu.begin_store(prepared(b"ab"), 3)
        assert [scu.end_store() for _ in range(2)] == [(3, 0x0000), (1, 0x0000)]
    assert len(sink.talks) == 1


@pytest.mark.parametrize("result", [3, 4])
def test_a_new_association_that_does_not_take_the_next_object_fails_that_one_alone(
    windowed_sink: StartSink, result: int
) -> None:
    def script(talk: Talk) -> None:
        talk.take(4)
        sink.result = result

    port = free_port()
    sink = windowed_sink(port, script, (4, 1))
    with calling(port) as scu:
        scu.accepted_transfer_syntaxes(CT, IMPLICIT)
        for number in (1, 2, 3, 4):
            scu.begin_store(prepared(b"ab"), number)
        ends = dict(scu.end_store() for _ in range(4))
        assert all(isinstance(end, SubOperationFailed) for end in ends.values())
        with pytest.raises(SubOperationFailed, match="SINK does not take"):
            scu.begin_store(prepared(b"ab"), 5)
