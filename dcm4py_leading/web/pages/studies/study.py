"""Page of one study: its attributes in the archive, its series, and the instances of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from pydicom.uid import UID
from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.log import ref
from dcm4py_leading.model.bounds import SHOWN_INSTANCES
from dcm4py_leading.service.studies.aes import StudiesAE
from dcm4py_leading.service.studies.found import FoundInstance, FoundSeries, FoundStudy
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.gate.use_log import Use
from dcm4py_leading.web.pages.places import NoSuchPage, study_address
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.studies.values import attributes_shown, date_shown, time_shown


class StudyReader(Protocol):
    """The service, as the page of a study uses it. Called from a worker thread. Raises UnknownAE, StatusError."""

    def studies_aes(self) -> Sequence[StudiesAE]:
        """AEs of ours whose studies can be viewed."""
        ...

    def study(self, ae_title: str, study_instance_uid: str) -> FoundStudy | None:
        """One study; None where there is none."""
        ...

    def series(self, ae_title: str, study_instance_uid: str) -> list[FoundSeries]:
        """The series of a study."""
        ...

    def instances(self, ae_title: str, study_instance_uid: str, series_instance_uid: str) -> list[FoundInstance]:
        """The instances of a series."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRow:
    """One series of the study."""

    address: str
    number: str
    modality: str
    description: str
    body_part: str
    instances: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """One instance of a series."""

    number: str
    kind: str
    """SOP class by its name (PS3.6 Annex A)."""
    frames: str
    content: str
    uid: str


class StudyPages:
    """Handlers; each runs in a worker thread."""

    def __init__(self, service: StudyReader) -> None:
        self._service = service

    def show(self, request: Request) -> Response:
        """The study. Raises NoSuchPage."""
        ae = self.ae(request)
        study = self.study(request)
        use = Use(request, "study", ae.ae_title)
        address = study_address(ae.ae_title, study.study_instance_uid)
        patient, others = attributes_shown(study.attributes, study.edited)
        series = self._service.series(ae.ae_title, study.study_instance_uid)
        context = {
            "ae": ae,
            "study": study,
            "address": address,
            "patient": patient,
            "others": others,
            "series": [_series_row(address, one) for one in series],
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
        }
        use.tell(200, study=ref(study.study_instance_uid), series=len(series))
        return render(request, "study.html", context)

    def series(self, request: Request) -> Response:
        """The instances of one series. Raises NoSuchPage."""
        ae, series_uid = self.ae(request), request.path_params["series_uid"]
        study_uid = request.path_params["study_uid"]
        use = Use(request, "series", ae.ae_title)
        found = self._service.instances(ae.ae_title, study_uid, series_uid)
        if not found:
            raise NoSuchPage(f"series {series_uid}")
        context = {
            "address": study_address(ae.ae_title, study_uid),
            "series_uid": series_uid,
            "may_change": request.state.identity.may(Role.ADMINISTRATOR),
            "rows": [_instance_row(one) for one in found],
            "is_cut": len(found) >= SHOWN_INSTANCES,
        }
        use.tell(200, study=ref(study_uid), instances=len(found))
        return render(request, "series.html", context)

    def ae(self, request: Request) -> StudiesAE:
        """The AE of the address. Raises NoSuchPage."""
        title = request.path_params["aet"]
        for ae in self._service.studies_aes():
            if ae.ae_title == title:
                return ae
        raise NoSuchPage(f"AE {title}")

    def study(self, request: Request) -> FoundStudy:
        """The study of the address. Raises NoSuchPage."""
        title, uid = request.path_params["aet"], request.path_params["study_uid"]
        study = self._service.study(title, uid)
        if study is None:
            raise NoSuchPage(f"{title}: study {uid}")
        return study


def _series_row(address: str, series: FoundSeries) -> SeriesRow:
    return SeriesRow(
        address=f"{address}/series/{quote(series.series_instance_uid, safe='')}",
        number=series.text("SeriesNumber"),
        modality=series.text("Modality"),
        description=series.text("SeriesDescription"),
        body_part=series.text("BodyPartExamined"),
        instances=series.text("NumberOfSeriesRelatedInstances"),
    )


def _instance_row(instance: FoundInstance) -> InstanceRow:
    content = (date_shown(instance.text("ContentDate")), time_shown(instance.text("ContentTime")))
    return InstanceRow(
        number=instance.text("InstanceNumber"),
        kind=UID(instance.text("SOPClassUID")).name,
        frames=instance.text("NumberOfFrames"),
        content=" ".join(filter(None, content)),
        uid=instance.sop_instance_uid,
    )
