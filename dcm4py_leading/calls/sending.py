"""Sending of stored objects."""

from __future__ import annotations

from dcm4py_leading.calls.call import Call, Caller, Form, Here
from dcm4py_leading.dicom.scu_export import export
from dcm4py_leading.model.bounds import EXPORT_SECONDS
from dcm4py_leading.service.sending.export import Export, ExportOutcome, to_json

_GRACE_SECONDS = 60.0


def _export(here: Here, wanted: Export) -> ExportOutcome:
    return export(here.runtime, wanted)


EXPORT: Call[Export, ExportOutcome] = Call(
    name="export",
    do=_export,
    question=Form(to_json=to_json, from_json=lambda value: Export(**value)),
    answer=Form(to_json=to_json, from_json=lambda value: ExportOutcome(**value)),
    seconds=EXPORT_SECONDS + _GRACE_SECONDS,
)


class Exports(Caller):
    """Exports (see `web.rest.archive.export.Exporting`)."""

    def export(self, wanted: Export) -> ExportOutcome:
        """Send stored objects."""
        return self.call(EXPORT, wanted)
