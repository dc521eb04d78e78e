"""Table of all calls: by name for workers, and as methods of the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dcm4py_leading.calls.call import Call
from dcm4py_leading.calls.deleting import DELETE, StudyDeletions
from dcm4py_leading.calls.dicomweb import SEARCH, Searches
from dcm4py_leading.calls.echoing import ECHO, Echoes
from dcm4py_leading.calls.editing import AMEND, EDIT, EDIT_FIELDS, LED_AFTER, Edits
from dcm4py_leading.calls.explaining import EXPLAIN, Explanations
from dcm4py_leading.calls.picturing import PICTURE, Pictures
from dcm4py_leading.calls.retrieving import METADATA, OBJECTS, RENDERED, VALUES, Retrievals
from dcm4py_leading.calls.sending import CANCEL_SENDING, CHECK_EXPORT, EXPORT, REACHED, SEND, Exports
from dcm4py_leading.calls.storing import STORE, Stores
from dcm4py_leading.calls.stream import StreamCall
from dcm4py_leading.calls.studies import FIND_STUDIES, INSTANCES, SERIES, STUDIES_AES, STUDY, Studies
from dcm4py_leading.calls.three_values import THREE_VALUES, Comparisons
from dcm4py_leading.calls.trying import TRY, Trials

CALLS: Mapping[str, Call[Any, Any]] = {
    call.name: call
    for call in (
        AMEND,
        CANCEL_SENDING,
        CHECK_EXPORT,
        DELETE,
        ECHO,
        EDIT,
        EDIT_FIELDS,
        EXPLAIN,
        EXPORT,
        FIND_STUDIES,
        INSTANCES,
        LED_AFTER,
        PICTURE,
        REACHED,
        SEND,
        SERIES,
        STUDIES_AES,
        STUDY,
        THREE_VALUES,
        TRY,
    )
}

STREAM_CALLS: Mapping[str, StreamCall[Any, Any]] = {
    call.name: call for call in (METADATA, OBJECTS, RENDERED, SEARCH, STORE, VALUES)
}
"""Those with long answers."""


class Calls(
    Comparisons,
    StudyDeletions,
    Echoes,
    Edits,
    Explanations,
    Exports,
    Pictures,
    Retrievals,
    Searches,
    Stores,
    Studies,
    Trials,
):
    """All calls to a process with the archive."""
