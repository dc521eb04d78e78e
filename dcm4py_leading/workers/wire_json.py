"""JSON forms of values that pass between supervisor and worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCacheCounts
from dcm4py_leading.config.report.problem_json import problem_json
from dcm4py_leading.config.sources.directory_state import DirectoryState
from dcm4py_leading.errors import (
    ClientGone,
    ConfigError,
    ConfigInvalid,
    ConfigUnavailable,
    DocumentFault,
    DocumentInvalid,
    EditRefused,
    IdentifierMismatch,
    NoRelationalQueries,
    Problem,
    Refusal,
    Severity,
    StatusError,
    TooManyMatches,
)
from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.contacts import Contact, ContactCounts, Line
from dcm4py_leading.leading.lookup import CachedAnswer
from dcm4py_leading.leading.outcome import Latency, LookupCounts, LookupOutcome
from dcm4py_leading.log import trace
from dcm4py_leading.model.values import UID, AETitle
from dcm4py_leading.service.explain import StudyNotStored, WrongQuestion
from dcm4py_leading.service.monitor.echo import AENotForUser, UnknownAE
from dcm4py_leading.service.monitor.measured import Measured
from dcm4py_leading.workers.control import Json, RequestRefused, WorkerSilent

_TOLD = {
    kind.__name__: kind
    for kind in (
        WrongQuestion,
        StudyNotStored,
        AENotForUser,  # before the class that it is of
        UnknownAE,
        ClientGone,
        ConfigUnavailable,
        IdentifierMismatch,
        NoRelationalQueries,
        TooManyMatches,
    )
}


def measured_to_json(measured: Measured) -> Json:
    """JSON of the counts of a worker."""
    lookups = measured.lookups
    return {
        "outcomes": _outcomes_to_json(lookups.outcomes),
        "latency": {scp: [latency.buckets, latency.total_seconds] for scp, latency in lookups.latency.items()},
        "oneByOne": sorted(lookups.one_by_one),
        "breakers": [[*aes, state.value] for aes, state in lookups.breakers.items()],
        "cacheSize": lookups.cache_size,
        "underWay": dict(lookups.under_way),
        "waiting": dict(lookups.waiting),
        "keyLookups": _outcomes_to_json(measured.key_lookups),
        "coercions": [[*key, count] for key, count in measured.coercions.items()],
        "requests": [[*key, count] for key, count in measured.requests.items()],
        "objects": [[*key, count] for key, count in measured.objects.items()],
        "contacts": _contacts_to_json(measured.contacts),
        "transcodedObjects": measured.transcoded_objects,
        "openAssociations": measured.open_associations,
        "fingerprint": measured.fingerprint,
        "loadedAt": measured.loaded_at.isoformat(),
        "directory": None if measured.directory is None else measured.directory.to_json(),
        "kept": None if measured.kept is None else asdict(measured.kept),
    }


def measured_from_json(value: Json) -> Measured:
    """Parse the JSON of `measured_to_json`."""
    return Measured(
        lookups=LookupCounts(
            outcomes=_outcomes_from_json(value["outcomes"]),
            latency={
                AETitle(scp): Latency(buckets=tuple(buckets), total_seconds=total)
                for scp, (buckets, total) in value["latency"].items()
            },
            one_by_one=frozenset(map(AETitle, value["oneByOne"])),
            breakers={
                (AETitle(local), AETitle(leading)): BreakerState(state) for local, leading, state in value["breakers"]
            },
            cache_size=value["cacheSize"],
            under_way={AETitle(scp): count for scp, count in value["underWay"].items()},
            waiting={AETitle(scp): count for scp, count in value["waiting"].items()},
        ),
        key_lookups=_outcomes_from_json(value["keyLookups"]),
        coercions={(rule, step, outcome): count for rule, step, outcome, count in value["coercions"]},
        requests={(service, ae, status): count for service, ae, status, count in value["requests"]},
        objects={(ae, outcome): count for ae, outcome, count in value["objects"]},
        contacts=_contacts_from_json(value["contacts"]),
        transcoded_objects=value["transcodedObjects"],
        open_associations=value["openAssociations"],
        fingerprint=value["fingerprint"],
        loaded_at=datetime.fromisoformat(value["loadedAt"]),
        is_last_reload_good=True,
        directory=None if value["directory"] is None else DirectoryState.from_json(value["directory"]),
        kept=None if value["kept"] is None else ProxyCacheCounts(**value["kept"]),
    )


def studies_to_json(studies: Sequence[CachedAnswer]) -> Json:
    """JSON of the studies in a leading cache."""
    return [
        [study.leading_cfind_scp, study.study_instance_uid, study.age.total_seconds(), study.is_found]
        for study in studies
    ]


def studies_from_json(value: Json) -> list[CachedAnswer]:
    """Parse the JSON of `studies_to_json`."""
    return [
        CachedAnswer(
            leading_cfind_scp=AETitle(scp), study_instance_uid=UID(uid), age=timedelta(seconds=age), is_found=found
        )
        for scp, uid, age, found in value
    ]


def error_to_json(err: Exception) -> Json:
    """JSON of an error in a worker. Of an unexpected error only type and place, as its text may have values."""
    if isinstance(err, ConfigInvalid):
        return {"type": "ConfigInvalid", "message": str(err), "problems": [problem_json(p) for p in err.problems]}
    if isinstance(err, EditRefused):
        return {"type": "EditRefused", "message": str(err), "refusal": err.refusal.value}
    if isinstance(err, DocumentInvalid):
        return {"type": "DocumentInvalid", "message": str(err), "faults": [[f.path, f.reason] for f in err.faults]}
    if isinstance(err, StatusError | ConfigError | WrongQuestion | StudyNotStored | UnknownAE):
        known = [name for name, kind in _TOLD.items() if isinstance(err, kind)]
        return {"type": known[0] if known else "StatusError", "message": str(err)}
    return {"type": "bug", "message": trace(err)}


def error_from_json(err: RequestRefused) -> Exception:
    """The exception of the JSON of `error_to_json`."""
    message, kind = str(err), err.error["type"]
    if kind == "ConfigInvalid":
        return ConfigInvalid([_problem(problem) for problem in err.error["problems"]])
    if kind == "EditRefused":
        return EditRefused(Refusal(err.error["refusal"]), message)
    if kind == "DocumentInvalid":
        return DocumentInvalid([DocumentFault(path, reason) for path, reason in err.error["faults"]])
    if kind == "StatusError":
        return StatusError(message)
    return _TOLD.get(kind, WorkerSilent)(message)


def _problem(value: Mapping[str, Json]) -> Problem:
    return Problem(**{**value, "severity": Severity(value["severity"])})


def _contacts_to_json(counts: ContactCounts) -> Json:
    return {
        "contacts": [
            [
                line.part,
                line.local_ae_title,
                line.ae_title,
                _moment(contact.last_answer),
                _moment(contact.last_failure),
                contact.failure,
            ]
            for line, contact in counts.contacts.items()
        ],
        "asked": [[*key, count] for key, count in counts.asked.items()],
    }


def _contacts_from_json(value: Json) -> ContactCounts:
    return ContactCounts(
        contacts={
            Line(part, local, title): Contact(
                last_answer=_parsed(answered), last_failure=_parsed(failed), failure=failure
            )
            for part, local, title, answered, failed, failure in value["contacts"]
        },
        asked={(local, title, service, outcome): count for local, title, service, outcome, count in value["asked"]},
    )


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _parsed(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _outcomes_to_json(outcomes: Mapping[AETitle, Mapping[LookupOutcome, int]]) -> Json:
    return {scp: {outcome.value: count for outcome, count in counts.items()} for scp, counts in outcomes.items()}


def _outcomes_from_json(value: Json) -> dict[AETitle, dict[LookupOutcome, int]]:
    return {
        AETitle(scp): {LookupOutcome(name): count for name, count in counts.items()} for scp, counts in value.items()
    }
