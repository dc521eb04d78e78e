"""Explanations of what the rules do to a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcm4py_leading.calls.call import Call, Caller, Form, Here, Json
from dcm4py_leading.service.explain import parse_wanted
from dcm4py_leading.service.trying.subject import explain_study
from dcm4py_leading.web.rest.own.explain import Told

_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A study, and the message that it would be delivered by."""

    study_instance_uid: str
    parameters: Mapping[str, str]
    is_asking: bool


def _explain(here: Here, asked: Asked) -> Told:
    wanted = parse_wanted(asked.parameters)
    return Told.of(explain_study(here.runtime, asked.study_instance_uid, wanted, is_asking=asked.is_asking))


def _asked_to_json(asked: Asked) -> Json:
    return {"study": asked.study_instance_uid, "parameters": dict(asked.parameters), "isAsking": asked.is_asking}


def _asked_from_json(value: Json) -> Asked:
    return Asked(study_instance_uid=value["study"], parameters=value["parameters"], is_asking=value["isAsking"])


def _told_to_json(told: Told) -> Json:
    return {"json": told.as_json, "text": told.as_text, "hasFailed": told.has_failed}


def _told_from_json(value: Json) -> Told:
    return Told(as_json=value["json"], as_text=value["text"], has_failed=value["hasFailed"])


EXPLAIN: Call[Asked, Told] = Call(
    name="explain",
    do=_explain,
    question=Form(to_json=_asked_to_json, from_json=_asked_from_json),
    answer=Form(to_json=_told_to_json, from_json=_told_from_json),
    seconds=_SECONDS,
)


class Explanations(Caller):
    """Explanations (see `web.own.explain.Explainer`)."""

    def explain(self, study_instance_uid: str, parameters: Mapping[str, str], *, is_asking: bool) -> Told:
        """Explain a coercion."""
        return self.call(
            EXPLAIN, Asked(study_instance_uid=study_instance_uid, parameters=parameters, is_asking=is_asking)
        )
