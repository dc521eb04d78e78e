"""The viewer over HTTP: its files, its headers, who gets it, and the links to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from starlette.requests import Request

from dcm4py_leading.editing import editor_of
from dcm4py_leading.web.app import Configured, create_app
from dcm4py_leading.web.gate.identity import Identity, Role
from dcm4py_leading.web.login.endpoints import own_page
from dcm4py_leading.web.viewer.app_config import app_config
from dcm4py_leading.web.viewer.build import ViewerBuild
from dcm4py_leading.web.viewer.links import study_in_viewer
from tests.fixtures.http import served
from tests.fixtures.pages import Reader
from tests.fixtures.service import Seed
from tests.fixtures.studies import STUDY, STUDY_PAGE, fill

HASHED = "app.bundle.0f6159c501addfe9.js"
LINK = f"/viewer/viewer/DCM4CHEE?StudyInstanceUIDs={STUDY}.1"
SCRIPT = '__webpack_require__.p = "/";'


class Doorkeeper:
    """Believes whatever role the cookie of a request says."""

    async def identify(self, request: Request) -> Identity | None:
        role = request.cookies.get("role")
        return None if role is None else Identity(role, frozenset({Role(role)}))


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("viewer")
    dist = folder / "dist"
    dist.mkdir()
    (dist / "index.html").write_text('<!doctype html><script src="/app-config.js"></script>')
    (dist / HASHED).write_text(SCRIPT)
    for name in ("sw.js", "a.wasm", "b.mjs", "app-config.js"):
        (dist / name).write_text("other")
    with ExitStack() as running:
        seed = Seed(folder, running)
        service = seed.start()
        fill(seed, folder / "sent")
        configured = Configured(editor_of(seed.site), "dcm4chee-arc")
        build = ViewerBuild.of(str(dist))
        app = create_app(service, configured=configured, doorkeeper=Doorkeeper(), viewer=build)
        client = running.enter_context(served(app=app))
        client.cookies.set("role", "viewer")
        yield client


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("sw.js", "text/javascript; charset=utf-8"),
        ("b.mjs", "text/javascript; charset=utf-8"),
        ("a.wasm", "application/wasm"),
    ],
)
def test_files_have_the_media_types_that_browsers_need(http: httpx.Client, name: str, media_type: str) -> None:
    answer = http.get(f"/viewer/{name}")
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "private, no-cache"
    again = http.get(f"/viewer/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_hashed_file_is_kept_and_knows_its_place(http: httpx.Client) -> None:
    answer = http.get(f"/viewer/{HASHED}")
    assert answer.text == '__webpack_require__.p = "/viewer/";'
    assert "immutable" in answer.headers["cache-control"]
    assert http.head(f"/viewer/{HASHED}").headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize("path", ["/viewer/", "/viewer/viewer", "/viewer/viewer/ARCHIVE", "/viewer/viewer/AE.1"])
def test_places_of_the_application_are_its_page(http: httpx.Client, path: str) -> None:
    answer = http.get(path, headers={"Accept": "text/html,*/*"})
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "'wasm-unsafe-eval'" in policy and "http" not in policy and "'unsafe-eval'" not in policy
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert f'<script nonce="{nonce}" src="/viewer/app-config.js">' in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/viewer/missing.js", "/viewer/%2e%2e/tree.ldif", "/viewer/..%2ftree.ldif"])
def test_what_is_not_there_is_404(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_configuration_names_the_aes_of_the_device(http: httpx.Client) -> None:
    answer = http.get("/viewer/app-config.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert '"defaultDataSourceName": "DCM4CHEE"' in answer.text
    assert '"qidoRoot": "/dcm4chee-arc/aets/DCM4CHEE/rs"' in answer.text
    assert '"routerBasename": "/viewer"' in answer.text


def test_ae_titles_are_quoted_where_they_stand() -> None:
    text = app_config(['A"/B'])
    assert '"sourceName": "A\\"/B"' in text
    assert '"/dcm4chee-arc/aets/A%22%2FB/rs"' in text
    assert json.dumps(None) in app_config([])
    assert study_in_viewer("A /B", "1.2") == "/viewer/viewer/A%20%2FB?StudyInstanceUIDs=1.2"


def test_pages_of_studies_lead_to_the_viewer(http: httpx.Client) -> None:
    assert f'href="{LINK}"' in http.get(STUDY_PAGE).text
    own = {"Sec-Fetch-Site": "same-origin"}
    assert f'href="{LINK}"' in http.post("/ui/studies", data={"aet": "DCM4CHEE"}, headers=own).text


def test_links_made_for_ohif_at_the_root_lead_to_the_study(http: httpx.Client) -> None:
    assert http.get("/viewer").headers["location"] == "/viewer/"
    answer = http.get("/viewer?StudyInstanceUIDs=1.2.3")
    assert answer.headers["location"] == "/viewer/viewer?StudyInstanceUIDs=1.2.3"


@pytest.mark.parametrize("path", ["/viewer", "/viewer/", f"/viewer/{HASHED}", "/viewer/app-config.js", LINK])
def test_whoever_has_not_logged_in_is_led_to_the_log_in_and_back(http: httpx.Client, path: str) -> None:
    answer = httpx.get(http.base_url.join(path), trust_env=False)
    assert answer.status_code == 303
    target = httpx.URL(answer.headers["location"])
    assert target.path == "/ui/login"
    assert own_page(target.params["next"]) == path


def test_link_of_another_site_asks_once_more_for_the_cookie(http: httpx.Client) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert 'http-equiv="refresh"' in httpx.get(http.base_url.join(LINK), headers=link, trust_env=False).text
    script = {**link, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}
    assert http.get(f"/viewer/{HASHED}", headers=script).status_code == 403


def test_session_searches_and_retrieves_but_does_not_store(http: httpx.Client) -> None:
    studies = "/dcm4chee-arc/aets/DCM4CHEE/rs/studies"
    assert http.get(studies).status_code == 200
    assert http.get(f"{studies}/{STUDY}.1/metadata").status_code == 200
    anna = {"Cookie": "role=administrator", "Sec-Fetch-Site": "same-origin", "Content-Type": "application/dicom"}
    refused = httpx.post(http.base_url.join(studies), content=b"", headers=anna, trust_env=False)
    assert (refused.status_code, refused.json()["errorMessage"][:9]) == (403, "a session")


def test_pages_without_a_viewer_have_no_link(studies_to_read: Reader) -> None:
    assert "/viewer/" not in studies_to_read.client.get(STUDY_PAGE).text
