"""LDIF files that are changed: what the change is not about stays as it is, octet by octet."""

from __future__ import annotations

import os
import stat

import pytest

from dcm4py_leading.config.durable_file import write_beside
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.writing import ldif_writer
from dcm4py_leading.config.writing.changes import changes_between
from dcm4py_leading.config.writing.ldif_writer import LdifWriter
from dcm4py_leading.config.writing.state import etag
from dcm4py_leading.errors import ConfigUnavailable, ReadOnlyDirectory, WriteConflict, WriteRefused
from tests.fixtures.trees import AE, DEVICE, DEVICES, FRAME

RULE = f"cn=leading,{DEVICE}"
OTHER = f"cn=other,{DEVICE}"
CONTENT = (
    "version: 1\n\n# The archive.\n"
    + f"""dn: {DEVICE}
objectClass: dicomDevice
# a comment within
dicomDeviceName: dcm4chee-arc
dicomDescription: a long text that
  is folded
dicomSoftwareVersion: 1
dicomSoftwareVersion: 2
dicomInstalled: TRUE

# A rule.

dn: {RULE}
objectClass: dcmArchiveAttributeCoercion
cn: leading
dcmRulePriority: 1

# The end.
"""
)
CHANGE = f"""# Later.
dn: {DEVICE}
changetype: modify
replace: dicomDescription
dicomDescription: changed later
-
"""


class Files:
    """LDIF files and their writer."""

    def __init__(self, folder, *texts):
        self.paths = [folder / f"{number}.ldif" for number in range(len(texts))]
        for path, text in zip(self.paths, texts, strict=True):
            path.write_bytes(text.encode())
        self.source = LdifSource(self.paths)
        self.writer = LdifWriter(self.source, is_allowed=True)

    def entries(self):
        return self.source.entries()

    def planned(self, *new, at=DEVICE, without=(), **attributes):
        key = Entry(at, {}).key
        gone = [*(Entry(dn, {}).key for dn in without), *(found.key for found in new)]
        after = [
            changed(found, **attributes) if found.key == key else found
            for found in self.entries()
            if found.key not in gone
        ]
        return changes_between(self.entries(), [*after, *new])

    def write(self, *new, **arguments):
        """Make the change; what the files say then is exactly what was wanted."""
        changes = self.planned(*new, **arguments)
        self.writer.write(changes)
        assert self.planned(*new, **arguments) == ()

    @property
    def texts(self):
        return [path.read_bytes().decode() for path in self.paths]


def changed(found, **attributes):
    return Entry.of(found.dn, {**found.attributes, **{name.lower(): values for name, values in attributes.items()}})


def rule(dn=OTHER, **attributes):
    name = dn.partition(",")[0].removeprefix("cn=")
    return Entry.of(dn, {"objectClass": ["dcmArchiveAttributeCoercion"], "cn": [name], **attributes})


def test_only_the_line_of_the_value_changes(tmp_path):
    files = Files(tmp_path, CONTENT)
    files.write(dicomInstalled=["FALSE"])
    assert files.texts == [CONTENT.replace("dicomInstalled: TRUE", "dicomInstalled: FALSE")]


def test_folded_value_is_replaced_as_a_whole(tmp_path):
    files = Files(tmp_path, CONTENT)
    files.write(dicomDescription=["short"])
    assert files.texts == [CONTENT.replace("a long text that\n  is folded", "short")]


def test_values_come_beside_their_brothers_and_go(tmp_path):
    files = Files(tmp_path, CONTENT)
    files.write(dicomSoftwareVersion=["2", "3", "4"])
    assert files.texts == [
        CONTENT.replace(
            "Version: 1\ndicomSoftwareVersion: 2\n", "Version: 3\ndicomSoftwareVersion: 2\ndicomSoftwareVersion: 4\n"
        )
    ]
    files.write(dicomSoftwareVersion=[])
    assert "dicomSoftwareVersion" not in files.texts[0]


def test_new_attribute_comes_at_the_end_of_its_entry(tmp_path):
    files = Files(tmp_path, CONTENT)
    files.write(dicomStationName=["Ä"])
    assert files.texts == [CONTENT.replace("dicomInstalled: TRUE\n", "dicomInstalled: TRUE\ndicomStationName:: w4Q=\n")]


def test_new_entry_comes_at_the_end_and_goes_without_a_trace(tmp_path):
    files = Files(tmp_path, CONTENT)
    files.write(rule())
    assert files.texts == [CONTENT + f"\ndn: {OTHER}\nobjectClass: dcmArchiveAttributeCoercion\ncn: other\n"]
    files.write(without=[OTHER])
    assert files.texts[0].rstrip() == CONTENT.rstrip()


def test_entry_goes_and_comments_stay(tmp_path):
    files = Files(tmp_path, CONTENT)
    files.write(without=[RULE])
    first, _, rest = CONTENT.partition(f"dn: {RULE}")
    assert files.texts == [first + "# The end.\n"]
    assert rest


def test_line_ends_of_windows_stay(tmp_path):
    files = Files(tmp_path, CONTENT.replace("\n", "\r\n"))
    files.write(rule(), dicomInstalled=["FALSE"], dicomSoftwareVersion=["1", "2", "3"])
    (text,) = files.texts
    assert text.count("\n") == text.count("\r\n")
    assert "dicomInstalled: FALSE\r\n" in text


def test_file_without_a_line_end_at_its_end(tmp_path):
    files = Files(tmp_path, CONTENT.removesuffix("\n\n# The end.\n"))
    files.write(rule(), at=RULE, dcmRulePriority=["2"], dcmURI=["x"])
    assert "dcmRulePriority: 2\ndcmURI: x\n\ndn: cn=other" in files.texts[0]


def test_record_that_adds_is_changed_in_place(tmp_path):
    add = f"dn: {OTHER}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: other\ndcmRulePriority: 1\n"
    files = Files(tmp_path, CONTENT, add)
    files.write(at=OTHER, dcmRulePriority=["2"])
    assert files.texts == [CONTENT, add.replace("Priority: 1", "Priority: 2")]


def test_entry_that_changes_speak_of_gets_one_more_change_at_the_end(tmp_path):
    files = Files(tmp_path, CONTENT, CHANGE)
    files.write(dicomDescription=["changed last"], dicomStationName=["A"])
    first, second = files.texts
    assert first == CONTENT
    assert second.startswith(CHANGE)
    assert "add: dicomDescription\ndicomDescription: changed last\n-\n" in second


def test_entry_that_changes_speak_of_is_deleted_by_one(tmp_path):
    add = f"dn: {OTHER}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: other\n"
    change = f"\ndn: {OTHER}\nchangetype: modify\nadd: dcmRulePriority\ndcmRulePriority: 1\n-\n"
    files = Files(tmp_path, CONTENT, add + change)
    files.write(without=[OTHER])
    assert files.texts == [CONTENT, f"{add}{change}\ndn: {OTHER}\nchangetype: delete\n"]


def test_device_goes_with_all_that_several_files_say_of_it(tmp_path):
    add = f"dn: {OTHER}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: other\n"
    files = Files(tmp_path, CONTENT, add, CHANGE.replace("DEVICE", RULE))
    files.write(without=[DEVICE, RULE, OTHER])
    assert files.entries() == ()


def test_renamed_entry_is_changed_by_a_record_behind(tmp_path):
    rename = f"dn: {RULE}\nchangetype: modrdn\nnewrdn: cn=renamed\ndeleteoldrdn: 1\n"
    files = Files(tmp_path, CONTENT, rename)
    files.write(at=f"cn=renamed,{DEVICE}", dcmRulePriority=["2"])
    assert files.texts[0] == CONTENT
    assert files.texts[1].startswith(rename)


def test_new_entry_goes_to_the_file_that_has_its_parent(tmp_path):
    ae = f"dn: {AE}\nchangetype: add\nobjectClass: dicomNetworkAE\ndicomAETitle: DCM4CHEE\n"
    files = Files(tmp_path, CONTENT, ae, "")
    files.write(rule(f"cn=other,{AE}"))
    assert files.texts[1:] == [
        f"{ae}\ndn: cn=other,{AE}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: other\n",
        "",
    ]


def test_new_device_goes_where_devices_are(tmp_path):
    files = Files(tmp_path, CONTENT, CHANGE)
    other = f"dicomDeviceName=other,{DEVICES}"
    files.write(
        Entry.of(other, {"objectClass": ["dicomDevice"], "dicomDeviceName": ["other"]}), rule(f"cn=other,{other}")
    )
    assert files.texts[1] == CHANGE
    assert files.texts[0].startswith(CONTENT)


def test_frame_may_be_there(tmp_path):
    files = Files(tmp_path, FRAME, CONTENT)
    files.write(rule(), dicomInstalled=["FALSE"])
    assert files.texts[0] == FRAME


def test_octets_of_other_values_stay(tmp_path):
    octets = "dicomVendorData:: 5P8AgA==\n"
    files = Files(tmp_path, CONTENT.replace("dicomInstalled", f"{octets}dicomInstalled"))
    files.write(dicomInstalled=["FALSE"])
    assert octets in files.texts[0]


def test_mode_stays_and_nothing_is_left_beside(tmp_path):
    files = Files(tmp_path, CONTENT)
    files.paths[0].chmod(0o640)
    files.write(dicomInstalled=["FALSE"])
    assert stat.S_IMODE(files.paths[0].stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == files.paths


def test_link_stays_a_link(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "real.ldif").write_text(CONTENT)
    link = tmp_path / "link.ldif"
    link.symlink_to(target / "real.ldif")
    source = LdifSource([link])
    device = next(iter(source.entries()))
    LdifWriter(source, is_allowed=True).write(changes_between([device], [changed(device, dicomInstalled=["FALSE"])]))
    assert link.is_symlink()
    assert "dicomInstalled: FALSE" in (target / "real.ldif").read_text()
    assert "dicomInstalled: FALSE" in link.read_text()


def test_value_that_an_editor_has_changed_meanwhile_is_kept_and_told(tmp_path):
    files = Files(tmp_path, CONTENT)
    changes = files.planned(at=RULE, dcmRulePriority=["7"])
    theirs = CONTENT.replace("dcmRulePriority: 1", "dcmRulePriority: 9")
    files.paths[0].write_text(theirs)
    with pytest.raises(WriteConflict) as conflict:
        files.writer.write(changes)
    found = conflict.value
    assert (found.attribute, found.expected, found.found) == ("dcmRulePriority", ("1",), ("9",))
    assert files.texts == [theirs]


def test_concurrent_write_of_an_editor_stays(tmp_path, monkeypatch):
    files = Files(tmp_path, CONTENT)
    changes = files.planned(at=RULE, dcmRulePriority=["7"])
    theirs = CONTENT.replace("dicomInstalled: TRUE", "dicomInstalled: FALSE")
    saves = iter([theirs])

    def beside(path, data, **options):
        for text in saves:
            path.write_text(text)
        return write_beside(path, data, **options)

    monkeypatch.setattr(ldif_writer, "write_beside", beside)
    files.writer.write(changes)
    assert files.texts == [theirs.replace("dcmRulePriority: 1", "dcmRulePriority: 7")]
    assert list(tmp_path.iterdir()) == files.paths


def test_file_that_changes_all_the_time_is_left_to_the_other(tmp_path, monkeypatch):
    files = Files(tmp_path, CONTENT)
    changes = files.planned(at=RULE, dcmRulePriority=["7"])

    def beside(path, data, **options):
        path.write_text(path.read_text() + "# more\n")
        return write_beside(path, data, **options)

    monkeypatch.setattr(ldif_writer, "write_beside", beside)
    with pytest.raises(ConfigUnavailable, match="again and again"):
        files.writer.write(changes)
    assert "dcmRulePriority: 1" in files.texts[0]
    assert list(tmp_path.iterdir()) == files.paths


def test_entry_that_was_once_deleted_comes_behind_that(tmp_path):
    gone = f"dn: {OTHER}\nchangetype: add\nobjectClass: dcmArchiveAttributeCoercion\ncn: other\n"
    gone += f"\ndn: {OTHER}\nchangetype: delete\n"
    files = Files(tmp_path, CONTENT, gone)
    files.write(rule())
    assert files.texts[0] == CONTENT
    assert files.texts[1].startswith(gone)


@pytest.mark.parametrize("text", [CONTENT, CONTENT.replace(RULE, f"cn=elsewhere,{DEVICE}"), CONTENT + CONTENT])
def test_value_that_would_become_another_is_refused_and_nothing_written(tmp_path, monkeypatch, text):
    files = Files(tmp_path, CONTENT)
    changes = files.planned(at=RULE, dcmRulePriority=["7"])
    monkeypatch.setattr(ldif_writer, "edited", lambda _, __: [text.encode()])
    with pytest.raises(WriteRefused) as refused:
        files.writer.write(changes)
    assert [problem.dn for problem in refused.value.problems] == [RULE]
    assert files.texts == [CONTENT]


def test_folder_that_may_not_be_written_is_told_beforehand(tmp_path, monkeypatch):
    files = Files(tmp_path, CONTENT)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert files.writer.why_not is not None
    assert str(tmp_path) in files.writer.why_not


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    files = Files(tmp_path, CONTENT)
    changes = files.planned(at=RULE, dcmRulePriority=["7"])

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReadOnlyDirectory, match="No space left"):
        files.writer.write(changes)
    assert files.texts == [CONTENT]
    assert list(tmp_path.iterdir()) == files.paths


def test_same_tree_comes_out_of_the_files_and_of_the_change(tmp_path):
    files = Files(tmp_path, CONTENT, CHANGE)
    before = etag(files.entries())
    files.write(rule(dcmRulePriority=["3"]), dicomStationName=["A"])
    files.write(without=[OTHER], dicomStationName=[])
    assert etag(files.entries()) == before
