from datetime import UTC, datetime, timedelta

import pytest

from dcm4py_leading.errors import ArchiveUnavailable
from dcm4py_leading.leading.contacts import Contact, ContactCounts, Contacts, Line, Part
from dcm4py_leading.model.values import AETitle

LOCAL, SCP = AETitle("DCM4CHEE"), AETitle("QRSCP")
LINE = Line("leading archive", LOCAL, SCP)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.seconds = 0

    def __call__(self):
        self.seconds += 1
        return BEGIN + timedelta(seconds=self.seconds)


def test_archive_that_was_not_asked_is_no_trouble():
    assert Contacts([LINE]).read() == ContactCounts(contacts={LINE: Contact()})
    assert Contacts([LINE]).read().troubles == []


def test_last_word_counts():
    contacts = Contacts(now=Clock())
    contacts.failed(Part.LEADING, LOCAL, SCP, "Connection refused")
    assert contacts.read().troubles == [
        "leading archive QRSCP gave DCM4CHEE no answer, so identity may be out of date: Connection refused"
    ]
    contacts.answered(Part.LEADING, LOCAL, SCP)
    (contact,) = contacts.read().contacts.values()
    assert not contact.is_failing
    assert contact.failure == "Connection refused"


def test_question_to_an_archive_behind_is_counted_by_its_end():
    contacts = Contacts(now=Clock())
    with contacts.asking(LOCAL, SCP, "C-FIND"):
        pass
    with pytest.raises(ArchiveUnavailable), contacts.asking(LOCAL, SCP, "C-FIND"):
        raise ArchiveUnavailable("no route")
    read = contacts.read()
    assert read.asked == {(LOCAL, SCP, "C-FIND", "answered"): 1, (LOCAL, SCP, "C-FIND", "failed"): 1}
    assert read.troubles == ["archive QRSCP gave DCM4CHEE no answer: no route"]


def test_other_errors_say_nothing_of_the_archive():
    contacts = Contacts()
    with pytest.raises(KeyError), contacts.asking(LOCAL, SCP, "C-FIND"):
        raise KeyError
    assert contacts.read() == ContactCounts()


def test_later_observation_of_another_process_counts():
    early, late = BEGIN, BEGIN + timedelta(seconds=1)
    failed = ContactCounts(contacts={LINE: Contact(last_failure=early, failure="refused")})
    answered = ContactCounts(contacts={LINE: Contact(last_answer=late)})
    assert failed.plus(answered).troubles == answered.plus(failed).troubles == []
    assert failed.plus(ContactCounts()).troubles == failed.troubles
