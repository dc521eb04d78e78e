"""The wheel and the source distribution: built from a copy of the repository, and used elsewhere.

Without network: the build is that of the setuptools which is here, the dependencies are those of the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset

from tests.fixtures.datasets import make_study
from tests.fixtures.scripted import LeadingScp, Viewer, knows
from tests.fixtures.scu import identifier, move, store
from tests.fixtures.service import Seed
from tests.fixtures.slapd import REPOSITORY
from tests.fixtures.workers import Serve

_NOT_OURS = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "node_modules")
_BUILD = "import setuptools.build_meta as backend, sys; print(getattr(backend, 'build_' + sys.argv[1])(sys.argv[2]))"


def ran(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Its output. Raises AssertionError with all of it when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={"PATH": os.defpath, "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(kind: str, source: Path, target: Path) -> Path:
    """The wheel, or the source distribution, of a source folder."""
    target.mkdir(exist_ok=True)
    return target / ran(sys.executable, "-c", _BUILD, kind, target, cwd=source).splitlines()[-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the source distribution holds, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    shutil.copytree(REPOSITORY, folder / "copy", symlinks=True, ignore=_NOT_OURS)
    for name in (".gitignore", ".dockerignore"):
        shutil.copy(REPOSITORY / name, folder / "copy")
    archive = built("sdist", folder / "copy", folder / "dist")
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    ran("tar", "-xf", archive, cwd=unpacked)
    (source,) = unpacked.iterdir()
    return source


@pytest.fixture(scope="module")
def program(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as the wheel of that source installs it, in a virtual environment."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = built("wheel", source, folder / "dist")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    ran(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    libraries = ran(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    # The project itself comes from the wheel: what stands in a .pth file is looked at last.
    Path(libraries, "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n")
    return folder / "venv" / "bin" / "dcm4py-leading"


def test_source_distribution_is_the_whole_repository(source: Path) -> None:
    copy = source.parent.parent / "copy"
    ours = {path.relative_to(copy) for path in copy.rglob("*") if path.is_file() and not path.is_symlink()}
    generated = {"build", "dcm4py_leading.egg-info"}
    missing = sorted(str(path) for path in ours if path.parts[0] not in generated and not (source / path).is_file())
    assert missing == []


def test_tests_of_the_source_distribution_run(source: Path) -> None:
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/config/ldif/test_records.py")
    told = ran(*command, cwd=source)
    assert " passed" in told


def test_quickstart_works_from_the_wheel_in_another_folder(program: Path, tmp_path: Path) -> None:
    ran(program, "files", "here", cwd=tmp_path)
    trees = ("--ldif", "ldif/quickstart.ldif", "--ldif", "ldif/leading-cfind-scp.ldif")
    told = ran(program, "check", *trees, cwd=tmp_path / "here")
    assert told.endswith("dcm4chee-arc: the configuration can be put in force\n")
    where = ran(program.parent / "python", "-c", "import dcm4py_leading; print(dcm4py_leading.__file__)", cwd=tmp_path)
    assert Path(where).is_relative_to(program.parents[1])


def test_seed_scenario_runs_from_the_wheel(
    program: Path,
    seed: Seed,
    serve: Serve,
    leading_scp: Callable[..., LeadingScp],
    viewer: Callable[..., Viewer],
    tmp_path: Path,
) -> None:
    seed.lead()
    outside = tmp_path / "outside"
    outside.mkdir()
    serve(1, program=[str(program)], directory=outside, environment={"PATH": os.defpath, "HOME": str(outside)})
    stale = make_study(tmp_path / "stale", patient_id="STALE", patient_name="Stale^Name", study_uid="1.2.3")
    assert set(store(seed.archive_port, stale)) == {0x0000}
    right = Dataset()
    right.StudyInstanceUID, right.PatientID, right.PatientName = "1.2.3", "RIGHT", "Right^Name"
    leading_scp(seed.leading_port, knows(right))
    station = viewer(seed.viewer_port)
    final, _ = move(seed.archive_port, identifier("STUDY", StudyInstanceUID="1.2.3"))[-1]
    assert final.Status == 0x0000
    assert [str(ds.PatientName) for ds in station.received] == ["Right^Name"] * len(stale)


def test_wheel_has_every_file_that_is_no_python_module(program: Path) -> None:
    (installed,) = program.parents[1].glob("lib/python*/site-packages/dcm4py_leading")
    package = REPOSITORY / "dcm4py_leading"
    wanted = [
        (Path(folder) / name).relative_to(package)
        for folder, _, names in os.walk(package, followlinks=True)
        for name in names
        if not name.endswith(".pyc")
    ]
    assert len([path for path in wanted if path.parts[0] == "share"]) > 50
    assert sorted(str(path) for path in wanted if not (installed / path).is_file()) == []
