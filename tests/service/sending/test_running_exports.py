"""Exports under way: found by their ID, and only as long as they last."""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.log import ref
from dcm4py_leading.model.bounds import JOB_PROBLEMS
from dcm4py_leading.service.retrieve.tally import SubOperationTally
from dcm4py_leading.service.sending.running_exports import RunningExport, RunningExports, SendProgress


@dataclass
class Instance:
    """An object that is not sent."""

    sop_class_uid: str = "1.2.840.10008.5.1.4.1.1.2"
    sop_instance_uid: str = "1.2.3.4"
    transfer_syntax_uid: str = "1.2.840.10008.1.2.1"

    def prepare(self, accepted: object) -> object:
        raise AssertionError


def failed(sending: RunningExport, obj: object, reason: str) -> None:
    sending.on_failure(obj, reason)  # type: ignore[arg-type]


def test_an_export_is_found_as_long_as_it_lasts() -> None:
    sendings = RunningExports()
    with sendings.begin("one") as one, sendings.begin("two"):
        assert sendings.get("one") is one
        one.cancel()
        assert one.is_cancelled
        two = sendings.get("two")
        assert two is not None and not two.is_cancelled
    assert sendings.get("one") is sendings.get("two") is None


def test_it_tells_how_far_it_is() -> None:
    sending = RunningExport()
    assert sending.reached() == SendProgress()
    failed(sending, Instance(), "status 0xA700")
    sending.on_progress(SubOperationTally(remaining=3, completed=1, warning=1, failed=1))
    assert sending.reached() == SendProgress(
        done=3, of=6, failed=1, failures=(f"CT Image Storage {ref('1.2.3.4')}: status 0xA700",)
    )


def test_failures_are_logged_without_uid_also_for_unknown_objects() -> None:
    sending = RunningExport()
    failed(sending, Instance(sop_class_uid=""), "gone")
    failed(sending, Instance(sop_class_uid="", sop_instance_uid=""), "gone")
    failed(sending, Instance(sop_class_uid="9.9\nX"), "gone")
    assert sending.failures == (f"instance {ref('1.2.3.4')}: gone", "an object: gone", sending.failures[2])
    assert "1.2.3.4" not in sending.failures[2] and "\n" not in sending.failures[2]


def test_failures_are_bounded() -> None:
    sending = RunningExport()
    for number in range(JOB_PROBLEMS + 5):
        failed(sending, Instance(), str(number))
    assert len(sending.failures) == JOB_PROBLEMS
    assert sending.failures[0].endswith(": 0")
