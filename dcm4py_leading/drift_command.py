"""``dcm4py-leading drift``: how much of what is stored is not as the leading archive says."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from dcm4py_leading import log, progress
from dcm4py_leading.archive.data_directory import has_index, open_index
from dcm4py_leading.archive.kept import Keeper
from dcm4py_leading.archive.query import Condition, Query, Range
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.steps import LeadingStep
from dcm4py_leading.compose import Checked, Site, check, leading_settings
from dcm4py_leading.config.remote import RemoteAEResolver
from dcm4py_leading.dicom.scu import FindSCU
from dcm4py_leading.errors import LeadingUnavailable
from dcm4py_leading.leading.return_keys import return_keys
from dcm4py_leading.model.coercion import UpdatePolicy
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.model.values import AETitle, Level
from dcm4py_leading.service.drift.asking import Asked, Asker, Throttle
from dcm4py_leading.service.drift.comparison import Measure
from dcm4py_leading.service.drift.report import Report
from dcm4py_leading.service.drift.state import Subject, beginning, load, save
from dcm4py_leading.service.drift.summary import Summary
from dcm4py_leading.service.drift.walk import walk
from dcm4py_leading.service.own_find import OwnFindRules
from dcm4py_leading.source_options import PROBLEMS, UNREACHABLE, fail, own_ae, source_options, title_of

_STUDY_DATE = 0x00080020
_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Command line, besides the configuration."""

    leading: AETitle
    policy: UpdatePolicy
    since: str | None
    """A Study Date as YYYYMMDD."""
    csv_file: Path | None
    has_values: bool
    state_file: Path | None
    rate: float
    """C-FINDs a second."""

    def subject(self, ae: ApplicationEntity, measure: Measure) -> Subject:
        """Subject that a state file must be about."""
        return {
            "ae": ae.ae_title,
            "leading": self.leading,
            "policy": measure.policy.value,
            "attributes": " ".join(f"{tag:08X}" for tag in sorted(measure.tags)),
            "since": self.since,
            "csv": None if self.csv_file is None else str(self.csv_file.absolute()),
            "values": self.has_values,
        }


def add_drift_command(main: click.Group) -> None:
    """Add the command to the command line."""

    @main.command(
        name="drift",
        short_help="Count the stored studies that are not as the leading archive says.",
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
        type=click.FloatRange(min=0.001, max=1000),
        default=2.0,
        show_default=True,
        help="C-FINDs a second at most, each about up to --set leading-page-size studies.",
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
        resume: Path | None,
        as_json: bool,
    ) -> None:
        """Compare every study of the index with what the leading archive says. Nothing is changed.

        It may run beside the service, on the same data directory. Counted is what a rule for the leading archive would
        change. Studies that are not stored here, but in a PACS behind the AE, are not compared.
        """
        if values and csv_file is None:
            raise click.UsageError("--values is about the file of --csv")
        checked = check(site)
        local_ae = own_ae(checked.snapshot.device, ae)
        title, policy = _leading(checked.rules[local_ae.ae_title], leading, ae)
        wanted = _Wanted(
            leading=title,
            policy=policy,
            since=None if since is None else since.strftime("%Y%m%d"),
            csv_file=csv_file,
            has_values=values,
            state_file=resume,
            rate=rate,
        )
        if local_ae.settings.spanning_cfind_scps or local_ae.settings.fallback_cmove_scps:
            click.echo(f"{ae}: only what is stored here is compared, not what the archives behind it have", err=True)
        try:
            summary = _compare(site, checked, local_ae, wanted)
        except OSError as err:
            fail(f"{err.filename or csv_file or resume}: {err.strerror or err}", PROBLEMS)
        except LeadingUnavailable as err:
            further = "" if resume is None else f"; the same command goes on from {resume}"
            fail(f"ended, since the leading archive gives no answer: {err}{further}", UNREACHABLE)
        if as_json:
            click.echo(json.dumps(summary.to_json(), indent=2))
            return
        click.echo(f"{ae} compared with {title}: {summary.studies:,} studies")
        for line in summary.lines():
            click.echo(line)


def _leading(rules: Sequence[CompiledRule], text: str | None, ae: str) -> tuple[AETitle, UpdatePolicy]:
    """Whom to ask, and by which policy its answer would change an object. Raises UsageError."""
    steps = [step for rule in rules for step in rule.steps if isinstance(step, LeadingStep)]
    policies = {step.leading_cfind_scp: step.policy for step in reversed(steps)}  # of the first rule of each
    if text is not None:
        title = title_of(text, "--leading")
        return title, policies.get(title, UpdatePolicy.MERGE)
    if len(policies) != 1:
        named = f"name {', '.join(sorted(policies))}" if policies else "name no leading archive"
        raise click.UsageError(f"--leading: say whom to ask; the rules of {ae} {named}")
    return next(iter(policies.items()))


def _compare(site: Site, checked: Checked, ae: ApplicationEntity, wanted: _Wanted) -> Summary:
    """The comparison, from its beginning or from where it was. Raises OSError, and as `walk`."""
    device, settings = checked.snapshot.device, leading_settings(site.options)
    resolve = RemoteAEResolver(site.source, stale_after=None, expand=site.expand).resolve
    if resolve(wanted.leading) is None:
        fail(f"{wanted.leading} is not in the directory", PROBLEMS)
    if not has_index(site.data_dir):
        fail(f"{site.data_dir}: there is no index: say by --data-dir where that of the service is", PROBLEMS)
    log.use_reference_key(site.data_dir)
    keys = return_keys(device, wanted.leading)
    kept = Keeper(device.archive.attribute_filters).tags
    measure = Measure.of(keys, kept[Level.PATIENT] | kept[Level.STUDY], wanted.policy)
    subject = wanted.subject(ae, measure)
    state = beginning() if wanted.state_file is None else load(wanted.state_file, subject)
    with ExitStack() as running:
        index = running.enter_context(closing(open_index(site.data_dir, may_upgrade=False)))
        own_find = OwnFindRules(checked.rules, compat_5_35=site.options.compat_5_35)
        scu = running.enter_context(closing(FindSCU(resolve, settings=settings, coerce=own_find)))
        asked = Asked(
            leading_cfind_scp=wanted.leading, local_ae=ae, return_keys=keys, timeout=site.options.leading_deadline
        )
        throttle = Throttle(wanted.rate, clock=time.monotonic, wait=time.sleep)
        asker = Asker(scu, asked, throttle, clock=time.monotonic, wait=time.sleep)
        report = None
        if wanted.csv_file is not None:
            report = running.enter_context(Report(wanted.csv_file, has_values=wanted.has_values, at=state.report_bytes))
        done = state.summary.studies
        bar = running.enter_context(
            progress.bar(max(0, index.count(_since(wanted.since)) - done), "studies to compare")
        )
        for reached in walk(
            index,
            asker,
            measure,
            state=state,
            page_size=settings.page_size,
            since=wanted.since,
            report=report,
        ):
            if wanted.state_file is not None:
                save(wanted.state_file, subject, reached)
            bar.step(reached.summary.studies - done)
            done = reached.summary.studies
    if wanted.state_file is not None:
        wanted.state_file.unlink(missing_ok=True)  # the next one begins anew
    return state.summary


def _since(date: str | None) -> Query:
    conditions = () if date is None else (Condition(_STUDY_DATE, (Range(date, None),)),)
    return Query(level=Level.STUDY, conditions=conditions)
