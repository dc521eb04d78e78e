"""``studies import``: store the files below a directory as a C-STORE to an AE would."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import click

from dcm4py_leading import log, progress
from dcm4py_leading.archive.data_directory import open_index
from dcm4py_leading.cli.command import PROBLEMS, fail
from dcm4py_leading.cli.source_options import source_options
from dcm4py_leading.composition.build import build_runtime
from dcm4py_leading.composition.check import Checked, check
from dcm4py_leading.composition.data import open_storages, use_data_directory
from dcm4py_leading.composition.site import Site
from dcm4py_leading.errors import IndexUnavailable, StorageUnavailable
from dcm4py_leading.leading.last_known import FILE_NAME, LastKnown
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.counts import ServiceCounts
from dcm4py_leading.service.importing.files import Import, ImportedFile, Outcome, files_below
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves
from dcm4py_leading.service.proxy.spool import Spool
from dcm4py_leading.service.runtime import Runtime

_TOLD: Mapping[Outcome, str] = {Outcome.NO_DICOM: "no DICOM file", Outcome.DICOMDIR: "a DICOMDIR, passed over"}


def add_import_command(studies: click.Group) -> None:
    """Register the command."""

    @studies.command(
        name="import",
        short_help="Store the DICOM files below a directory.",
        examples=["dcm4py-leading studies import /media/cdrom --ldif tree.ldif --data-dir ~/dcm4py --ae DCM4CHEE"],
    )
    @click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
    @source_options
    @click.option("--ae", required=True, metavar="AET", help="Of ours: it stores them, by its rules and policies.")
    @click.option("--sending", metavar="AET", help="Whom rules take for the sender. Default: nobody.")
    def import_command(directory: Path, site: Site, ae: str, sending: str | None) -> None:
        """Store all DICOM files below DIRECTORY, as a C-STORE to the AE stores them: coerced, duplicates as configured.

        It may run beside the service, on the same data directory. What fails is told, and the exit code is 1 then.
        Started again, it passes over what is stored already, unless dcmOverwritePolicy says otherwise.
        """
        checked = check(site)
        local_ae = _storing_ae(checked, ae)
        if sending is not None:
            _title(sending, "--sending")
        try:
            with _runtime(site, checked) as runtime:
                counts = _import(directory, Import(runtime, local_ae, sending))
        except OSError as err:
            fail(f"{err.filename or directory}: {err.strerror or err}", PROBLEMS)
        named = [f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome]]
        click.echo(f"{counts.total()} files: {', '.join(named) or 'none'}")
        if counts[Outcome.FAILED]:
            sys.exit(PROBLEMS)


def _import(directory: Path, importing: Import) -> Counter[Outcome]:
    """Store each file, and print a line for each failure. Ends the program when nothing can be stored any more."""
    counts: Counter[Outcome] = Counter()
    with progress.waiting(f"looking at {directory}"):
        total = sum(1 for _ in files_below(directory))
    with progress.bar(total, "files") as bar:
        for path in files_below(directory):
            try:
                imported = importing.store(path)
            except (StorageUnavailable, IndexUnavailable) as err:
                done = f"{counts.total()} of {total} files were looked at"
                fail(f"{path}: {err}. Stopped: {done}; the same command goes on from there", PROBLEMS)
            counts[imported.outcome] += 1
            if (told := _told(imported)) is not None:
                bar.say(told)
            bar.step()
    return counts


def _told(imported: ImportedFile) -> str | None:
    reason = imported.reason or _TOLD.get(imported.outcome)
    return None if reason is None else f"{log.foreign(str(imported.file))}: {reason}"


@contextmanager
def _runtime(site: Site, checked: Checked) -> Iterator[Runtime]:
    """Runtime that stores, in the data directory, which a service may use at the same time."""
    site.data_dir.mkdir(parents=True, exist_ok=True)
    log.use_reference_key(site.data_dir)
    with use_data_directory(site, checked) as directory:
        directory.share()
        most = site.leading_settings.last_known_max_rows
        with (
            closing(open_index(site.data_dir, may_upgrade=False)) as index,
            closing(LastKnown(site.data_dir / FILE_NAME, max_rows=most, now=time.time)) as last_known,
        ):
            storages = open_storages(checked.snapshot.device, {}, index)
            forwards = ForwardedRetrieves(spool=Spool(site.data_dir))
            runtime = build_runtime(checked, site, index, storages, last_known, ServiceCounts(), forwards)
            with closing(runtime):
                yield runtime


def _storing_ae(checked: Checked, text: str) -> ApplicationEntity:
    """The AE of the device that stores. Raises UsageError."""
    device = checked.snapshot.device
    found = device.application_entity(_title(text, "--ae"))
    if found is None:
        named = ", ".join(sorted(ae.ae_title for ae in device.application_entities))
        raise click.UsageError(f"--ae: the device has no {text}, but {named}")
    behind = found.settings.archive_behind
    if behind is not None:
        raise click.UsageError(f"--ae: {text} is in front of {behind} and stores nothing itself: send to that")
    return found


def _title(text: str, name: str) -> AETitle:
    try:
        return AETitle(text)
    except ValueError as err:
        raise click.UsageError(f"{name}: {err}") from err
