"""Page ``/ui/try``: effect of the rules on an object, a rule under edit included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.config.writing.plan import Plan
from dcm4py_leading.errors import ConfigInvalid, DocumentInvalid, Problem, StatusError, WriteConflict, WriteRefused
from dcm4py_leading.model.bounds import OFFERED_STUDIES
from dcm4py_leading.service.explain import StudyNotStored, WrongQuestion
from dcm4py_leading.service.monitor.echo import UnknownAE
from dcm4py_leading.service.studies.found import FoundStudy, StudyPage, StudySearch
from dcm4py_leading.service.trying.dropped import data_set_of_file
from dcm4py_leading.service.trying.trial import AnswerSource, Trial, TrialResult
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.own.running import PendingReload
from dcm4py_leading.web.pages.changing.attempt import DirectoryEditing
from dcm4py_leading.web.pages.changing.form import Form, one_of
from dcm4py_leading.web.pages.entry.carried import Carried
from dcm4py_leading.web.pages.fields.field import label_of
from dcm4py_leading.web.pages.language import language_of
from dcm4py_leading.web.pages.places import Place, name_of, place_of
from dcm4py_leading.web.pages.render import render
from dcm4py_leading.web.pages.texts import translate
from dcm4py_leading.web.pages.titles import Titles
from dcm4py_leading.web.pages.trying.answer import parse_answer
from dcm4py_leading.web.pages.trying.messages import KINDS, kind_of, kind_of_rule, other_ae_of_rule
from dcm4py_leading.web.pages.trying.view import outcomes_of, titles_of_device

_REFUSED = HTTPStatus.UNPROCESSABLE_ENTITY
_IN_ADDRESS = frozenset({"study", "instance", "message", "other", "ours"})
"""Fields that an address may fill in: none of them tells a patient."""


class TrialService(Protocol):
    """The service, as the page uses it. Called from a worker thread."""

    def try_rules(self, trial: Trial) -> TrialResult:
        """Try rules. Raises WrongQuestion, StudyNotStored, DocumentInvalid, ConfigError, StatusError."""
        ...

    def find_studies(self, wanted: StudySearch) -> StudyPage:
        """Search for studies. Raises UnknownAE, StatusError."""
        ...

    def pending(self) -> PendingReload:
        """Outcome that a reload would have now."""
        ...


class ConfigurationPreview(DirectoryEditing, Protocol):
    """The directory as the page uses it."""

    def configuration_after(self, plan: Plan) -> Recording:
        """Entries that a reload would read, had the plan been carried out. Raises ConfigInvalid."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialForm:
    """A trial, as typed."""

    study: str = ""
    instance: str = ""
    message: str = KINDS[0].key
    other: str = ""
    other_host: str = ""
    ours: str = ""
    sop_class: str = ""
    leading: str = AnswerSource.ASK.value
    answer: str = ""

    @classmethod
    def of(cls, form: Form) -> TrialForm:
        """Trial that a form asks for; of the study that was picked from the list where none was typed."""
        typed = {name: one_of(form, name).strip() for name in cls.__dataclass_fields__}
        return cls(**{**typed, "study": typed["study"] or one_of(form, "picked")})


class _Failed(Exception):
    """The trial could not be made."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems


class TryPage:
    """Handlers; each runs in a worker thread."""

    def __init__(self, editor: ConfigurationPreview, service: TrialService, titles: Titles, own_device: str) -> None:
        self._editor = editor
        self._service = service
        self._titles = titles
        self._own_device = own_device

    def show(self, request: Request) -> Response:
        """The page, for a study if the address names one."""
        said = {name: (value,) for name, value in request.query_params.items() if name in _IN_ADDRESS}
        return self._page(request, TrialForm.of(said))

    def begin(self, request: Request, carried: Carried, rule: Entry) -> Response:
        """The page for a rule that was typed, with the message that it is about."""
        place = self._own()
        parents = [entry for entry in place.entries if entry.key == rule.key[1:] and entry.is_a("dicomNetworkAE")]
        asked = TrialForm(
            message=kind_of_rule(rule).key,
            other=other_ae_of_rule(rule),
            ours=next((title for ae in parents for title in ae.values("dicomAETitle")), ""),
        )
        return self._page(request, asked, carried=carried, rule=rule)

    def carry_out(self, request: Request, form: Form, file: bytes) -> Response:
        """Try the rules, and show the outcome."""
        asked, carried = TrialForm.of(form), Carried.out_of_hidden(form)
        rule: Entry | None = None
        tried: TrialResult | None = None
        failed: _Failed | None = None
        try:
            trial = self._trial(request, asked, file)
            if carried is not None:
                rule, configuration = self._with_rule(request, carried)
                trial = replace(trial, configuration=configuration)
            tried = self._service.try_rules(trial)
        except _Failed as err:
            failed = err
        except ConfigInvalid as err:
            failed = _Failed(translate(language_of(request), "try.not_valid"), err.problems)
        except (WrongQuestion, StudyNotStored, DocumentInvalid, UnknownAE, StatusError) as err:
            failed = _Failed(str(err))
        return self._page(request, asked, carried=carried, rule=rule, tried=tried, failed=failed)

    # Parts of a trial.

    def _trial(self, request: Request, asked: TrialForm, file: bytes) -> Trial:
        """The trial of the rules in force. Raises _Failed, WrongQuestion."""
        if not file and not asked.study:
            raise _Failed(translate(language_of(request), "try.no_object"))
        try:
            leading = AnswerSource(asked.leading or AnswerSource.ASK.value)
            answer = parse_answer(asked.answer) if leading is AnswerSource.ASSUME else None
        except ValueError as err:
            raise _Failed(f"{translate(language_of(request), 'try.answer')}: {err}") from err
        message = kind_of(asked.message).parameters(
            ours=asked.ours, other=asked.other, other_host=asked.other_host, sop_class=asked.sop_class
        )
        return Trial(
            message=message,
            study_instance_uid="" if file else asked.study,
            sop_instance_uid="" if file else asked.instance,
            data_set=data_set_of_file(file) if file else b"",
            leading=leading,
            answer=answer,
        )

    def _with_rule(self, request: Request, carried: Carried) -> tuple[Entry, Recording]:
        """The rule that was typed, and the configuration with it. Raises _Failed, ConfigError."""
        language = language_of(request)
        if not request.state.identity.may(Role.ADMINISTRATOR):
            raise _Failed(translate(language, "try.not_allowed"))
        if carried.device_name.casefold() != self._own_device.casefold():
            raise _Failed(translate(language, "try.other_device"))
        try:
            typed = carried.entry(request, self._editor)
        except ValueError as err:
            raise _Failed(translate(language, "fault.form_hint")) from err
        if typed.clashes:
            names = ", ".join(label_of(clash.attribute, language) for clash in typed.clashes)
            raise _Failed(f"{translate(language, 'try.clash')} {names}")
        if typed.errors:
            told = "; ".join(f"{label_of(name, language)}: {', '.join(why)}" for name, why in typed.errors.items())
            raise _Failed(told)
        try:
            plan = self._editor.plan(carried.device_name, typed.entries, base=typed.sheet.place.entries)
        except WriteConflict as err:
            raise _Failed(str(err)) from err
        except WriteRefused as err:
            raise _Failed(translate(language, "try.not_valid"), err.problems) from err
        if plan.errors:
            raise _Failed(translate(language, "try.not_valid"), plan.problems)
        return typed.entry, self._editor.configuration_after(plan)

    # Answers.

    def _own(self) -> Place:
        return place_of(self._own_device, self._editor.entries(self._own_device), "")

    def _page(
        self,
        request: Request,
        asked: TrialForm,
        *,
        carried: Carried | None = None,
        rule: Entry | None = None,
        tried: TrialResult | None = None,
        failed: _Failed | None = None,
    ) -> Response:
        place = self._own()
        ours = titles_of_device(place.entries, place.device)
        asked = replace(asked, ours=asked.ours or next(iter(ours), ""))
        context = {
            "asked": asked,
            "kinds": KINDS,
            "kind": kind_of(asked.message),
            "ours": ours,
            "suggested": {"ae-titles": self._titles.all()},
            "studies": self._offered(place, asked.ours),
            "carried": carried,
            "rule_name": "" if rule is None else name_of(rule),
            "is_behind_others": tried is not None and carried is not None and bool(self._service.pending().differences),
            "leading": [one.value for one in AnswerSource],
            "failed": failed,
            "outcomes": None if tried is None else outcomes_of(tried, place.device, rule),
        }
        return render(request, "try.html", context, status_code=_REFUSED if failed is not None else HTTPStatus.OK)

    def _offered(self, place: Place, ours: str) -> Sequence[FoundStudy]:
        """The newest studies. None of an AE in front of other archives, which would be asked for all that they have."""
        aes = [
            entry for entry in place.entries if entry.is_a("dicomNetworkAE") and ours in entry.values("dicomAETitle")
        ]
        if any(entry.values("dcmSpanningCFindSCP") for entry in (*aes, place.device)):
            return ()
        try:
            return self._service.find_studies(StudySearch(ae_title=ours, keys={}, most=OFFERED_STUDIES)).studies
        except (UnknownAE, StatusError):  # a trial tells
            return ()
