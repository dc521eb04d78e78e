"""The tests mirror the package: each module has a test of its name, or one that imports it, or a row here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.slapd import REPOSITORY

PACKAGE, TESTS = REPOSITORY / "dcm4py_leading", REPOSITORY / "tests"
TESTED_BY = {
    "archive/index/writing/": ("contract/test_index.py",),
    "archive/migrations/": ("archive/test_migrations.py",),
    "calls/dicomweb.py": ("workers/test_searching_workers.py",),
    "calls/retrieving.py": ("workers/test_retrieving_workers.py",),
    "calls/storing.py": ("workers/test_storing_workers.py",),
    "calls/stream.py": ("workers/test_searching_workers.py",),
    "cli/": ("test_command_line.py", "cli/test_commands.py"),
    "cli/drift.py": ("test_command_line_drift.py",),
    "cli/explain.py": ("test_command_line_explain.py",),
    "cli/http_options.py": ("test_command_line_http.py",),
    "cli/installation.py": ("installation/test_shared.py", "installation/test_packages.py"),
    "cli/ldif.py": ("test_command_line_ldif.py",),
    "cli/sending/": ("test_command_line_sending.py",),
    "cli/service.py": ("test_command_line_service.py",),
    "cli/service_client.py": ("test_command_line_service.py", "test_command_line_http.py"),
    "cli/studies/": ("test_command_line_studies.py",),
    "cli/user.py": ("test_command_line_user.py",),
    "composition/announce.py": ("wire/test_following_files.py",),
    "composition/build.py": ("wire/test_associations_and_reload.py",),
    "composition/differences.py": ("wire/test_following_files.py", "interop/test_following.py"),
    "config/attribute_filters.py": ("config/test_loader.py",),
    "config/attributes/": ("config/test_rows.py",),
    "config/device_json/": ("config/device_json/test_document.py", "config/device_json/test_reading.py"),
    "config/inherit.py": ("config/test_loader.py",),
    "config/ldif/lint_values.py": ("config/ldif/test_lint.py",),
    "config/ldif/mend.py": ("config/ldif/test_fix.py",),
    "config/ldif/schema_table.py": ("config/ldif/test_schema.py",),
    "config/named_titles.py": ("config/test_check.py",),
    "config/report/": ("config/report/test_inventory.py", "config/report/test_show.py"),
    "config/sources/": ("config/following/test_fallback_source.py", "config/following/test_watch.py"),
    "config/writing/": ("config/writing/test_changes.py", "config/writing/test_laws.py"),
    "configuration.py": ("wire/test_associations_and_reload.py", "interop/test_following.py"),
    "dataset/dicom_json/tree.py": ("web/dicomweb/test_metadata.py",),
    "dataset/pixels/": ("dataset/pixels/test_pixel_data.py",),
    "dataset/pydicom_bridge.py": ("dataset/test_elements.py",),
    "dataset/text/": ("dataset/text/test_text.py",),
    "dicom/scp/echo.py": ("interop/test_echo.py",),
    "dicom/scp/other_processes.py": ("wire/test_new_associations.py", "workers/test_serve_workers.py"),
    "dicom/scp/retrieve.py": ("wire/test_move_and_get.py",),
    "dicom/scp/store.py": ("wire/test_store.py",),
    "dicom/scu/export.py": ("interop/test_exported.py",),
    "dicom/scu/storage_association.py": ("wire/test_move_and_get.py",),
    "dicom/upstream/": ("wire/test_proxy_retrieve.py", "wire/test_proxy_get.py", "wire/test_proxy_find.py"),
    "dicom/upstream/store.py": ("wire/test_proxy_store.py",),
    "drifting/": ("wire/test_drift_jobs.py", "test_command_line_drift.py"),
    "leading/guarded.py": ("leading/test_lookup.py",),
    "process.py": ("wire/test_associations_and_reload.py", "interop/test_stop_and_start.py"),
    "service/deleting/study_caches.py": ("wire/test_deleted_studies.py",),
    "service/find/": ("wire/test_find.py", "wire/test_leading_first.py"),
    "service/dicomweb/": ("web/dicomweb/test_search.py",),
    "service/find/memo.py": ("wire/test_find_fast.py",),
    "service/importing/": ("test_command_line_studies.py",),
    "service/leading_first.py": ("wire/test_leading_first.py",),
    "service/leading/view.py": ("web/pages/leading/test_leading_page.py",),
    "service/picture/": ("service/picture/test_decoders.py", "service/picture/test_picture.py"),
    "service/proxy/store_archive.py": ("wire/test_proxy_store.py",),
    "service/proxy/store_forward.py": ("wire/test_proxy_store.py",),
    "service/retrieve/": ("service/retrieve/test_bytewise_coercion.py", "wire/test_move_and_get.py"),
    "service/retrieve/external_retrieve.py": ("wire/test_fetched_back.py",),
    "service/retrieve/leading_first.py": ("wire/test_leading_first.py",),
    "service/studies/comparing.py": ("service/studies/test_three_values.py",),
    "service/trying/subject.py": ("wire/test_tried_rules.py",),
    "web/dicomweb/": ("web/dicomweb/test_search.py",),
    "web/own/": ("web/own/test_metrics.py", "web/own/test_running.py"),
    "web/pages/": ("web/pages/test_render.py", "browser/test_every_page.py"),
    "web/pages/changing/": ("web/pages/entry/test_pages.py",),
    "web/pages/coercions/": ("web/pages/coercions/test_page.py",),
    "web/pages/drift/": ("browser/test_drift_pages.py",),
    "web/pages/entry/": ("web/pages/entry/test_pages.py", "web/pages/entry/test_new_device.py"),
    "web/pages/jobs/": ("web/pages/jobs/test_job_pages.py",),
    "web/pages/leading/": ("web/pages/leading/test_leading_page.py", "web/pages/leading/test_answers_page.py"),
    "web/pages/studies/": ("web/pages/studies/test_search_page.py", "web/pages/studies/test_study_page.py"),
    "web/pages/studies/edit_form.py": ("web/pages/studies/test_edit.py",),
    "web/pages/studies/edit_routes.py": ("web/pages/studies/test_edit.py",),
    "web/pages/studies/deleting.py": ("web/pages/studies/test_delete_page.py",),
    "web/pages/trying/": ("web/pages/trying/test_page.py",),
    "web/rest/archive/": ("interop/test_edited_archive.py", "interop/test_exported.py", "wire/test_deleted_studies.py"),
    "web/rest/configuration/": ("web/rest/configuration/test_devices.py", "web/rest/configuration/test_lists.py"),
    "web/rest/openapi/": ("web/rest/test_openapi.py",),
    "web/rest/own/": ("wire/test_drift_jobs.py", "interop/test_sent_by_job.py"),
    "workers/": ("workers/test_serve_workers.py", "workers/test_control_of_workers.py"),
}
"""Tests of modules, or of all in a folder, that are tried through what calls them."""


def imports(path: Path) -> Iterator[str]:
    """Full names of what a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """What the tests import, without the fixtures."""
    return {name for path in TESTS.rglob("test_*.py") for name in imports(path)}


def has_test(module: Path, imported: set[str]) -> bool:
    """True if a module, by its path in the package, is tested by a file of its name, directly, or as a row says."""
    name = ".".join((PACKAGE.name, *module.with_suffix("").parts))
    places = {str(module), *(f"{parent}/" for parent in module.parents)}
    return (
        (TESTS / module.with_name(f"test_{module.name}")).is_file() or name in imported or bool(places & {*TESTED_BY})
    )


def test_every_module_has_a_test(imported: set[str]) -> None:
    modules = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    assert len(modules) > 300
    untested = sorted(str(module) for module in modules if not has_test(module, imported))
    assert untested == [], "give each a test of its name, or a row in TESTED_BY"


def test_module_without_a_test_is_found(imported: set[str]) -> None:
    assert not has_test(Path("model/no_such_module.py"), imported)
    assert has_test(Path("model/values.py"), imported)


@pytest.mark.parametrize("tested", TESTED_BY)
def test_rows_name_what_there_is(tested: str) -> None:
    assert (PACKAGE / tested).exists()
    assert [test for test in TESTED_BY[tested] if not (TESTS / test).is_file()] == []
