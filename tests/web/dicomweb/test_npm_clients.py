"""The clients that web viewers are made of, npm's dicomweb-client and dcmjs, read what we answer and store."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64decode
from pathlib import Path

import httpx
import pydicom
import pytest

from tests.fixtures.datasets import make_study
from tests.fixtures.npm import npm_folder
from tests.fixtures.peers_required import require
from tests.fixtures.processes import find_program
from tests.fixtures.service import Seed
from tests.fixtures.slapd import REPOSITORY
from tests.web.dicomweb.conftest import STUDY

pytestmark = pytest.mark.peers

_SCRIPT = REPOSITORY / "tests" / "fixtures" / "npm_client.cjs"


def test_clients_of_npm_understand_every_resource(archive: Seed, http: httpx.Client, tmp_path: Path) -> None:
    node = find_program("node")
    require(node is not None, "node (Debian package nodejs)")
    modules = npm_folder("clients") / "node_modules"
    (sent,) = make_study(tmp_path, patient_id="P3", patient_name="Sent^Here", study_uid=f"{STUDY}.77", instances=1)
    study = f"{STUDY}.0"
    done = subprocess.run(
        [str(node), str(_SCRIPT), str(http.base_url).rstrip("/"), study, str(sent)],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    row = http.get(f"studies/{study}/series").json()[0]
    path = f"studies/{study}/series/{row['0020000E']['Value'][0]}"
    uid = http.get(f"{path}/metadata").json()[0]["00080018"]["Value"][0]
    kept = next(ds for ds in map(pydicom.dcmread, archive.objects) if ds.SOPInstanceUID == uid)
    assert told["studies"] == ["Müller^Änne"]
    assert told["none"] == 0
    assert told["counts"] == [2, 2, 4, 2, 1, 2]
    assert told["names"] == ["Müller^Änne"] * 2
    assert told["rows"] == [kept.Rows] * 2
    assert b64decode(told["frame"]) == b64decode(told["pixels"]) == kept.PixelData
    assert told["stored"] == [pydicom.dcmread(sent).SOPInstanceUID]
