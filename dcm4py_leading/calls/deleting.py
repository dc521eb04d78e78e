"""Deletions of studies."""

from __future__ import annotations

from typing import Protocol

from dcm4py_leading.calls.call import Call, Caller, Form, Here, as_it_is
from dcm4py_leading.errors import StatusError
from dcm4py_leading.model.values import UID
from dcm4py_leading.service.deleting.delete import Deletion, delete_study

_SECONDS = 600.0
"""A study may have many thousand files."""


def _delete(here: Here, wanted: Deletion) -> None:
    delete_study(here.runtime, wanted)


DELETE: Call[Deletion, None] = Call(
    name="delete",
    do=_delete,
    question=Form(to_json=Deletion.to_json, from_json=lambda value: Deletion(**value)),
    answer=as_it_is(),
    seconds=_SECONDS,
)


class _Remembering(Caller, Protocol):
    def drop_answers(self, study_instance_uid: UID | None) -> int: ...


class StudyDeletions(_Remembering):
    """Deletions of studies (see `web.rest.archive.delete.DeletionService`)."""

    def delete_study(self, wanted: Deletion) -> None:
        """Delete a study, and let every process forget the answers of leading archives about it."""
        try:
            self.call(DELETE, wanted)
        except StatusError:
            self._forget(wanted)  # it may have begun
            raise
        self._forget(wanted)

    def _forget(self, wanted: Deletion) -> None:
        try:
            uid = UID(wanted.study_instance_uid)
        except ValueError:
            return  # nobody is asked about a study without a proper UID
        self.drop_answers(uid)
