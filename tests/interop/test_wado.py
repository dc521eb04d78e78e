"""WADO-RS against what DCMTK gets by C-GET: the same objects, coerced the same, here and through the proxy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx

from dcm4py_leading.web.app import create_app
from tests.fixtures.datasets import CT, MR, make_study
from tests.fixtures.dcmtk import DcmQrScp, dcmsend, getscu
from tests.fixtures.http import served
from tests.fixtures.multipart import parts_of
from tests.fixtures.part10 import start_and_syntax
from tests.fixtures.ports import free_port
from tests.fixtures.processes import Peer
from tests.fixtures.proxy import await_rest, stand_in_front_of
from tests.fixtures.service import DEVICE, Seed

STUDY = "1.2.826.0.1.3680043.8.498.74"
AS_STORED = {"Accept": "multipart/related; type=application/dicom; transfer-syntax=*"}
PATH = f"/dcm4chee-arc/aets/DCM4CHEE/rs/studies/{STUDY}"

RETHROWING_RULE = f"""
dn: cn=Leading,{DEVICE}
changetype: add
objectClass: dcmArchiveAttributeCoercion2
cn: Leading
dcmDIMSE: C_STORE_RQ
dicomTransferRole: SCP
dcmURI: leading-arc:QRSCP
"""


def study(directory: Path, name: str, instances: int = 4) -> list[Path]:
    return make_study(
        directory,
        patient_id=name.upper(),
        patient_name=f"{name}^Ä",
        study_uid=STUDY,
        instances=instances,
        sources=(CT, MR),
    )


def data_sets(seed: Seed, directory: Path) -> list[bytes]:
    """The study as DCMTK gets it."""
    outcome = getscu(
        seed.archive_port,
        directory,
        called_ae_title="DCM4CHEE",
        calling_ae_title="STORESCP",
        level="STUDY",
        keys={"StudyInstanceUID": STUDY},
    )
    assert outcome.status == 0x0000
    contents = [path.read_bytes() for path in outcome.files]
    return sorted(content[start_and_syntax(content)[0] :] for content in contents)


def received(answer: httpx.Response) -> list[bytes]:
    assert answer.status_code == 200, answer.text
    return sorted(part.data_set for part in parts_of(answer))


def test_objects_here_are_those_of_a_c_get(seed: Seed, dcmqrscp: Callable[..., DcmQrScp], tmp_path: Path) -> None:
    leading = dcmqrscp(port=seed.leading_port)
    leading.store(study(tmp_path / "new", "New", 1))
    seed.lead(dcmProperty=[])
    seed.start()
    files = study(tmp_path / "old", "Old")
    assert dcmsend(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    with served(app=create_app(seed.service)) as http:
        found = received(http.get(PATH, headers=AS_STORED))
        assert len(found) == 4 and all(b"New^" in one and b"Old^" not in one for one in found)
        assert found == data_sets(seed, tmp_path / "got")


def test_objects_of_a_pacs_pass_through(seed: Seed, dcmqrscp: Callable[..., DcmQrScp], tmp_path: Path) -> None:
    port = free_port()
    pacs = dcmqrscp(ae_title="PACS", port=port, destinations=[Peer(ae_title="DCM4CHEE", port=seed.archive_port)])
    leading = dcmqrscp(port=seed.leading_port)
    pacs.store(study(tmp_path / "old", "Old"))
    leading.store(study(tmp_path / "new", "New", 1))
    seed.lead(dcmProperty=[])
    stand_in_front_of(seed, port)
    seed.start()
    with served(app=create_app(seed.service)) as http:
        found = received(http.get(PATH, headers=AS_STORED))
        assert len(found) == 4 and all(b"New^" in one and b"Old^" not in one for one in found)
        assert found == data_sets(seed, tmp_path / "got")
        assert http.get(f"{PATH}.1").status_code == 404
        await_rest(seed)
        pacs.stop()
        assert http.get(PATH).status_code == 503
    await_rest(seed)


def test_dead_leading_archive_is_told(seed: Seed, tmp_path: Path) -> None:
    seed.change(RETHROWING_RULE)
    seed.start()
    files = study(tmp_path / "old", "Old")
    assert dcmsend(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    with served(app=create_app(seed.service)) as http:
        by_uri = f"/dcm4chee-arc/aets/DCM4CHEE/wado?requestType=WADO&studyUID={PATH.rpartition('/')[2]}"
        for path in (PATH, f"{PATH}/rendered", f"{PATH}/thumbnail", by_uri):
            answer = http.get(path)
            assert (answer.status_code, "QRSCP" in answer.text) == (503, True), answer.text


def test_client_has_no_title(seed: Seed, dcmqrscp: Callable[..., DcmQrScp], tmp_path: Path) -> None:
    leading = dcmqrscp(port=seed.leading_port)
    leading.store(study(tmp_path / "new", "New", 1))
    seed.lead()  # for ReceivingApplicationEntityTitle=STORESCP
    seed.start()
    files = study(tmp_path / "old", "Old")
    assert dcmsend(seed.archive_port, files, called_ae_title="DCM4CHEE").returncode == 0
    with served(app=create_app(seed.service)) as http:
        assert all(b"Old^" in one for one in received(http.get(PATH)))
