"""Questions and answers of the calls come out of JSON as they went in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dcm4py_leading.calls import echoing, explaining, picturing, sending
from dcm4py_leading.calls.call import Call
from dcm4py_leading.calls.deleting import DELETE
from dcm4py_leading.calls.echoing import ECHO
from dcm4py_leading.calls.editing import AMEND, EDIT, EDIT_FIELDS, LED_AFTER
from dcm4py_leading.calls.explaining import EXPLAIN
from dcm4py_leading.calls.picturing import PICTURE
from dcm4py_leading.calls.sending import CANCEL_SENDING, CHECK_EXPORT, EXPORT, REACHED, SEND
from dcm4py_leading.calls.studies import FIND_STUDIES, INSTANCES, SERIES, STUDIES_AES
from dcm4py_leading.calls.studies import STUDY as ONE_STUDY
from dcm4py_leading.calls.table import CALLS
from dcm4py_leading.calls.three_values import THREE_VALUES
from dcm4py_leading.calls.trying import TRY
from dcm4py_leading.coercion.explain import RenderedExplanation
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.deleting.delete import Deletion
from dcm4py_leading.service.editing.amend import Amendment, EditField, Fixed
from dcm4py_leading.service.editing.edit import Edit
from dcm4py_leading.service.monitor.echo import EchoOutcome, EchoResult
from dcm4py_leading.service.picture.picture import Picture
from dcm4py_leading.service.sending.export import Export, ExportOutcome
from dcm4py_leading.service.sending.running_exports import SendProgress
from dcm4py_leading.service.studies.aes import StudiesAE
from dcm4py_leading.service.studies.found import FoundInstance, FoundSeries, FoundStudy, StudyPage, StudySearch
from dcm4py_leading.service.studies.receivers import LeadingReceivers
from dcm4py_leading.service.studies.three_values import (
    AttributeValues,
    ConsideredRule,
    LeadingArchive,
    ThreeValues,
    ValueSource,
)
from dcm4py_leading.service.trying.trial import AnswerSource, Trial, TrialResult

STUDY = "1.2.826.0.1.3680043.2.1143.1"
AMENDMENT = Amendment(
    ae_title="DCM4CHEE",
    study_instance_uid=STUDY,
    level=Level.PATIENT,
    shown={0x00100010: ("Old^Name",), 0x00101001: ()},
    wanted={0x00100010: ("New^Name",), 0x00101001: ("Birth^Name",)},
    author="anna",
)
WANTED = Export(
    ae_title="DCM4CHEE",
    destination="STORESCP",
    study_instance_uid=STUDY,
    series_instance_uid=f"{STUDY}.1",
    sop_instance_uids=(f"{STUDY}.1.1",),
    author="anna",
)
SENT = ExportOutcome(
    completed=3,
    warning=1,
    failed=2,
    error="refused",
    not_sent=4,
    failures=("CT 1: refused",),
    failed_sop_instance_uids=(f"{STUDY}.1.1",),
)
ATTRIBUTES = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}
FOUND = FoundStudy(study_instance_uid=STUDY, at="PACS", attributes=ATTRIBUTES, edited=("00100010", "00081030"))
SAMPLES: list[tuple[Call[Any, Any], list[Any], list[Any]]] = [
    (DELETE, [Deletion(ae_title="DCM4CHEE", study_instance_uid=STUDY, author="anna")], [None]),
    (
        ECHO,
        [
            echoing.EchoRequest(ae_title="DCM4CHEE", remote_ae_title="QRSCP", address=None),
            echoing.EchoRequest(ae_title="DCM4CHEE", remote_ae_title="QRSCP", address=("pacs.example", 104)),
        ],
        [
            EchoOutcome(result=result, connection_ms=3, echo_ms=2, release_ms=1, error=error)
            for result in EchoResult
            for error in (None, "no")
        ],
    ),
    (
        EDIT,
        [
            Edit(
                ae_title="DCM4CHEE",
                level=Level.STUDY,
                identifier=STUDY,
                attributes={"00081030": {"vr": "LO", "Value": ["Knee"]}},
                reason="COERCE",
                source_of_previous_values="RIS",
                author="anna",
            )
        ],
        [None],
    ),
    (
        EDIT_FIELDS,
        [{"aet": "DCM4CHEE", "study": STUDY, "level": "STUDY"}],
        [
            tuple(
                EditField(
                    tag=0x00081030,
                    keyword="StudyDescription",
                    vr="LO",
                    lines=("Knee",),
                    is_multiple=False,
                    fixed=fixed,
                    shown="Knee",
                )
                for fixed in (None, *Fixed)
            )
        ],
    ),
    (AMEND, [AMENDMENT], [None]),
    (
        LED_AFTER,
        [{"amendment": AMENDMENT.to_json(), "receivers": ["STORESCP"]}],
        [(LeadingReceivers(rule="Leading", leading_cfind_scp="QRSCP", receivers=("STORESCP", "VIEWER")),)],
    ),
    (
        THREE_VALUES,
        [{"aet": "DCM4CHEE", "study": STUDY, "receiver": "", "receivers": ["STORESCP"]}],
        [
            ThreeValues(
                ae_title="DCM4CHEE",
                receiver="STORESCP",
                is_stored_here=True,
                patient_name="Old^Name",
                leading=(
                    LeadingArchive(
                        ae_title="QRSCP",
                        outcome="miss",
                        failure="",
                        is_known=True,
                        rule="Leading",
                        is_applied=True,
                    ),
                ),
                attributes=tuple(
                    AttributeValues(
                        tag=0x00100010,
                        keyword="PatientName",
                        level="PATIENT",
                        archived="Old^Name",
                        leading=("Right^Name",),
                        is_stale=(True,),
                        delivered=None,
                        decider=decider,
                    )
                    for decider in ValueSource
                ),
                rules=(ConsideredRule(cn="Leading", decided_by="", found=""),),
                led=(LeadingReceivers(rule="Leading", leading_cfind_scp="QRSCP", receivers=("STORESCP",)),),
                failure="",
                notes=("said",),
            )
        ],
    ),
    (
        EXPLAIN,
        [explaining.ExplainRequest(study_instance_uid=STUDY, parameters={"to": "STORESCP"}, is_asking=True)],
        [RenderedExplanation(as_json={"steps": []}, as_text="no step", has_failed=True)],
    ),
    (
        EXPORT,
        [WANTED],
        [ExportOutcome(), SENT],
    ),
    (CHECK_EXPORT, [WANTED], [None]),
    (SEND, [sending.SendRequest(sending_id="x1", wanted=WANTED)], [SENT]),
    (REACHED, ["x1"], [None, SendProgress(), SendProgress(done=2, of=9, failed=1, failures=("CT 1: refused",))]),
    (CANCEL_SENDING, ["x1"], [True, False]),
    (
        FIND_STUDIES,
        [StudySearch(ae_title="DCM4CHEE", keys={"PatientName": "DOE*"}, most=50, after="20240101.7")],
        [StudyPage(studies=()), StudyPage(studies=(FOUND, FOUND), next="20240101.7", is_cut=True)],
    ),
    (
        STUDIES_AES,
        [None],
        [
            [
                StudiesAE(
                    ae_title="DCM4CHEE",
                    description="Archive",
                    archives=("PACS",),
                    may_delete=True,
                    accepted_user_roles=("cardiology",),
                )
            ]
        ],
    ),
    (
        PICTURE,
        [picturing.PictureRequest("DCM4CHEE", STUDY)],
        [Picture(png="iVBORw0KGgo="), Picture(why_not="there is no codec")],
    ),
    (ONE_STUDY, [{"ae_title": "DCM4CHEE", "study_instance_uid": STUDY}], [None, FOUND]),
    (
        SERIES,
        [{"ae_title": "DCM4CHEE", "study_instance_uid": STUDY}],
        [[FoundSeries(series_instance_uid=f"{STUDY}.1", attributes=ATTRIBUTES)]],
    ),
    (
        INSTANCES,
        [{"ae_title": "DCM4CHEE", "study_instance_uid": STUDY, "series_instance_uid": f"{STUDY}.1"}],
        [[FoundInstance(sop_instance_uid=f"{STUDY}.1.1", attributes=ATTRIBUTES)]],
    ),
    (
        TRY,
        [
            Trial(message={"to": "STORESCP"}, study_instance_uid=STUDY, sop_instance_uid=f"{STUDY}.1"),
            Trial(
                message={"to": "STORESCP"},
                data_set=b"\x08\x00",
                leading=AnswerSource.ASSUME,
                answer={"00100020": {"vr": "LO", "Value": ["1"]}},
                configuration=Recording(devices={"dcm4chee-arc": (Entry.of("cn=a", {"cn": ["a"]}),)}),
            ),
        ],
        [
            TrialResult(explanation={"rules": []}, has_failed=True),
            TrialResult(
                explanation={"rules": []}, has_failed=False, unchanged=({"path": "PatientID", "tag": "00100020"},)
            ),
        ],
    ),
]
"""For each call, questions and answers."""


def test_every_call_is_tried() -> None:
    assert {call.name for call, _, _ in SAMPLES} == set(CALLS)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        pytest.param(form, value, id=f"{call.name}-{part}")
        for call, questions, answers in SAMPLES
        for part, form, values in (("question", call.question, questions), ("answer", call.answer, answers))
        for value in values
    ],
)
def test_a_value_stays_the_same(form: Any, value: Any) -> None:
    assert form.from_json(json.loads(json.dumps(form.to_json(value)))) == value
