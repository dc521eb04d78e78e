"""The group ``studies``, and its reading commands: list, show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dcm4py_leading.cli.command import PROBLEMS, fail
from dcm4py_leading.cli.source_options import data_dir_option
from dcm4py_leading.cli.studies import forms, reading
from dcm4py_leading.cli.studies.deleting import add_delete_command
from dcm4py_leading.cli.studies.importing import add_import_command
from dcm4py_leading.errors import Dcm4pyError

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_DATES = re.compile(r"\d{8}|\d{8}-(\d{8})?|-\d{8}")


class _Dates(click.ParamType):  # type: ignore[type-arg]
    """Days as a C-FIND has them; a day may be written with hyphens."""

    name = "dates"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        dates = _DATE.sub(r"\1\2\3", str(value))
        if not _DATES.fullmatch(dates):
            self.fail(f"expected a day, FROM-TO, FROM- or -TO, each as YYYYMMDD, not {value!r}", param, ctx)
        return dates


def add_studies_commands(main: click.Group) -> None:
    """Register the group."""

    @main.group(short_help="List, show, delete or import stored studies.")
    def studies() -> None:
        """Stored studies: list and show read the index, delete asks the running service, import stores files."""

    _add_list_command(studies)
    _add_show_command(studies)
    add_delete_command(studies)
    add_import_command(studies)


def _add_list_command(studies: click.Group) -> None:
    @studies.command(
        name="list",
        short_help="Print which studies are stored.",
        examples=[
            "dcm4py-leading studies list --data-dir ~/dcm4py",
            "dcm4py-leading studies list --patient-name 'doe*' --date 20250101- --json",
        ],
    )
    @data_dir_option("Where the index is.")
    @click.option("--patient-id", metavar="ID", help="Wild cards: * and ?.")
    @click.option("--patient-name", metavar="NAME", help="In any case; wild cards: * and ?.")
    @click.option("--date", type=_Dates(), metavar="DATES", help="A day, FROM-TO, FROM- or -TO, as YYYYMMDD.")
    @click.option("--modality", metavar="CS", help="Of a series of the study, such as CT.")
    @click.option("--accession", metavar="NUMBER", help="Accession Number; wild cards: * and ?.")
    @click.option("--json", "as_json", is_flag=True, help="JSON, with all attributes.")
    @_telling_errors
    def list_studies(
        data_dir: Path,
        patient_id: str | None,
        patient_name: str | None,
        date: str | None,
        modality: str | None,
        accession: str | None,
        as_json: bool,
    ) -> None:
        """Print the stored studies, oldest first, in two lines each. This is patient data.

        It reads the index, also beside the running service.
        """
        given = {
            "PatientID": patient_id,
            "PatientName": patient_name,
            "StudyDate": date,
            "ModalitiesInStudy": modality,
            "AccessionNumber": accession,
        }
        wanted = reading.query({keyword: value for keyword, value in given.items() if value is not None})
        with reading.opened(data_dir) as index:
            count = 0
            for count, found in enumerate(index.matches(wanted), 1):
                if as_json:
                    click.echo(("[\n" if count == 1 else ",\n") + json.dumps(forms.study_json(found)), nl=False)
                    continue
                if count == 1:
                    click.echo(forms.heading())
                for line in forms.lines(found):
                    click.echo(line)
        if as_json:
            click.echo("\n]" if count else "[]")
        elif not count:
            click.echo("no study is stored that matches", err=True)


def _add_show_command(studies: click.Group) -> None:
    @studies.command(
        short_help="Print one study, with its series.",
        examples=["dcm4py-leading studies show 1.2.840.113619.2.55.3 --data-dir ~/dcm4py"],
    )
    @click.argument("study")
    @data_dir_option("Where the index is.")
    @click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
    @_telling_errors
    def show(study: str, data_dir: Path, as_json: bool) -> None:
        """Print one study (patient data): attributes, last edits, and for each series its objects and storages."""
        with reading.opened(data_dir) as index:
            found = reading.study(index, study)
            if found is None:
                fail(f"{study}: there is no such study", PROBLEMS)
            series = reading.series_of(index, study)
        edits = reading.last_edits(found)
        if as_json:
            click.echo(json.dumps(forms.details_json(found, series, edits), indent=2))
            return
        for line in forms.details(found, series, edits):
            click.echo(line)


def _telling_errors(command: Callable[..., None]) -> Callable[..., None]:
    """End the program with an error message instead of a traceback."""

    def told(**values: Any) -> None:
        try:
            command(**values)
        except BrokenPipeError:
            raise  # of stdout: click ends the program
        except OSError as err:
            fail(f"{err.filename or values['data_dir']}: {err.strerror or err}", PROBLEMS)
        except Dcm4pyError as err:
            fail(str(err), PROBLEMS)

    told.__doc__, told.__name__ = command.__doc__, command.__name__
    return told
