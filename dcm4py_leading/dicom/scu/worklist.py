"""C-FIND to a Modality Worklist SCP (PS3.4 K), for coercions that merge request attributes into received objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement

from dcm4py_leading.coercion.question import WorklistQuestion
from dcm4py_leading.dataset.data_sets import declare_default, decode_text
from dcm4py_leading.dataset.text.character_sets import UTF_8
from dcm4py_leading.dataset.text.charset import undecodable
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.dicom.negotiation import MODALITY_WORKLIST_FIND
from dcm4py_leading.dicom.scu.find_exchange import find_responses
from dcm4py_leading.dicom.scu.leading import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Coerce,
    as_it_is,
)
from dcm4py_leading.dicom.scu.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu.resolve import Resolve, resolved
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.errors import CoercionFailed, UnencodableText, WorklistUnavailable
from dcm4py_leading.model.bounds import QUESTION_SECONDS, WORKLIST_ITEMS
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity

_SCHEDULED_PROCEDURE_STEP_SEQUENCE = 0x00400100
# PS3.4 K.6.1.2. Inside the sequence every SCP must return the first eight and may return the others.
_SCHEDULED_STEP_RETURN_KEYS = (
    *(0x00080060, 0x00400001, 0x00400002, 0x00400003, 0x00400006, 0x00400007, 0x00400008, 0x00400009),
    *(0x00321070, 0x00400004, 0x00400005, 0x0040000B, 0x00400010, 0x00400011, 0x00400012, 0x00400020, 0x00400400),
)
_RETURN_KEYS = (
    *(0x00080005, 0x00080050, 0x00080051, 0x00080080, 0x00080090, 0x00081110),
    *(0x00100010, 0x00100020, 0x00100021, 0x00100024, 0x00100030, 0x00100040, 0x00101020, 0x00101030, 0x00101040),
    *(0x00102203, 0x0020000D, 0x00321031, 0x00321032, 0x00321033, 0x00321034, 0x00321060, 0x00321064),
    *(0x00380010, 0x00380014, 0x00401001, 0x00401002, 0x0040100A, 0x00402016, 0x00402017),
)


_PATIENCE = timedelta(seconds=QUESTION_SECONDS)


class WorklistSCU:
    """C-FIND SCU for worklists; one association for each query."""

    def __init__(
        self, resolve: Resolve, *, coerce: Coerce = as_it_is, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock`` counts seconds."""
        self._resolve = resolve
        self._coerce = coerce
        self._clock = clock

    def find_items(
        self, question: WorklistQuestion, local_ae: ApplicationEntity, *, timeout: timedelta = _PATIENCE
    ) -> tuple[Dataset, ...]:
        """The matching worklist items, decoded and read-only; dcmDefaultCharacterSet applies if they name no set.

        ``timeout`` limits the whole query. Raises WorklistUnavailable.
        """
        scp = question.worklist_scp
        ends_at = self._clock() + timeout.total_seconds()

        def remaining() -> float:
            return ends_at - self._clock()

        remote = resolved(self._resolve, scp, WorklistUnavailable)
        proposal = (MODALITY_WORKLIST_FIND, (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN))
        try:
            keys = self._coerce(
                Dimse.C_FIND_RQ, local_ae, remote, MODALITY_WORKLIST_FIND, worklist_identifier(question)
            )
            with RequestedAssociation(local_ae, remote, [proposal], timeout=timeout) as assoc:
                found = list(_responses(assoc, keys, remaining))
            items = tuple(
                self._coerce(Dimse.C_FIND_RSP, local_ae, remote, MODALITY_WORKLIST_FIND, item) for item in found
            )
        except CoercionFailed as err:
            raise WorklistUnavailable(f"{scp}: {err}") from err
        except AssociationFailed as err:
            message = str(err)
            raise WorklistUnavailable(message if message.startswith(scp) else f"{scp}: {message}") from err
        try:
            for item in items:
                _make_readable(item, local_ae.settings.default_character_set)
        except UnencodableText as err:
            raise WorklistUnavailable(f"{scp} answered with what cannot be read: {err}") from err
        except UNREADABLE as err:
            raise WorklistUnavailable(f"{scp} answered with what cannot be read: {type(err).__name__}") from err
        return items


def worklist_identifier(question: WorklistQuestion) -> Dataset:
    """Identifier of a worklist query: the keys of the question, and as return keys all that a style sheet may use."""
    identifier, step = Dataset(), Dataset()
    for tag in _RETURN_KEYS:
        identifier.add(_universal(tag))
    for tag in _SCHEDULED_STEP_RETURN_KEYS:
        step.add(_universal(tag))
    for tag, value in question.keys:
        target = step if tag in _SCHEDULED_STEP_RETURN_KEYS else identifier
        target.add(DataElement(tag, dictionary_VR(tag), value))
    identifier.add(DataElement(_SCHEDULED_PROCEDURE_STEP_SEQUENCE, "SQ", [step]))
    if not all(value.isascii() for _, value in question.keys):
        identifier.SpecificCharacterSet = UTF_8
    return identifier


def _universal(tag: int) -> DataElement:
    """A universal key: empty, or a sequence with one empty item (PS3.4 C.2.2.2.3, C.2.2.2.6)."""
    vr = dictionary_VR(tag)
    return DataElement(tag, vr, [Dataset()] if vr == "SQ" else None)


def _responses(
    assoc: RequestedAssociation, identifier: Dataset, remaining: Callable[[], float | None]
) -> Iterator[Dataset]:
    """The worklist items, up to a limit. Raises AssociationFailed."""
    for number, item in enumerate(find_responses(assoc, MODALITY_WORKLIST_FIND, identifier, remaining)):
        if number == WORKLIST_ITEMS:
            raise AssociationFailed(f"it answers with more than {WORKLIST_ITEMS} worklist items")
        yield item


def _make_readable(item: Dataset, default_character_set: str | None) -> None:
    """Decode everything now, as several threads may read the item afterwards."""
    declare_default(item, default_character_set)
    decode_text(item)
    for _ in item.iterall():
        pass
    if (attribute := undecodable(item)) is not None:
        raise UnencodableText(f"{attribute} is in another character set than it declares")
