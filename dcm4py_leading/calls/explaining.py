"""Explanations of what the rules do to a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcm4py_leading.calls.call import Call, Caller, Form, Here, Json
from dcm4py_leading.coercion.explain import RenderedExplanation
from dcm4py_leading.service.explain import parse_message
from dcm4py_leading.service.trying.subject import explain_study

_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest:
    """A study, and the message to explain."""

    study_instance_uid: str
    parameters: Mapping[str, str]
    is_asking: bool


def _explain(here: Here, request: ExplainRequest) -> RenderedExplanation:
    wanted = parse_message(request.parameters)
    return RenderedExplanation.of(
        explain_study(here.runtime, request.study_instance_uid, wanted, is_asking=request.is_asking)
    )


def _request_to_json(request: ExplainRequest) -> Json:
    return {"study": request.study_instance_uid, "parameters": dict(request.parameters), "isAsking": request.is_asking}


def _request_from_json(value: Json) -> ExplainRequest:
    return ExplainRequest(
        study_instance_uid=value["study"], parameters=value["parameters"], is_asking=value["isAsking"]
    )


def _told_to_json(told: RenderedExplanation) -> Json:
    return {"json": told.as_json, "text": told.as_text, "hasFailed": told.has_failed}


def _told_from_json(value: Json) -> RenderedExplanation:
    return RenderedExplanation(as_json=value["json"], as_text=value["text"], has_failed=value["hasFailed"])


EXPLAIN: Call[ExplainRequest, RenderedExplanation] = Call(
    name="explain",
    do=_explain,
    question=Form(to_json=_request_to_json, from_json=_request_from_json),
    answer=Form(to_json=_told_to_json, from_json=_told_from_json),
    seconds=_SECONDS,
)


class Explanations(Caller):
    """Explanations (see `web.own.explain.Explainer`)."""

    def explain(
        self, study_instance_uid: str, parameters: Mapping[str, str], *, is_asking: bool
    ) -> RenderedExplanation:
        """Explain a coercion."""
        return self.call(
            EXPLAIN, ExplainRequest(study_instance_uid=study_instance_uid, parameters=parameters, is_asking=is_asking)
        )
