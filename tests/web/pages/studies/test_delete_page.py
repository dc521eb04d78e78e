"""A study is deleted by an administrator who has confirmed it, where the directory allows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request

from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.gate.identity import Identity, Role
from tests.fixtures.pages import Reader, reading
from tests.fixtures.service import AE, Seed
from tests.fixtures.studies import STUDY_PAGE, fill

DELETE = f"{STUDY_PAGE}/delete"


@pytest.fixture
def deleting(seed: Seed, tmp_path: Path) -> Iterator[Reader]:
    """Somebody at an archive in which studies may be deleted."""
    seed.set(AE, dcmAllowDeleteStudyPermanently="ALWAYS")
    service = seed.start()
    fill(seed, tmp_path / "sent")
    with reading(editor_of(seed.site), service) as reader:
        yield reader


@pytest.mark.ldap("dcmAllowDeleteStudyPermanently")
def test_page_names_what_is_deleted_and_does_it(deleting: Reader, seed: Seed) -> None:
    assert f"{STUDY_PAGE}/delete" in deleting.get(STUDY_PAGE).tree.xpath("//a/@href")
    page = deleting.get(DELETE)
    assert page.tree.xpath("string(//form[@method='post' and not(@action)]//button)") == "Delete 6 objects"
    files = len(seed.objects)
    done = deleting.post(DELETE)
    assert done.status == 200
    assert "6 objects are deleted" in done.text
    assert len(seed.objects) == files - 6
    assert deleting.get(STUDY_PAGE).status == 404
    assert deleting.post(DELETE).status == 404


def test_forbidden_deletion_names_the_attribute_and_deletes_nothing(studies: Reader, seed: Seed) -> None:
    files = seed.objects
    page = studies.get(DELETE)
    assert "dcmAllowDeleteStudyPermanently" in page.text
    assert not page.tree.xpath("//button[contains(text(), 'Delete')]")
    refused = studies.post(DELETE)
    assert refused.status == 409
    assert "dcmAllowDeleteStudyPermanently" in refused.tree.xpath("string(//*[@role='alert'])")
    assert seed.objects == files


class Door:
    """Lets everybody in as a viewer."""

    async def identify(self, request: Request) -> Identity:
        return Identity("anna", frozenset({Role.VIEWER}))


def test_a_viewer_sees_studies_and_cannot_delete_them(seed: Seed, tmp_path: Path) -> None:
    seed.set(AE, dcmAllowDeleteStudyPermanently="ALWAYS")
    service = seed.start()
    fill(seed, tmp_path / "sent")
    files = seed.objects
    with reading(editor_of(seed.site), service, doorkeeper=Door()) as reader:
        page = reader.get(STUDY_PAGE)
        assert page.status == 200
        assert f"{STUDY_PAGE}/delete" not in page.tree.xpath("//a/@href")
        assert reader.get(DELETE).status == 403
        assert reader.client.post(DELETE).status_code == 403
    assert seed.objects == files
