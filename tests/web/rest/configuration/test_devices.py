"""``/dcm4chee-arc/devices/{name}``: statuses, preconditions and trials, over LDIF files that may be written."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.writing.editor import Editor
from dcm4py_leading.editing import editor_of
from tests.fixtures.configured import ARC, DEVICE_URL, OWN, configured, site_of

SIZE = "dcmLeadingCFindSCPQueryCacheSize"
STALE = "dcmLeadingCFindSCPQueryCacheStaleTimeout"
NEW_URL = f"{ARC}/devices/new"
NEW = {
    "dicomDeviceName": "new",
    "dicomInstalled": True,
    "dicomNetworkConnection": [{"cn": "dicom", "dicomHostname": "host", "dicomPort": 104}],
    "dicomNetworkAE": [
        {
            "dicomAETitle": "NEW",
            "dicomNetworkConnectionReference": ["/dicomNetworkConnection/0"],
            "dicomAssociationInitiator": True,
            "dicomAssociationAcceptor": True,
        }
    ],
}


def test_an_unchanged_device_is_taken_and_nothing_is_written(rest: httpx.Client, ldif_files: list[Path]) -> None:
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in ldif_files]
    answer = rest.put(DEVICE_URL, json=rest.get(DEVICE_URL).json())
    assert (answer.status_code, answer.content) == (204, b"")
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in ldif_files] == before


def test_an_edit_is_there_afterwards(rest: httpx.Client) -> None:
    told = rest.get(DEVICE_URL).json()
    archive(told)[SIZE] = 7
    assert rest.put(DEVICE_URL, json=told).status_code == 204
    assert archive(rest.get(DEVICE_URL).json())[SIZE] == 7


def test_dcm4chees_own_key_of_on_failure_is_taken_and_the_right_one_told(rest: httpx.Client) -> None:
    told = rest.get(DEVICE_URL).json()
    rule = (
        '{"cn": "second", "dcmDIMSE": "C_STORE_RQ", "dicomTransferRole": "SCP", "dcmURI": "leading-arc:QRSCP",'
        ' "dcmCoercionSufficient": true, "dcmCoercionSufficient": "CONTINUE"}'
    )
    archive(told)["dcmArchiveAttributeCoercion2"] = ["RULE"]
    body = httpx.Request("PUT", "http://x", json=told).content.decode().replace('"RULE"', rule)
    assert rest.put(DEVICE_URL, content=body, headers={"Content-Type": "application/json"}).status_code == 204
    (found,) = archive(rest.get(DEVICE_URL).json())["dcmArchiveAttributeCoercion2"]
    assert (found["dcmCoercionSufficient"], found["dcmCoercionOnFailure"]) == (True, "CONTINUE")


def test_members_without_a_meaning_are_skipped_with_a_warning(
    rest: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    told = {**rest.get(DEVICE_URL).json(), "dicomTypo\n": 1}
    assert rest.put(DEVICE_URL, json=told).status_code == 204
    assert "skipped: '/dicomTypo\\n'" in caplog.text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_device_is_404(rest: httpx.Client, method: str) -> None:
    answer = rest.request(method, f"{ARC}/devices/nobody", json=NEW if method == "PUT" else None)
    assert (answer.status_code, answer.json()["errorMessage"]) == (404, "there is no device nobody")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_another_name_than_that_of_the_path_is_400(rest: httpx.Client, method: str) -> None:
    answer = rest.request(method, DEVICE_URL, json=NEW)
    assert answer.status_code == 400
    assert "dcm4chee-arc" in answer.json()["errorMessage"]


def test_a_wrong_type_is_400_with_its_place(rest: httpx.Client) -> None:
    told = rest.get(DEVICE_URL).json()
    archive(told)[SIZE] = "7"
    answer = rest.put(DEVICE_URL, json=told)
    assert answer.status_code == 400
    assert answer.json()["problems"] == [
        {"path": f"/dcmDevice/dcmArchiveDevice/{SIZE}", "reason": "expected a whole number"}
    ]


def test_change_that_a_reload_would_refuse_is_400_with_every_problem(rest: httpx.Client) -> None:
    told = rest.get(DEVICE_URL).json()
    archive(told).update({STALE: "rubbish", SIZE: -1})
    answer = rest.put(DEVICE_URL, json=told)
    assert answer.status_code == 400
    assert {problem["attribute"] for problem in answer.json()["problems"]} == {STALE, SIZE}
    assert rest.put(DEVICE_URL, json=rest.get(DEVICE_URL).json()).status_code == 204


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"a":1,"a":2}', b"\xff"])
def test_a_body_that_is_no_document_is_400(rest: httpx.Client, body: bytes) -> None:
    answer = rest.put(DEVICE_URL, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["errorMessage"]


def test_a_body_of_another_type_is_415(rest: httpx.Client) -> None:
    assert rest.put(DEVICE_URL, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415


def test_dry_run_returns_ldif_and_differences_and_writes_nothing(rest: httpx.Client) -> None:
    told = rest.get(DEVICE_URL).json()
    archive(told)[SIZE] = 7
    answer = rest.put(DEVICE_URL, json={**told, "typo": 1}, params={"dry-run": ""})
    assert answer.status_code == 200
    assert answer.json()["ldif"].splitlines()[1:] == [
        "changetype: modify",
        f"delete: {SIZE}",
        f"{SIZE}: 50",
        "-",
        f"add: {SIZE}",
        f"{SIZE}: 7",
        "-",
    ]
    assert [found["text"] for found in answer.json()["differences"]] == [f"device {OWN}: {SIZE} from 50 to 7"]
    assert answer.json()["skipped"] == ["/typo"]
    assert archive(rest.get(DEVICE_URL).json())[SIZE] == 50


def test_dry_run_of_refused_change_reports_the_problems(rest: httpx.Client) -> None:
    told = rest.get(DEVICE_URL).json()
    archive(told)[STALE] = "rubbish"
    answer = rest.put(DEVICE_URL, json=told, params={"dry-run": "true"})
    assert answer.status_code == 200
    assert [found["attribute"] for found in answer.json()["problems"]] == [STALE]


@pytest.mark.parametrize("parameter", ["dry-run", "register"])
def test_flag_other_than_true_or_false_is_400(rest: httpx.Client, parameter: str) -> None:
    assert rest.delete(f"{ARC}/devices/storescp", params={parameter: "perhaps"}).status_code == 400
    assert rest.get(f"{ARC}/devices/storescp").status_code == 200


def test_a_state_that_is_gone_is_412_with_both_values(rest: httpx.Client) -> None:
    first = rest.get(DEVICE_URL)
    told = first.json()
    archive(told)[SIZE] = 7
    assert rest.put(DEVICE_URL, json=told, headers={"If-Match": first.headers["etag"]}).status_code == 204
    archive(told)[SIZE] = 8
    late = rest.put(DEVICE_URL, json=told, headers={"If-Match": first.headers["etag"]})
    assert late.status_code == 412
    (conflict,) = late.json()["conflicts"]
    assert conflict["dn"].startswith(f"dicomDeviceName={OWN},")
    assert (conflict["attribute"], conflict["expected"], conflict["found"]) == (SIZE, ["50"], ["7"])
    assert archive(rest.get(DEVICE_URL).json())[SIZE] == 7


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_state_that_nobody_was_told_is_412(rest: httpx.Client, method: str) -> None:
    told = rest.get(DEVICE_URL).json()
    body = told if method == "PUT" else None
    assert rest.request(method, DEVICE_URL, json=body, headers={"If-Match": '"0123"'}).status_code == 412


@pytest.mark.parametrize("tags", ["*", '"0123", {}', "{}"])
def test_one_of_several_states_or_any_will_do(rest: httpx.Client, tags: str) -> None:
    first = rest.get(DEVICE_URL)
    tags = tags.format(first.headers["etag"])
    assert rest.put(DEVICE_URL, json=first.json(), headers={"If-Match": tags}).status_code == 204


def test_a_device_is_made_and_deleted_with_its_titles_in_the_registry(rest: httpx.Client) -> None:
    assert rest.post(NEW_URL, json=NEW).status_code == 204
    assert rest.get(NEW_URL).json()["dicomNetworkConnection"] == NEW["dicomNetworkConnection"]
    assert "NEW" in rest.get(f"{ARC}/unique/aets").json()
    assert rest.delete(NEW_URL).status_code == 204
    assert rest.get(NEW_URL).status_code == 404
    assert "NEW" not in rest.get(f"{ARC}/unique/aets").json()


def test_a_device_that_is_there_is_409(rest: httpx.Client) -> None:
    assert rest.post(DEVICE_URL, json=rest.get(DEVICE_URL).json()).status_code == 409


def test_without_register_the_registry_is_left_alone(rest: httpx.Client) -> None:
    registered = rest.get(f"{ARC}/unique/aets").json()
    assert rest.post(NEW_URL, json=NEW, params={"register": "false"}).status_code == 204
    assert rest.get(f"{ARC}/unique/aets").json() == registered


def test_the_device_of_the_service_cannot_be_deleted(rest: httpx.Client) -> None:
    assert rest.delete(DEVICE_URL).status_code == 400
    assert rest.get(DEVICE_URL).status_code == 200


@pytest.mark.parametrize("name", ["a/b", "a%b", "a b,c+d=e", "ä", "a?b#c", "..a", 'q"<script>'])
def test_a_device_may_have_any_name(rest: httpx.Client, name: str) -> None:
    url = httpx.URL(f"{ARC}/devices/").join("x")
    url = url.copy_with(raw_path=f"{ARC}/devices/{quoted(name)}".encode())
    body = {"dicomDeviceName": name, "dicomInstalled": False}
    assert rest.post(url, json=body).status_code == 204
    assert rest.get(url).json()["dicomDeviceName"] == name
    assert name in [found["dicomDeviceName"] for found in rest.get(f"{ARC}/devices").json()]


def test_a_path_that_is_no_utf8_is_404(rest: httpx.Client) -> None:
    assert rest.get(f"{ARC}/devices/%ff").status_code == 404


@pytest.fixture
def read_only(ldif_files: list[Path], tmp_path: Path) -> Iterator[httpx.Client]:
    site = dataclasses.replace(site_of(LdifSource(ldif_files), tmp_path / "data"), is_ldif_writable=False)
    with configured(editor_of(site)) as client:
        yield client


def test_files_that_are_only_read_are_403_with_the_reason_but_a_trial_is_told(read_only: httpx.Client) -> None:
    told = read_only.get(DEVICE_URL).json()
    archive(told)[SIZE] = 7
    answer = read_only.put(DEVICE_URL, json=told)
    assert answer.status_code == 403
    assert "--ldif-writable" in answer.json()["errorMessage"]
    assert SIZE in read_only.put(DEVICE_URL, json=told, params={"dry-run": "true"}).json()["ldif"]


def test_no_secret_leaves_and_one_that_a_put_lacks_stays(rest: httpx.Client, editor: Editor) -> None:
    told = rest.get(DEVICE_URL).json()
    told["dcmDevice"]["dcmKeyStorePin"] = "hush"
    assert "hush" not in rest.put(DEVICE_URL, json=told, params={"dry-run": "true"}).text
    assert rest.put(DEVICE_URL, json=told).status_code == 204
    answer = rest.get(DEVICE_URL)
    assert "hush" not in answer.text
    archive(told := answer.json())[SIZE] = 7
    assert rest.put(DEVICE_URL, json=told).status_code == 204
    device = next(found for found in editor.entries(OWN) if found.is_a("dicomDevice"))
    assert device.values("dcmKeyStorePin") == ("hush",)


def archive(told: dict[str, Any]) -> Any:
    return told["dcmDevice"]["dcmArchiveDevice"]


def quoted(name: str) -> str:
    return "".join(f"%{octet:02X}" for octet in name.encode())
