import json
import logging
import os
import stat
import subprocess
from datetime import UTC, datetime

import pytest

from dcm4py_leading.config.following.last_good import LastGood
from dcm4py_leading.config.ldif.source import LdifSource
from tests.fixtures import trees
from tests.fixtures.peers_required import require

URL = "ldap://one.example:389/dc=dcm4che,dc=org"
OTHER_URL = "ldap://two.example:389/dc=dcm4che,dc=org"
TREE = (trees.device(dcmKeyStorePin="s3cret"), trees.connection(), trees.ae(), trees.storage())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "last-good-configuration"


@pytest.fixture
def make(folder):
    def make(device_name="dcm4chee-arc", directory=(URL, OTHER_URL)):
        return LastGood(
            folder, directory=directory, device_name=device_name, now=lambda: datetime(2026, 1, 2, tzinfo=UTC)
        )

    return make


def keys(entries):
    return {entry.key for entry in entries}


def test_nothing_is_kept_at_first(make):
    assert make().device("dcm4chee-arc") is None
    assert make().ae("QRSCP") is None


def test_device_is_kept_without_secrets(make, folder):
    make().keep_devices([TREE])
    kept = make().device("DCM4CHEE-ARC")
    assert keys(kept) == keys(TREE)
    assert "s3cret" not in (folder / "device.ldif").read_text()
    assert make().kept_at() == "2026-01-02T00:00:00+00:00"


def test_devices_that_rules_refer_to_are_kept_with_it(make):
    make().keep_devices([TREE, tuple(trees.remote("QRSCP")), TREE])
    assert len(make().device("remote")) == 3
    assert make().device("nobody") is None


def test_remote_aes_are_kept_under_any_title(make):
    for title in ("QRSCP", "A/../B", "..", "ä*"):
        make().keep_ae(title, tuple(trees.remote(title)))
        assert keys(make().ae(title)) == keys(trees.remote(title))
    assert make().ae("qrscp") is None


def test_ae_of_the_device_is_kept_with_the_device_only(make, folder):
    make().keep_ae("DCM4CHEE", (TREE[0], TREE[1], TREE[2]))
    assert not list(folder.rglob("*.ldif"))
    make().keep_devices([TREE])
    assert keys(make().ae("DCM4CHEE")) == keys(TREE[:3])


def test_ae_that_the_directory_no_longer_has_is_not_kept(make):
    kept = make()
    kept.keep_ae("QRSCP", tuple(trees.remote("QRSCP")))
    kept.keep_ae("QRSCP", ())
    assert kept.ae("QRSCP") is None
    kept.keep_ae("QRSCP", tuple(trees.remote("QRSCP")))
    assert kept.ae("QRSCP") is not None


def test_ae_with_a_dn_that_nobody_can_read_is_not_kept(make, caplog):
    broken = trees.entry("no name", "dicomNetworkAE", dicomAETitle="QRSCP")
    make().keep_ae("QRSCP", (*trees.remote("QRSCP"), broken))
    assert make().ae("QRSCP") is None
    assert "no name" in caplog.text


def test_files_are_for_the_owner_only_and_are_ldif(make, folder):
    make().keep_devices([TREE])
    make().keep_ae("QRSCP", tuple(trees.remote("QRSCP")))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["QRSCP.ldif", "device.ldif"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "ae")} == {0o700}
    assert LdifSource(files).read_ae("QRSCP")


def test_file_of_another_device_is_not_used(make, caplog):
    make("other").keep_devices([TREE])
    assert make().device("dcm4chee-arc") is None
    assert "another device or directory" in caplog.text


def test_file_of_another_directory_is_not_used_one_server_in_common_is_enough(make):
    make(directory=(URL,)).keep_devices([TREE])
    assert make(directory=(OTHER_URL,)).device("dcm4chee-arc") is None
    assert make(directory=(OTHER_URL, URL)).device("dcm4chee-arc") is not None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "# {}",
        lambda text: text + "\nrubbish",
        lambda text: text.replace("#", ""),
        lambda text: text.replace("11112", "11113"),
        lambda text: text[: len(text) // 2].rpartition("\n\n")[0] + "\n",
    ],
    ids=["empty", "no header", "no LDIF", "no comment", "another value", "an end too early"],
)
def test_damaged_file_is_told_and_not_used(make, folder, damage, caplog):
    make().keep_devices([TREE])
    path = folder / "device.ldif"
    path.write_text(damage(path.read_text()))
    assert make().device("dcm4chee-arc") is None
    assert "device.ldif" in caplog.text


def test_file_of_an_older_version_has_no_digest_and_is_used(make, folder):
    make().keep_devices([TREE])
    path = folder / "device.ldif"
    header, _, text = path.read_text().partition("\n")
    known = json.loads(header.removeprefix("#"))
    del known["sha256"]
    path.write_text(f"# {json.dumps(known)}\n{text}")
    assert make().device("dcm4chee-arc") is not None
    make().keep_devices([TREE])
    assert "sha256" in path.read_text()


def test_same_content_is_written_once(make, folder):
    kept, path = make(), folder / "device.ldif"
    kept.keep_devices([TREE])
    written = path.stat()
    kept.keep_devices([tuple(reversed(TREE))])
    assert path.stat().st_mtime_ns == written.st_mtime_ns
    path.unlink()
    kept.keep_devices([TREE])
    assert path.exists()
    kept.keep_devices([TREE[:-1]])
    assert keys(make().device("dcm4chee-arc")) == keys(TREE[:-1])


def test_entry_of_another_process_is_not_written_again(make, folder):
    make().keep_devices([TREE])
    path = folder / "device.ldif"
    path.write_text(path.read_text().replace("2026-01-02", "2025-01-02"))
    make().keep_devices([TREE])
    assert make().kept_at().startswith("2025-01-02")
    make(directory=(URL,)).keep_devices([TREE])
    assert make().kept_at().startswith("2026-01-02")
    path.write_text("rubbish")
    make().keep_devices([TREE])
    assert make().device("dcm4chee-arc") is not None


def test_folder_that_cannot_be_made_costs_an_error_in_the_log(make, folder, caplog):
    folder.write_text("in the way")
    make().keep_devices([TREE])
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert str(folder) in caplog.text


def test_full_disk_leaves_the_old_file_and_nothing_else(make, folder, caplog):
    require(os.geteuid() == 0, "root, to mount a small file system")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    try:
        kept = make()
        kept.keep_devices([TREE])
        kept.keep_devices([(trees.device(dicomDescription="x" * 100_000), *TREE[1:])])
        assert "No space left on device" in caplog.text
        assert keys(make().device("dcm4chee-arc")) == keys(TREE)
        assert [path.name for path in folder.iterdir()] == ["device.ldif"]
        kept.keep_devices([(trees.device(dicomDescription="x"), *TREE[1:])])
        assert make().device("dcm4chee-arc")[0].values("dicomDescription") == ("x",)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
