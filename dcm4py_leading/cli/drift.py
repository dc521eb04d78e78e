"""``dcm4py-leading drift``: differences between the archive and the leading archive."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from dcm4py_leading import progress
from dcm4py_leading.cli.command import PROBLEMS, UNREACHABLE, fail
from dcm4py_leading.cli.source_options import source_options
from dcm4py_leading.composition.check import check
from dcm4py_leading.composition.site import Site
from dcm4py_leading.drifting.run import Around, compare
from dcm4py_leading.errors import ArchiveUnavailable, DriftRefused, LeadingUnavailable
from dcm4py_leading.service.drift.order import ELSEWHERE_RATE, RATE, DriftOrder, ae_of, leading_of

_FILE = click.Path(dir_okay=False, path_type=Path)
_RATE = click.FloatRange(min=0.001, max=1000)


def add_drift_command(main: click.Group) -> None:
    """Register the command."""

    @main.command(
        name="drift",
        short_help="Count the studies that are not as the leading archive says.",
        examples=[
            "dcm4py-leading drift --ldif tree.ldif --data-dir ~/dcm4py --ae DCM4CHEE --csv drift.csv",
            "dcm4py-leading drift --ldif tree.ldif --ae DCM4CHEE --leading QRSCP --since 2025-01-01 --rate 0.5",
            "dcm4py-leading drift --ldif tree.ldif --ae DCM4CHEE --csv drift.csv --resume drift.state",
        ],
    )
    @source_options
    @click.option("--ae", required=True, metavar="AET", help="Of ours: whose rules count, and who asks.")
    @click.option("--leading", metavar="AET", help="Whom to ask. Default: the one that the rules of the AE name.")
    @click.option(
        "--since", type=click.DateTime(["%Y-%m-%d", "%Y%m%d"]), metavar="DATE", help="Studies of that day or later."
    )
    @click.option("--csv", "csv_file", type=_FILE, help="A row for each study. A file of that name is replaced.")
    @click.option("--values", is_flag=True, help="With both values in the CSV: patient data.")
    @click.option(
        "--rate",
        type=_RATE,
        default=RATE,
        show_default=True,
        help="C-FINDs a second at most, each about up to --set leading-page-size studies.",
    )
    @click.option(
        "--archive-rate",
        type=_RATE,
        default=ELSEWHERE_RATE,
        show_default=True,
        help="C-FINDs a second at most to each archive that the AE stands in front of.",
    )
    @click.option("--json", "as_json", is_flag=True, help="The counts as JSON.")
    @click.option("--resume", type=_FILE, help="Keep in this file how far it is, and go on from there.")
    def drift_command(
        site: Site,
        ae: str,
        leading: str | None,
        since: datetime | None,
        csv_file: Path | None,
        values: bool,
        rate: float,
        archive_rate: float,
        resume: Path | None,
        as_json: bool,
    ) -> None:
        """Compare every study of the archive with the leading archive. Nothing is changed.

        It may run beside the service, on the same data directory. Counted is what a rule for the leading archive would
        change. Of an AE in front of other archives, their studies are compared too, as they answer by C-FIND.
        """
        if values and csv_file is None:
            raise click.UsageError("--values is about the file of --csv")
        checked = check(site)
        try:
            local_ae = ae_of(checked.snapshot.device, ae)
            title, policy = leading_of(checked.rules[local_ae.ae_title], leading, ae)
        except DriftRefused as err:
            raise click.UsageError(str(err)) from err
        wanted = DriftOrder(
            local_ae=local_ae,
            leading=title,
            policy=policy,
            since=None if since is None else since.date(),
            csv_file=csv_file,
            has_values=values,
            state_file=resume,
            rate=rate,
            elsewhere_rate=archive_rate,
        )
        try:
            with progress.bar(0, "studies to compare") as bar:
                around = Around(
                    now=lambda: datetime.now(UTC),
                    reached=lambda state, expected: bar.reach(state.summary.studies, expected or 0),
                )
                kept = compare(site, checked, wanted, around)
        except DriftRefused as err:
            fail(str(err), PROBLEMS)
        except OSError as err:
            fail(f"{err.filename or csv_file or resume}: {err.strerror or err}", PROBLEMS)
        except (LeadingUnavailable, ArchiveUnavailable) as err:
            archive = "leading archive" if isinstance(err, LeadingUnavailable) else "archive"
            further = "" if resume is None else f"; the same command goes on from {resume}"
            fail(f"ended, since the {archive} gives no answer: {err}{further}", UNREACHABLE)
        summary = kept.state.summary
        if resume is not None:
            resume.unlink(missing_ok=True)  # the next one begins anew
        if as_json:
            click.echo(json.dumps(summary.to_json(), indent=2))
            return
        click.echo(f"{ae} compared with {title}: {summary.studies:,} studies")
        for line in summary.lines():
            click.echo(line)
