"""``dcm4py-leading explain``, of files and stored studies, with the leading archive asked, left alone or played."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydicom import Dataset
from starlette.applications import Starlette

from dcm4py_leading.__main__ import main
from dcm4py_leading.web.app import guarded_app
from dcm4py_leading.web.http.addresses import HttpAddress
from dcm4py_leading.web.http.rooms import Room
from dcm4py_leading.web.http.server import HttpServer
from dcm4py_leading.web.rest.operations import routes_of
from dcm4py_leading.web.rest.own.explain import explain_operation
from tests.fixtures.datasets import make_instance
from tests.fixtures.ports import free_port
from tests.fixtures.proxy import stand_in_front_of
from tests.fixtures.scripted import LeadingScp, knows
from tests.fixtures.scu import store
from tests.fixtures.service import AE, DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.1"
RETRIEVE = ("--dimse", "C_STORE_RQ", "--role", "SCP", "--receiving-ae", "STORESCP")
QUERY = ("--dimse", "C_FIND_RQ", "--role", "SCU", "--sending-ae", "WORKSTATION")


@pytest.fixture
def stale(tmp_path: Path) -> Path:
    """An object with stale values."""
    attributes = {
        "PatientID": "STALE-ID",
        "PatientName": "Stale^Name",
        "IssuerOfPatientID": "STALE-ISSUER",
        "OtherPatientIDsSequence": None,
    }
    return make_instance(tmp_path / "stale.dcm", study_uid=STUDY, attributes=attributes)


def _explaining(seed: Seed) -> Starlette:
    room = Room("test", threads=2, waiting=8)
    return guarded_app(routes_of([explain_operation(seed.start())], reading=room, changing=room))


def right(study_uid: str = STUDY) -> Dataset:
    """What the leading archive says of the study."""
    ds = Dataset()
    ds.StudyInstanceUID = study_uid
    ds.PatientName = "Right^Name"
    ds.PatientID = "RIGHT-ID"
    return ds


def written(ds: Dataset, path: Path) -> Path:
    """A data set without File Meta Information."""
    ds.save_as(path, implicit_vr=True, little_endian=True)
    return path


def explain(seed: Seed, *arguments: str | Path) -> Result:
    source = [item for name in ("tree", "changes") for item in ("--ldif", str(seed.directory / f"{name}.ldif"))]
    data_dir = seed.directory / "unused"
    result = CliRunner().invoke(main, ["explain", *source, "--data-dir", str(data_dir), *map(str, arguments)])
    assert not data_dir.exists()
    return result


def explained(seed: Seed, *arguments: str | Path, exit_code: int = 0) -> dict[str, Any]:
    result = explain(seed, *arguments, "--json")
    assert result.exit_code == exit_code, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def changes(told: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """Before and after by path; of a person name its first form."""

    def value(shown: Mapping[str, Any] | None) -> object:
        first = (shown or {}).get("Value", [None])[0]
        return first["Alphabetic"] if isinstance(first, dict) else first

    return {element["path"]: (value(element["before"]), value(element["after"])) for element in told["elements"]}


# The leading archive


@pytest.mark.ldap("dcmLeadingCFindSCP")
def test_the_leading_archive_is_asked_once_and_its_values_are_shown(
    seed: Seed, stale: Path, leading_scp: Callable[..., LeadingScp]
) -> None:
    seed.lead()
    leading = leading_scp(seed.leading_port, knows(right()))
    before = stale.read_bytes()
    told = explained(seed, *RETRIEVE, stale)
    assert len(leading.queries) == 1
    assert leading.callers == ["DCM4CHEE"]
    assert changes(told) == {
        "PatientName": ("Stale^Name", "Right^Name"),
        "PatientID": ("STALE-ID", "RIGHT-ID"),
        "IssuerOfPatientID": ("STALE-ISSUER", None),
    }
    (step,) = told["steps"]
    assert (step["step"], step["outcome"], step["asked"]) == ("leading-arc", "applied", "QRSCP")
    assert stale.read_bytes() == before


def test_rules_on_our_own_query_are_applied_to_the_question(
    seed: Seed, stale: Path, leading_scp: Callable[..., LeadingScp]
) -> None:
    seed.lead()
    text = "dcmMergeAttribute: StudyID=OURS"
    seed.change(rule("Own query", "dcmURI: merge-attrs:", text, dimse="C_FIND_RQ", role="SCP"))
    leading = leading_scp(seed.leading_port, knows(right()))
    explained(seed, *RETRIEVE, stale)
    assert [query.StudyID for query in leading.queries] == ["OURS"]


def test_leading_none_asks_nobody(seed: Seed, stale: Path, leading_scp: Callable[..., LeadingScp]) -> None:
    seed.lead()
    leading = leading_scp(seed.leading_port, knows(right()))
    told = explained(seed, *RETRIEVE, "--leading", "none", stale)
    assert [step["outcome"] for step in told["steps"]] == ["would ask QRSCP"]
    assert told["elements"] == []
    assert leading.queries == []
    assert "would ask QRSCP" in explain(seed, *RETRIEVE, "--leading", "none", stale).stdout


def test_a_file_supplies_the_answer(seed: Seed, stale: Path, tmp_path: Path) -> None:
    seed.lead()
    answer = written(right(), tmp_path / "answer.dcm")
    told = explained(seed, *RETRIEVE, "--leading", answer, stale)
    assert changes(told)["PatientName"] == ("Stale^Name", "Right^Name")
    text = explain(seed, *RETRIEVE, "--leading", answer, stale).stdout
    assert ["(0010,0010)", "PatientName", "Stale^Name", "->", "Right^Name"] in map(str.split, text.splitlines())


def test_only_return_keys_are_taken_from_the_file(seed: Seed, stale: Path, tmp_path: Path) -> None:
    seed.lead()
    seed.set(f"dcmAttributeSetID=*+dcmAttributeSetType=LEADING_CFIND_SCP,{DEVICE}", dcmTag=["00100010", "0020000D"])
    told = explained(seed, *RETRIEVE, "--leading", written(right(), tmp_path / "answer.dcm"), stale)
    assert set(changes(told)) == {"PatientName"}


def test_a_file_about_another_study_is_a_mismatch(seed: Seed, stale: Path, tmp_path: Path) -> None:
    seed.lead()
    answer = written(right("1.2.3"), tmp_path / "answer.dcm")
    told = explained(seed, *RETRIEVE, "--leading", answer, stale, exit_code=1)
    (step,) = told["steps"]
    assert step["outcome"] == "failed"
    assert "not asked for" in step["remark"]
    assert told["elements"] == []


def test_a_leading_archive_that_is_down_is_a_failed_step_and_exit_1(seed: Seed, stale: Path) -> None:
    seed.lead()
    told = explained(seed, *RETRIEVE, stale, exit_code=1)
    (step,) = told["steps"]
    assert step["outcome"] == "failed"
    assert "QRSCP" in step["remark"]
    assert told["failure"] is None


@pytest.mark.ldap("dcmCoercionOnFailure")
def test_a_rule_that_rethrows_fails_the_request(seed: Seed, stale: Path) -> None:
    seed.change(rule("strict", "dcmURI: leading-arc:QRSCP"))
    told = explained(seed, *RETRIEVE, stale, exit_code=1)
    assert "strict" in told["failure"]
    assert [rule["matched"] for rule in told["rules"]] == [True]


# Rules


def rule(cn: str, *lines: str, dimse: str = "C_STORE_RQ", role: str = "SCP") -> str:
    """A record that adds a version-2 rule to the device."""
    head = [f"dn: cn={cn},{DEVICE}", "changetype: add", "objectClass: dcmArchiveAttributeCoercion2", f"cn: {cn}"]
    return "\n".join([*head, f"dcmDIMSE: {dimse}", f"dicomTransferRole: {role}", *lines])


def merging(text: str, dimse: str) -> str:
    """A record that adds a rule with one dcmMergeAttribute, for what comes from an SCU."""
    return rule("Merging", "dcmURI: merge-attrs:", f"dcmMergeAttribute: {text}", dimse=dimse, role="SCU")


@pytest.mark.ldap("dcmProperty")
def test_the_condition_that_decided_is_told(seed: Seed, stale: Path) -> None:
    seed.lead()
    to_other = (*RETRIEVE[:4], "--receiving-ae", "WS3")
    (told,) = explained(seed, *to_other, stale)["rules"]
    assert (told["cn"], told["matched"]) == ("Leading DCMQRSCP", False)
    assert told["decidedBy"] == "dcmProperty=ReceivingApplicationEntityTitle=STORESCP"
    assert "not matched" in explain(seed, *to_other, stale).stdout


def test_a_legacy_rule_that_upstream_ignores_is_marked_and_compat_shows_it_ignored(seed: Seed, stale: Path) -> None:
    seed.lead()
    seed.change(rule("Hiding", "dcmURI: nullify-pixel-data:", "dcmCoercionParam: unused=x"))
    arguments = (*RETRIEVE, "--leading", "none", stale)
    told = {item["cn"]: item for item in explained(seed, *arguments)["rules"]}
    assert told["Leading DCMQRSCP"]["matched"]
    assert told["Leading DCMQRSCP"]["ignoredUpstreamBecauseOf"] == "Hiding"
    under_compat = explained(seed, *arguments, "--compat", "5.35")
    assert [item["matched"] for item in under_compat["rules"] if item["cn"] == "Leading DCMQRSCP"] == [False]
    assert [step["rule"] for step in under_compat["steps"]] == ["Hiding"]


def test_binary_values_show_their_length_only(seed: Seed, stale: Path) -> None:
    seed.change(rule("Headers only", "dcmURI: nullify-pixel-data:"))
    (element,) = explained(seed, *RETRIEVE, stale)["elements"]
    assert element["path"] == "PixelData"
    assert (element["before"]["length"], element["after"].get("Value")) == (32768, None)


def test_the_host_of_the_other_system_is_that_of_the_directory(seed: Seed, stale: Path) -> None:
    message = explained(seed, *RETRIEVE, "--leading", "none", stale)["message"]
    assert message["sending"]["aeTitle"] == "DCM4CHEE"
    assert message["receiving"]["host"] == message["sending"]["host"]
    given = explained(seed, *RETRIEVE, "--receiving-host", "viewer.example", stale)["message"]
    assert given["receiving"] == {"aeTitle": "STORESCP", "host": "viewer.example"}


# Other messages


def test_query_keys_without_file_meta_information(seed: Seed, tmp_path: Path) -> None:
    seed.change(merging("PatientID=NEW", dimse="C_FIND_RQ"))
    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    keys.PatientID = "OLD"
    told = explained(seed, *QUERY, written(keys, tmp_path / "keys.dcm"))
    assert changes(told) == {"PatientID": ("OLD", "NEW")}
    assert told["message"]["sopClass"] == "1.2.840.10008.5.1.4.1.2.2.1"
    assert told["message"]["receiving"]["aeTitle"] == "DCM4CHEE"
    keys.QueryRetrieveLevel = "PATIENT"
    told = explained(seed, *QUERY, written(keys, tmp_path / "patient keys.dcm"))
    assert told["message"]["sopClass"] == "1.2.840.10008.5.1.4.1.2.1.1"


def test_received_object_is_shown_with_original_attributes_sequence(seed: Seed, stale: Path) -> None:
    seed.change(merging("PatientName=New^Name", dimse="C_STORE_RQ"))
    told = explained(seed, "--dimse", "C_STORE_RQ", "--role", "SCU", "--sending-ae", "MODALITY1", stale)
    seen = changes(told)
    assert seen["PatientName"] == ("Stale^Name", "New^Name")
    original = "OriginalAttributesSequence[1]"
    assert seen[f"{original}.ModifiedAttributesSequence[1].PatientName"] == (None, "Stale^Name")
    assert seen[f"{original}.SourceOfPreviousValues"] == (None, "MODALITY1")


def test_unsupported_message_is_reported(seed: Seed, stale: Path) -> None:
    told = explained(seed, "--dimse", "N_CREATE_RQ", "--role", "SCU", stale)
    assert any("no such service" in note for note in told["notes"])


# Usage


def second_ae() -> str:
    """A record that adds a second AE to the device."""
    return f"""dn: dicomAETitle=SECOND,{DEVICE}
changetype: add
objectClass: dicomNetworkAE
objectClass: dcmNetworkAE
objectClass: dcmArchiveNetworkAE
dicomAETitle: SECOND
dicomAssociationInitiator: TRUE
dicomAssociationAcceptor: TRUE
dicomNetworkConnectionReference: cn=dicom,{DEVICE}"""


def test_one_of_several_aes_has_to_be_named(seed: Seed, stale: Path) -> None:
    seed.change(second_ae())
    result = explain(seed, *RETRIEVE, stale)
    assert result.exit_code == 2
    assert "DCM4CHEE, SECOND" in result.stderr
    told = explained(seed, *RETRIEVE, "--sending-ae", "SECOND", stale)
    assert (told["aeTitle"], told["message"]["sending"]["aeTitle"]) == ("SECOND", "SECOND")
    unknown = explain(seed, *RETRIEVE, "--sending-ae", "NOBODY", stale)
    assert unknown.exit_code == 2


def test_the_rules_of_an_ae_are_looked_at_for_that_ae_only(seed: Seed, stale: Path) -> None:
    seed.change(second_ae(), rule("Own", "dcmURI: nullify-pixel-data:").replace(DEVICE, AE))
    assert [r["cn"] for r in explained(seed, *RETRIEVE, "--sending-ae", "DCM4CHEE", stale)["rules"]] == ["Own"]
    assert explained(seed, *RETRIEVE, "--sending-ae", "SECOND", stale)["rules"] == []


def test_the_only_ae_takes_the_place_of_an_unknown_one_with_a_remark(seed: Seed, stale: Path) -> None:
    told = explained(seed, *RETRIEVE, "--sending-ae", "NOBODY", stale)
    assert told["message"]["sending"]["aeTitle"] == "DCM4CHEE"
    assert "NOBODY" in told["notes"][0]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--study", STUDY),
        ("--study", STUDY, "--http", "http://127.0.0.1:1", "FILE"),
        ("--study", STUDY, "--http", "http://127.0.0.1:1", "--leading", "FILE"),
        ("--leading", "no-such-file", "FILE"),
        ("--sending-ae", "MORE THAN SIXTEEN CHARACTERS", "FILE"),
        ("--sop-class", "CT", "FILE"),
        ("no-such-file",),
    ],
)
def test_wrong_usage_is_exit_2(seed: Seed, stale: Path, arguments: tuple[str, ...]) -> None:
    given = [stale if argument == "FILE" else argument for argument in arguments]
    assert explain(seed, *RETRIEVE, *given).exit_code == 2


def test_a_senseless_message_is_exit_2(seed: Seed, stale: Path) -> None:
    result = explain(seed, "--dimse", "N_SET_RQ", "--role", "SCP", stale)
    assert result.exit_code == 2
    assert "N_SET_RQ" in result.stderr


def test_a_file_without_a_configuration_is_exit_2(stale: Path) -> None:
    assert CliRunner().invoke(main, ["explain", *RETRIEVE, str(stale)]).exit_code == 2


def test_a_file_that_is_not_dicom_is_exit_2(seed: Seed, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("this is no DICOM file at all\n" * 20)
    assert explain(seed, *RETRIEVE, text).exit_code == 2


def test_a_directory_that_cannot_be_reached_is_exit_3(stale: Path) -> None:
    url = f"ldap://127.0.0.1:{free_port()}/dc=dcm4che,dc=org"
    assert CliRunner().invoke(main, ["explain", "--ldap-url", url, *RETRIEVE, str(stale)]).exit_code == 3


def test_patient_data_stays_on_stdout(seed: Seed, stale: Path, tmp_path: Path) -> None:
    seed.lead()
    for leading in ("ask", written(right("1.2.3"), tmp_path / "other.dcm"), written(right(), tmp_path / "answer.dcm")):
        result = explain(seed, *RETRIEVE, "--leading", leading, "--log-level", "INFO", stale)
        for secret in ("Stale", "STALE", "Right", "RIGHT", STUDY):
            assert secret not in result.stderr


# Stored studies


@pytest.fixture
def http(seed: Seed, stale: Path) -> Iterator[str]:
    """The URL of a service that has stored the object."""
    seed.lead()
    app = _explaining(seed)
    web = HttpServer(app, [HttpAddress("127.0.0.1", 0).bind()])
    web.start()
    store(seed.archive_port, [stale])
    yield f"http://127.0.0.1:{web.port}"
    web.stop()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments])


def test_a_stored_study_is_explained_by_the_service(
    seed: Seed, http: str, leading_scp: Callable[..., LeadingScp]
) -> None:
    leading = leading_scp(seed.leading_port, knows(right()))
    stored = [path.read_bytes() for path in seed.objects]
    for _ in range(2):
        result = run(*RETRIEVE, "--study", STUDY, "--http", http, "--json")
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert changes(told)["PatientName"] == ("Stale^Name", "Right^Name")
    assert len(leading.queries) == 1  # the service's cache
    assert [path.read_bytes() for path in seed.objects] == stored
    text = run(*RETRIEVE, "--study", STUDY, "--http", http)
    assert "Right^Name" in text.stdout
    (step,) = json.loads(run(*RETRIEVE, "--study", STUDY, "--http", http, "--leading", "none", "--json").stdout)[
        "steps"
    ]
    assert step["outcome"] == "would ask QRSCP"


def test_the_answer_to_a_query_is_explained_for_a_stored_study(seed: Seed, http: str) -> None:
    response = ("--dimse", "C_FIND_RSP", "--role", "SCU", "--sending-ae", "WORKSTATION")
    told = json.loads(run(*response, "--study", STUDY, "--http", http, "--json").stdout)
    (rule,) = told["rules"]
    assert rule["decidedBy"] == "dcmDIMSE=C_STORE_RQ"
    assert run(*QUERY, "--study", STUDY, "--http", http).exit_code == 2


def test_a_failed_step_is_exit_1_over_http_too(seed: Seed, http: str) -> None:
    result = run(*RETRIEVE, "--study", STUDY, "--http", http)
    assert result.exit_code == 1
    assert "QRSCP" in result.stdout


def test_an_unknown_study_is_exit_1(http: str) -> None:
    result = run(*RETRIEVE, "--study", "1.2.3", "--http", http)
    assert result.exit_code == 1
    assert "not stored" in result.stderr


def test_a_service_that_cannot_be_reached_is_exit_3() -> None:
    assert run(*RETRIEVE, "--study", STUDY, "--http", f"http://127.0.0.1:{free_port()}").exit_code == 3


def test_option_to_stands_for_sending_there(seed: Seed, stale: Path) -> None:
    long = explain(seed, *RETRIEVE, "--leading", "none", stale)
    short = explain(seed, "--to", "STORESCP", "--leading", "none", stale)
    assert (short.exit_code, short.stdout) == (long.exit_code, long.stdout)
    assert explain(seed, "--to", "STORESCP", "--role", "SCP", stale).exit_code == 2


def test_message_that_is_not_said_is_wrong_usage_and_says_how(seed: Seed, stale: Path) -> None:
    result = explain(seed, stale)
    assert result.exit_code == 2
    assert "say which message: to" in result.stderr


def test_value_that_decided_and_a_refused_move_are_told(seed: Seed, stale: Path) -> None:
    seed.lead()
    told = explain(seed, "--to", "VIEWER2", stale).stdout
    assert "dcmProperty=ReceivingApplicationEntityTitle=STORESCP, but it is VIEWER2" in told
    assert "the directory has no dicomNetworkAE VIEWER2: a C-MOVE there ends with A801" in told
    seed.set(AE, dcmAcceptedMoveDestination="OTHER")
    assert "does not list STORESCP: a C-MOVE ends with C801" in explain(seed, "--to", "STORESCP", stale).stdout


def test_time_that_the_leading_archive_took_is_told(
    seed: Seed, stale: Path, leading_scp: Callable[..., LeadingScp]
) -> None:
    seed.lead()
    leading_scp(seed.leading_port, knows(right()))
    (note,) = (note for note in explained(seed, "--to", "STORESCP", stale)["notes"] if note.startswith("QRSCP"))
    assert re.fullmatch(r"QRSCP: miss after \d+ ms", note)


def test_stored_study_is_explained_by_its_uid_alone(http: str) -> None:
    result = run("--study", STUDY, "--to", "STORESCP", "--http", http)
    assert "Leading DCMQRSCP" in result.stdout


def test_study_of_a_pacs_is_explained_by_what_the_pacs_says(seed: Seed, leading_scp: Callable[..., LeadingScp]) -> None:
    there = Dataset()
    there.QueryRetrieveLevel, there.StudyInstanceUID = "STUDY", STUDY
    there.PatientName, there.PatientID = "Stale^Name", "STALE-ID"
    behind = free_port()
    leading_scp(behind, knows(there))
    stand_in_front_of(seed, behind)
    seed.lead()
    leading_scp(seed.leading_port, knows(right()))
    app = _explaining(seed)
    web = HttpServer(app, [HttpAddress("127.0.0.1", 0).bind()])
    web.start()
    try:
        url = f"http://127.0.0.1:{web.port}"
        told = json.loads(run("--study", STUDY, "--to", "STORESCP", "--http", url, "--json").stdout)
        missing = run("--study", "1.2.3", "--to", "STORESCP", "--http", url)
    finally:
        web.stop()
    assert "explained is what PACS says of it by C-FIND" in told["notes"][0]
    (name,) = (element for element in told["elements"] if element["keyword"] == "PatientName")
    assert "Stale^Name" in str(name["before"]) and "Right^Name" in str(name["after"])
    assert missing.exit_code == 1
    assert "neither here nor at PACS" in missing.stderr
