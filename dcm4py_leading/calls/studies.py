"""Search for studies, and the view of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dcm4py_leading.calls.call import Call, Caller, Form, Here, Json, as_it_is
from dcm4py_leading.service.studies import search
from dcm4py_leading.service.studies.aes import StudiesAE, studies_aes
from dcm4py_leading.service.studies.found import (
    FoundInstance,
    FoundSeries,
    FoundStudy,
    StudyPage,
    StudySearch,
    study_from_json,
)

_SECONDS = 60.0
_Uids = Mapping[str, Any]
"""Arguments of the method that puts the call, which are texts."""


def _optional_study_to_json(study: FoundStudy | None) -> Json:
    return None if study is None else asdict(study)


def _optional_study_from_json(value: Json) -> FoundStudy | None:
    return None if value is None else study_from_json(value)


def _find(here: Here, wanted: StudySearch) -> StudyPage:
    return search.find_studies(here.runtime, wanted)


def _study(here: Here, uids: _Uids) -> FoundStudy | None:
    return search.study(here.runtime, **uids)


def _series(here: Here, uids: _Uids) -> list[FoundSeries]:
    return search.series(here.runtime, **uids)


def _instances(here: Here, uids: _Uids) -> list[FoundInstance]:
    return search.instances(here.runtime, **uids)


def _aes(here: Here, _: None) -> list[StudiesAE]:
    return studies_aes(here.runtime)


STUDIES_AES: Call[None, list[StudiesAE]] = Call(
    name="studies AEs",
    do=_aes,
    question=as_it_is(),
    answer=Form(
        to_json=lambda found: [one.to_json() for one in found],
        from_json=lambda value: [StudiesAE.from_json(one) for one in value],
    ),
    seconds=_SECONDS,
)
FIND_STUDIES: Call[StudySearch, StudyPage] = Call(
    name="find studies",
    do=_find,
    question=Form(to_json=asdict, from_json=lambda value: StudySearch(**value)),
    answer=Form(to_json=StudyPage.to_json, from_json=StudyPage.from_json),
    seconds=_SECONDS,
)
STUDY: Call[_Uids, FoundStudy | None] = Call(
    name="study",
    do=_study,
    question=as_it_is(),
    answer=Form(to_json=_optional_study_to_json, from_json=_optional_study_from_json),
    seconds=_SECONDS,
)
SERIES: Call[_Uids, list[FoundSeries]] = Call(
    name="series",
    do=_series,
    question=as_it_is(),
    answer=Form(
        to_json=lambda found: [asdict(one) for one in found],
        from_json=lambda value: [FoundSeries(**one) for one in value],
    ),
    seconds=_SECONDS,
)
INSTANCES: Call[_Uids, list[FoundInstance]] = Call(
    name="instances",
    do=_instances,
    question=as_it_is(),
    answer=Form(
        to_json=lambda found: [asdict(one) for one in found],
        from_json=lambda value: [FoundInstance(**one) for one in value],
    ),
    seconds=_SECONDS,
)


class Studies(Caller):
    """Studies, their series and instances (see `web.pages.studies.routes.StudiesService`)."""

    def studies_aes(self) -> list[StudiesAE]:
        """AEs of ours whose studies can be viewed."""
        return self.call(STUDIES_AES, None)

    def find_studies(self, wanted: StudySearch) -> StudyPage:
        """Search for studies."""
        return self.call(FIND_STUDIES, wanted)

    def study(self, ae_title: str, study_instance_uid: str) -> FoundStudy | None:
        """One study; None where there is none."""
        return self.call(STUDY, {"ae_title": ae_title, "study_instance_uid": study_instance_uid})

    def series(self, ae_title: str, study_instance_uid: str) -> list[FoundSeries]:
        """The series of a study."""
        return self.call(SERIES, {"ae_title": ae_title, "study_instance_uid": study_instance_uid})

    def instances(self, ae_title: str, study_instance_uid: str, series_instance_uid: str) -> list[FoundInstance]:
        """The instances of a series."""
        uids = {"study_instance_uid": study_instance_uid, "series_instance_uid": series_instance_uid}
        return self.call(INSTANCES, {"ae_title": ae_title, **uids})
