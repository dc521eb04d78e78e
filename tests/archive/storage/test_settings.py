"""Settings of a storage of files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcm4py_leading.archive.storage.settings import INCOMING, check_descriptor, digest_name_of, has_files, root_of
from dcm4py_leading.errors import ConfigInvalid
from dcm4py_leading.model.archive import StorageDescriptor

STORAGE = StorageDescriptor(dn="dcmStorageID=fs1", storage_id="fs1", uri="file:///srv/archive")


@pytest.mark.parametrize(
    ("uri", "root"),
    [
        ("file:///srv/archive", "/srv/archive"),
        ("file:/srv/archive/", "/srv/archive"),
        ("file://localhost/srv/a%20b", "/srv/a b"),
        ("file:///srv/x/../archive", "/srv/archive"),
    ],
)
def test_the_root_is_the_path_of_the_uri(uri: str, root: str) -> None:
    assert root_of(replace(STORAGE, uri=uri)) == Path(root)


@pytest.mark.parametrize(
    "uri", ["", "/srv/archive", "file:archive", "file://server/srv", "s3://bucket/a", "http://a/b"]
)
def test_another_uri_is_refused_with_its_entry_and_attribute(uri: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        check_descriptor(replace(STORAGE, uri=uri))
    (problem,) = caught.value.problems
    assert (problem.dn, problem.attribute, problem.value) == ("dcmStorageID=fs1", "dcmURI", uri)


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(None, None), ("MD5", "md5"), ("SHA-1", "sha1"), ("sha-256", "sha256"), ("SHA512", "sha512")],
)
def test_a_digest_has_its_name_in_python(algorithm: str | None, name: str | None) -> None:
    assert digest_name_of(replace(STORAGE, digest_algorithm=algorithm)) == name


@pytest.mark.parametrize(
    ("attribute", "changes"),
    [
        ("dcmDigestAlgorithm", {"digest_algorithm": "CRC32"}),
        ("dcmStoragePathFormat", {"storage_path_format": "{nonsense}"}),
    ],
)
def test_what_cannot_be_used_is_refused(attribute: str, changes: dict[str, Any]) -> None:
    check_descriptor(STORAGE)
    with pytest.raises(ConfigInvalid) as caught:
        check_descriptor(replace(STORAGE, **changes))
    assert [problem.attribute for problem in caught.value.problems] == [attribute]


def test_files_in_flight_are_no_files_of_the_storage(tmp_path: Path) -> None:
    descriptor = replace(STORAGE, uri=tmp_path.as_uri())
    assert not has_files(replace(STORAGE, uri=(tmp_path / "absent").as_uri()))
    (tmp_path / INCOMING).mkdir()
    (tmp_path / INCOMING / "0123456789abcdef").touch()
    (tmp_path / "2026" / "11").mkdir(parents=True)
    assert not has_files(descriptor)
    (tmp_path / "2026" / "11" / "object").touch()
    assert has_files(descriptor)
