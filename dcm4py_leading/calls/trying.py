"""Trials of rules."""

from __future__ import annotations

import base64
from dataclasses import asdict, replace

from dcm4py_leading.calls.call import Call, Caller, Form, Here, Json
from dcm4py_leading.composition.check import check
from dcm4py_leading.config.sources.recorded import Replay
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.service.explain import basis_of
from dcm4py_leading.service.trying.trial import AnswerSource, Trial, TrialResult, try_rules

_SECONDS = 60.0


def _try(here: Here, trial: Trial) -> TrialResult:
    basis = basis_of(here.runtime, is_asking=trial.leading is AnswerSource.ASK)
    if trial.configuration is not None:
        # It is read again where it is tried: compiled rules do not pass between processes.
        checked = check(replace(here.site, source=Replay(trial.configuration, here.site.source.describe())))
        basis = replace(basis, device=checked.snapshot.device, rules=checked.rules)
    return try_rules(here.runtime, trial, basis)


def _trial_to_json(trial: Trial) -> Json:
    return {
        "message": dict(trial.message),
        "study": trial.study_instance_uid,
        "instance": trial.sop_instance_uid,
        "dataSet": base64.b64encode(trial.data_set).decode("ascii"),
        "leading": trial.leading.value,
        "answer": trial.answer,
        "configuration": None if trial.configuration is None else trial.configuration.to_json(),
    }


def _trial_from_json(value: Json) -> Trial:
    configuration = value["configuration"]
    return Trial(
        message=value["message"],
        study_instance_uid=value["study"],
        sop_instance_uid=value["instance"],
        data_set=base64.b64decode(value["dataSet"]),
        leading=AnswerSource(value["leading"]),
        answer=value["answer"],
        configuration=None if configuration is None else Recording.from_json(configuration),
    )


def _tried_from_json(value: Json) -> TrialResult:
    return TrialResult(**{**value, "unchanged": tuple(value["unchanged"])})


TRY: Call[Trial, TrialResult] = Call(
    name="try",
    do=_try,
    question=Form(to_json=_trial_to_json, from_json=_trial_from_json),
    answer=Form(to_json=asdict, from_json=_tried_from_json),
    seconds=_SECONDS,
)


class Trials(Caller):
    """Trials (see `web.pages.trying.page.TrialService`)."""

    def try_rules(self, trial: Trial) -> TrialResult:
        """Try rules on an object."""
        return self.call(TRY, trial)
