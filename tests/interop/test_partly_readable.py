"""A directory that does not show us everything: access rules, referrals, names in another spelling."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldap.source import LdapSource
from dcm4py_leading.config.ldif.source import LdifSource
from dcm4py_leading.config.snapshot import Snapshot, load_snapshot
from dcm4py_leading.errors import ConfigInvalid
from tests.fixtures.directory import BASE_DN
from tests.fixtures.respelt import respelt
from tests.fixtures.slapd import OUR_LDIF, OUR_SCHEMA, Slapd, SlapdFactory
from tests.fixtures.trees import DEVICE, DEVICES

pytestmark = pytest.mark.peers

NUMBER_OR_UID = re.compile("[0-9.]+")
QUICKSTART = OUR_LDIF / "quickstart.ldif"


class GuardedSlapd(Slapd):
    """A Slapd with access rules: an anonymous client does not see what ``hidden`` names."""

    hidden = f"cn=dicom,{DEVICE}"

    def _write_config_file(self, schema: object) -> Path:
        path = super()._write_config_file(OUR_SCHEMA)
        rules = f'access to dn.subtree="{self.hidden}" by * none\naccess to * by * read\nlimits * size=unlimited\n'
        path.write_text(path.read_text("utf-8").replace("database monitor", f"{rules}database monitor"), "utf-8")
        return path


def load(source: LdapSource | LdifSource) -> Snapshot:
    return load_snapshot(source, "dcm4chee-arc", properties={}, data_dir=Path("/srv/data"), environment={})


def test_a_connection_that_may_not_be_read_is_told_with_that_possibility(
    slapd_factory: SlapdFactory, tmp_path: Path
) -> None:
    with GuardedSlapd(tmp_path, content=[QUICKSTART]) as slapd:
        assert load(LdapSource([f"{slapd.url}/{BASE_DN}"], bind_dn=slapd.bind_dn, password=slapd.password))
        with pytest.raises(ConfigInvalid) as refused:
            load(LdapSource([f"{slapd.url}/{BASE_DN}"]))

    (problem,) = (found for found in refused.value.problems if found.attribute == "dicomNetworkConnectionReference")
    assert "or we may not read it" in problem.reason


def test_a_tree_in_another_spelling_is_the_same_configuration_out_of_a_server(slapd_factory: SlapdFactory) -> None:
    plain = LdifSource([QUICKSTART])
    above = [entry for entry in plain.entries() if DEVICES.lower() not in entry.dn.lower() or entry.dn == DEVICES]
    below = [entry for entry in plain.entries() if entry not in above]
    other = sorted(respelt(below, random.Random(5)), key=lambda entry: len(entry.key))

    slapd = slapd_factory(content=["".join(map(written, [*above, *other]))])
    source = LdapSource([f"{slapd.url}/{BASE_DN}"], bind_dn=slapd.bind_dn, password=slapd.password)

    assert load(source).device == load(plain).device
    assert load(source).fingerprint == load(plain).fingerprint


def written(entry: Entry) -> str:
    """An LDIF record. slapd itself is strict where the syntax is not text."""
    lines = [f"dn: {entry.dn}"]
    for name in entry:
        for value in entry.values(name):
            plain = value.strip()
            if plain.upper() in ("TRUE", "FALSE"):
                value = plain.upper()
            elif NUMBER_OR_UID.fullmatch(plain) or name == "objectclass":
                value = plain
            lines.append(f"{entry.spell(name)}: {value}")
    return "\n".join(lines) + "\n\n"
