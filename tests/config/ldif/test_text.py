from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.directory import Directory
from dcm4py_leading.config.ldif.records import parse_ldif
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.ldif.text import to_ldif
from dcm4py_leading.config.snapshot import load_snapshot
from tests.fixtures import trees


def read_back(text):
    directory = Directory()
    file = parse_ldif(text, "text")
    assert [*file.problems, *directory.apply(file)] == []
    return list(directory)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("plain", "description: plain"),
        ("Grüße", "description:: R3LDvMOfZQ=="),
        (" leads", "description:: IGxlYWRz"),
        ("trails ", "description:: dHJhaWxzIA=="),
        (":", "description:: Og=="),
        ("< x", "description:: PCB4"),
        ("a\nb", "description:: YQpi"),
        ("a: b", "description: a: b"),
        ("", "description: "),
    ],
)
def test_value_is_base64_where_it_would_not_be_read_back(value, line):
    assert line in to_ldif([trees.entry("cn=x", "device", description=value)]).splitlines()


values = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3, unique=True)


@given(st.dictionaries(st.sampled_from(["description", "dcmProperty", "seeAlso"]), values))
def test_whatever_an_entry_holds_is_read_back(attributes):
    entry = Entry.of("cn=Grüße\\, x,dc=y", {"objectClass": ["device"], "cn": ["Grüße, x"], **attributes})
    (found,) = read_back(to_ldif([entry]))
    assert found.dn == entry.dn
    assert {name: set(found.values(name)) for name in found} == {name: set(entry.values(name)) for name in entry}


def test_stock_tree_is_the_same_device_when_it_is_written_and_read_back(upstream, tmp_path):
    def load(source):
        return load_snapshot(source, "dcm4chee-arc", properties={}, data_dir=Path("/srv/data"), environment={})

    stock = LdifSource(upstream.stock_content)
    path = tmp_path / "tree.ldif"
    path.write_text(to_ldif(stock.entries()))
    assert load(LdifSource([path])).fingerprint == load(stock).fingerprint
