"""Whatever differs between two trees: its changes lead from the one to the other, in memory, as LDIF, and in files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.directory import Directory
from dcm4py_leading.config.ldif.records import decode_ldif, parse_ldif
from dcm4py_leading.config.ldif.text import to_ldif
from dcm4py_leading.config.writing.applied import applied
from dcm4py_leading.config.writing.changes import changes_between
from dcm4py_leading.config.writing.conflicts import conflict_of
from dcm4py_leading.config.writing.ldif_edit import edited
from dcm4py_leading.config.writing.state import etag
from dcm4py_leading.config.writing.text import ldif_of
from tests.fixtures.trees import DEVICE

VALUES = st.lists(
    st.one_of(
        st.sampled_from(["a", "b", "b=1", "ä", " x", "x ", ":y", "<z", "\\xff", "two words"]),
        st.text("ab\n\r\\# ", min_size=1),
    ),
    unique_by=lambda value: " ".join(value.split()),
    max_size=3,
)
"""Of an attribute that is compared with its case."""
NAMES = ("dcmProperty", "dcmMergeAttribute", "dcmCoercionParam", "dcmNullifyTag")


@st.composite
def rules(draw):
    found = {}
    for name in draw(st.sets(st.sampled_from(["one", "two", "three"]))):
        values = {attribute: draw(VALUES) for attribute in draw(st.sets(st.sampled_from(NAMES)))}
        classes = {"objectClass": ["dcmArchiveAttributeCoercion"], "cn": [name]}
        found[name] = Entry.of(f"cn={name},{DEVICE}", {**classes, **values})
    return tuple(found.values())


@st.composite
def trees(draw):
    device = {"objectClass": ["dicomDevice"], "dicomDeviceName": ["dcm4chee-arc"]}
    values = {"dicomSoftwareVersion": draw(VALUES), "dicomStationName": draw(VALUES)[:1]}
    return (Entry.of(DEVICE, {**device, **values}), *draw(rules()))


@given(trees(), trees())
def test_changes_lead_from_the_one_to_the_other_and_back(old, new):
    changes = changes_between(old, new)
    assert etag(applied(old, changes)) == etag(new)
    assert etag(applied(new, [change.reversed() for change in reversed(changes)])) == etag(old)
    assert (changes == ()) == (etag(old) == etag(new))
    found = {entry.key: entry for entry in old}
    assert not any(conflict_of(change, found.get(Entry(change.dn, {}).key)) for change in changes)


@given(trees(), trees())
def test_so_does_their_ldif(old, new):
    directory = Directory(old)
    file = parse_ldif(ldif_of(changes_between(old, new)), "a.ldif")
    assert (file.problems, directory.apply(file)) == ((), [])
    assert etag(directory) == etag(new)


@given(trees(), trees(), trees(), st.booleans())
def test_so_does_what_files_become(first, old, new, is_windows):
    """Of a file with content, and one with changes of it."""
    texts = [f"# The tree.\n{to_ldif(first)}\n# Its end.", ldif_of(changes_between(first, old))]
    end = "\r\n" if is_windows else "\n"
    data = [(name, text.replace("\n", end).encode()) for name, text in zip("ab", texts, strict=True)]
    directory = Directory()
    for name, octets in zip("ab", edited(data, changes_between(old, new)), strict=True):
        file = decode_ldif(octets, name)
        assert (file.problems, directory.apply(file)) == ((), [])
        assert octets.count(b"\n") == octets.count(end.encode())
    assert etag(directory) == etag(new)


@given(trees(), trees(), trees())
def test_changes_that_fit_another_tree_too_take_nothing_from_it(base, wanted, theirs):
    """What others have made of the base stays, unless there is a conflict."""
    changes = changes_between(base, wanted)
    found = {entry.key: entry for entry in theirs}
    if any(conflict_of(change, found.get(Entry(change.dn, {}).key)) for change in changes):
        return
    result = {entry.key: entry for entry in applied(theirs, changes)}
    before = {entry.key: entry for entry in base}
    after = {entry.key: entry for entry in wanted}
    for key, entry in found.items():
        for name in entry:
            for value in entry.values(name):
                was_taken = key not in after or value not in after[key].values(name)
                is_ours = key in before and value in before[key].values(name)
                if not (was_taken and is_ours):
                    assert value in result[key].values(name)
