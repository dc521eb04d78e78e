from pathlib import Path

import pytest

from dcm4py_leading.config.placeholders import data_dir_properties, expander


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain $1 {0020000D}", "plain $1 {0020000D}"),
        ("${site}", "clinic"),
        ("${site:other}", "clinic"),
        ("${absent:fallback}", "fallback"),
        ("${absent:}", ""),
        ("${absent:file:///srv}", "file:///srv"),
        ("${env.HOME_OF_ARCHIVE:x}", "/srv"),
        ("${env.ABSENT:x}", "x"),
        ("a${site}b${site}", "aclinicbclinic"),
    ],
)
def test_placeholder_takes_property_then_environment_then_default(text, expanded):
    assert expander({"site": "clinic"}, {"HOME_OF_ARCHIVE": "/srv"})(text) == expanded


def test_property_wins_over_environment():
    assert expander({"env.X": "property"}, {"X": "environment"})("${env.X}") == "property"


@pytest.mark.parametrize("text", ["a ${absent} b", "${env.ABSENT}"])
def test_unresolved_placeholder_is_named(text):
    with pytest.raises(ValueError, match=r"placeholder \$\{(absent|env\.ABSENT)\}"):
        expander({}, {})(text)


def test_jboss_folders_lie_below_the_data_dir():
    properties = data_dir_properties(Path("/srv/my data"))
    assert properties["jboss.server.storage.dir"] == "/srv/my data/storage"
    assert properties["jboss.server.storage.url"] == "file:///srv/my%20data/storage"
    assert set(properties) == {f"jboss.server.{n}.{k}" for n in ("data", "storage", "temp") for k in ("dir", "url")}
