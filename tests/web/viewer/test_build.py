"""Folders that are OHIF builds and those that are none, and what of them is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcm4py_leading.web.viewer.build import ViewerBuild, WrongViewer, is_hashed, moved

INDEX = '<script>window.PUBLIC_URL="/"</script><script src="/app-config.js"></script><link href="/app.css">'


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "ort").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "app.js").write_text('__webpack_require__.p = "/";')
    (folder / "ort" / "app.js").write_text("")
    (tmp_path / "secret.js").write_text("")
    (folder / "out.js").symlink_to(tmp_path / "secret.js")
    (folder / "within.js").symlink_to("app.js")
    return folder


@pytest.mark.parametrize(
    ("text", "told"), [(None, "No such file"), (b"\xff", "is no page"), (b"<html>", "does not ask for app-config.js")]
)
def test_folder_that_is_no_build_is_named(tmp_path: Path, text: bytes | None, told: str) -> None:
    if text is not None:
        (tmp_path / "index.html").write_bytes(text)
    with pytest.raises(WrongViewer, match=told) as raised:
        ViewerBuild.of(str(tmp_path))
    assert str(raised.value).startswith(f"{tmp_path}: ")


def test_only_files_within_the_folder_are_served(dist: Path) -> None:
    build = ViewerBuild.of(str(dist))
    assert build.file("app.js") == build.file("within.js") == dist / "app.js"
    assert build.file("ort/app.js") == dist / "ort" / "app.js"
    for name in ("out.js", "../secret.js", "/etc/passwd", "ort", "", ".", "missing.js", "a\0b", "x" * 300, "app.js/x"):
        assert build.file(name) is None, name


def test_build_for_the_root_is_led_below_the_viewer(dist: Path) -> None:
    build = ViewerBuild.of(str(dist))
    page = build.page("n1")
    assert 'PUBLIC_URL="/viewer/"' in page
    assert '<script nonce="n1" src="/viewer/app-config.js">' in page
    assert 'href="/viewer/app.css"' in page
    assert build.is_moved(dist / "app.js") and not build.is_moved(dist / "ort" / "app.js")
    assert moved(b'__webpack_require__.p = "/";') == b'__webpack_require__.p = "/viewer/";'
    assert moved(b"url(/a.woff2) url(//other/b)") == b"url(/viewer/a.woff2) url(//other/b)"


def test_build_for_the_viewer_stays_as_it_is(dist: Path) -> None:
    text = INDEX.replace('"/', '"/viewer/')
    (dist / "index.html").write_text(text)
    build = ViewerBuild.of(str(dist))
    assert build.page("n").replace(' nonce="n"', "") == text
    assert not build.is_moved(dist / "app.js")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("app.bundle.0f6159c501addfe9.js", True),
        ("0ddf166f7a343eda.wasm", True),
        ("app.bundle.css", False),
        ("init-service-worker.js", False),
    ],
)
def test_names_with_a_hash_never_change(name: str, expected: bool) -> None:
    assert is_hashed(Path(name)) is expected
