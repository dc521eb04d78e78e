import logging
import threading

import pytest

from dcm4py_leading import log
from dcm4py_leading.config.ldap.bounded import Overrun, within


def test_result_and_exception_come_through():
    assert within(10, lambda: 1) == 1
    with pytest.raises(TimeoutError, match="of its own"):
        within(10, fail)


def fail():
    raise TimeoutError("of its own")


def test_call_that_takes_too_long_is_left_alone():
    end = threading.Event()
    with pytest.raises(Overrun):
        within(0, end.wait)
    end.set()


def test_log_names_the_association_of_the_waiting_client(caplog):
    told: list[object] = []

    class Told(logging.Handler):
        def emit(self, record):
            told.append(log._association.get())

    handler = Told()
    logger = logging.getLogger("tests.bounded")
    logger.addHandler(handler)
    with log.association_id("7"):
        within(10, lambda: logger.warning("x"))
    logger.removeHandler(handler)
    assert told == ["7"]
