"""``GET /metrics``: what the service has done and how it is, for Prometheus.

Labels are names of the configuration only: nothing of a patient, no UIDs. Counters of leading lookups live as long as
one configuration and start anew at a reload, which Prometheus takes for what it is, a reset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCacheCounts
from dcm4py_leading.config.sources.directory_state import DirectoryState
from dcm4py_leading.leading.breaker import BreakerState
from dcm4py_leading.leading.contacts import ContactCounts, Part
from dcm4py_leading.leading.outcome import LATENCY_BOUNDS, Latency, LookupCounts, LookupOutcome
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.counts import Key
from dcm4py_leading.service.monitor.measured import Measured
from dcm4py_leading.web.gate.access import needs
from dcm4py_leading.web.gate.identity import Role
from dcm4py_leading.web.http.rooms import Room


class MetricsSource(Protocol):
    """The service as the route may measure it. Called from a worker thread."""

    def measure(self) -> Measured:
        """The service at this moment."""
        ...


def metrics_route(metered: MetricsSource, room: Room) -> Route:
    """The route; in the text format, or in OpenMetrics for who prefers it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ServiceCollector(metered))

    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    return Route("/metrics", needs(Role.SERVICE, room.serves(metrics), or_role=Role.VIEWER))


class _ServiceCollector(Collector):
    def __init__(self, metered: MetricsSource) -> None:
        self._metered = metered

    def collect(self) -> Iterator[Metric]:
        measured = self._metered.measure()
        yield from _lookups(measured.lookups)
        yield _key_lookups(measured.key_lookups)
        yield from _coercions(measured.coercions)
        yield from _requests(measured)
        yield from _contacts(measured.contacts)
        yield CounterMetricFamily(
            "dcm4py_transcoded_objects",
            "Objects delivered in another transfer syntax than they are stored in.",
            value=measured.transcoded_objects,
        )
        yield GaugeMetricFamily(
            "dcm4py_open_associations", "Associations that peers have with the service.", measured.open_associations
        )
        yield from _workers(measured)
        yield from _configuration(measured)
        if measured.directory is not None:
            yield from _directory(measured.directory)
        if measured.kept is not None:
            yield from _kept(measured.kept)


def _lookups(counts: LookupCounts) -> Iterator[Metric]:
    lookups = CounterMetricFamily(
        "dcm4py_leading_lookups", "Studies looked up in a leading archive.", labels=("leading_ae", "outcome")
    )
    for leading_ae, outcomes in sorted(counts.outcomes.items()):
        for outcome in LookupOutcome:  # also those that never came: a rate needs the zero before the first
            lookups.add_metric((leading_ae, outcome.value), outcomes.get(outcome, 0))
    yield lookups

    duration = HistogramMetricFamily(
        "dcm4py_leading_query_duration_seconds",
        "C-FINDs to a leading archive, failed ones included.",
        labels=("leading_ae",),
    )
    for leading_ae, latency in sorted(counts.latency.items()):
        duration.add_metric((leading_ae,), cumulative_buckets(latency), latency.total_seconds)
    yield duration

    yield GaugeMetricFamily("dcm4py_leading_cache_answers", "Answers in the leading cache.", counts.cache_size)

    under_way = GaugeMetricFamily(
        "dcm4py_leading_queries_under_way",
        "C-FINDs to a leading archive that have not ended, those included that wait for an association.",
        labels=("leading_ae",),
    )
    waiting = GaugeMetricFamily(
        "dcm4py_leading_waiting_studies",
        "Studies whose answer a leading archive still owes.",
        labels=("leading_ae",),
    )
    for leading_ae in sorted(counts.outcomes.keys() | counts.under_way.keys() | counts.waiting.keys()):
        under_way.add_metric((leading_ae,), counts.under_way.get(leading_ae, 0))
        waiting.add_metric((leading_ae,), counts.waiting.get(leading_ae, 0))
    yield under_way
    yield waiting

    breakers = GaugeMetricFamily(
        "dcm4py_leading_breaker_state",
        "1 for the state that the breaker between two AEs is in, else 0.",
        labels=("local_ae", "leading_ae", "state"),
    )
    for (local_ae, leading_ae), current in sorted(counts.breakers.items()):
        for state in BreakerState:
            breakers.add_metric((local_ae, leading_ae, state.value), state is current)
    yield breakers

    one_by_one = GaugeMetricFamily(
        "dcm4py_leading_one_by_one",
        "1 for a leading archive that cannot be asked for several studies at once, else 0.",
        labels=("leading_ae",),
    )
    for leading_ae in sorted(counts.outcomes.keys() | counts.one_by_one):
        one_by_one.add_metric((leading_ae,), leading_ae in counts.one_by_one)
    yield one_by_one


def _key_lookups(counts: Mapping[AETitle, Mapping[LookupOutcome, int]]) -> Metric:
    lookups = CounterMetricFamily(
        "dcm4py_leading_key_lookups",
        "Questions to a leading archive which studies match.",
        labels=("leading_ae", "outcome"),
    )
    for leading_ae, outcomes in sorted(counts.items()):
        for outcome in LookupOutcome:
            lookups.add_metric((leading_ae, outcome.value), outcomes.get(outcome, 0))
    return lookups


def cumulative_buckets(latency: Latency) -> list[tuple[str, float]]:
    """Upper bounds and how many C-FINDs took at most so long, as Prometheus wants its histograms."""
    bounds = (*map(str, LATENCY_BOUNDS), "+Inf")
    return list(zip(bounds, accumulate(latency.buckets), strict=True))


def _coercions(counts: Mapping[Key, int]) -> Iterator[Metric]:
    steps = CounterMetricFamily(
        "dcm4py_coercion_steps", "Steps of coercion rules, by how they ended.", labels=("rule", "step", "outcome")
    )
    for labels, count in sorted(counts.items()):
        steps.add_metric(labels, count)
    yield steps


def _requests(measured: Measured) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "dcm4py_requests", "DIMSE requests that were answered.", labels=("service", "ae", "status")
    )
    for (service, ae, status), count in sorted(measured.requests.items()):
        requests.add_metric((service, ae, f"0x{status:04X}"), count)
    yield requests
    objects = CounterMetricFamily(
        "dcm4py_objects", "Objects that retrieves were to send, by what became of them.", labels=("ae", "outcome")
    )
    for (ae, outcome), count in sorted(measured.objects.items()):
        objects.add_metric((ae, outcome), count)
    yield objects


def _contacts(counts: ContactCounts) -> Iterator[Metric]:
    asked = CounterMetricFamily(
        "dcm4py_archive_requests",
        "Requests to archives behind us.",
        labels=("local_ae", "archive_ae", "service", "outcome"),
    )
    for labels, count in sorted(counts.asked.items()):
        asked.add_metric(labels, count)
    yield asked
    answering = GaugeMetricFamily(
        "dcm4py_archive_answering",
        "1 while the last question to an archive was answered, or none was asked; else 0.",
        labels=("local_ae", "archive_ae", "is_leading"),
    )
    for line, contact in sorted(counts.contacts.items()):
        is_leading = str(line.part == Part.LEADING.value).lower()
        answering.add_metric((line.local_ae_title, line.ae_title, is_leading), not contact.is_failing)
    yield answering


def _workers(measured: Measured) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "dcm4py_listening", "1, or 0 while an administrator has stopped the listening.", measured.is_listening
    )
    yield GaugeMetricFamily("dcm4py_workers", "Processes that take associations.", measured.workers)
    yield CounterMetricFamily(
        "dcm4py_worker_restarts", "Processes started in the place of one that ended.", measured.worker_restarts
    )


def _configuration(measured: Measured) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "dcm4py_configuration_info", "Always 1; tells the configuration in force.", labels=("fingerprint",)
    )
    info.add_metric((measured.fingerprint,), 1)
    yield info
    yield GaugeMetricFamily(
        "dcm4py_configuration_loaded_timestamp_seconds",
        "When the configuration in force was loaded, in Unix time.",
        measured.loaded_at.timestamp(),
    )
    yield GaugeMetricFamily(
        "dcm4py_configuration_last_reload_successful",
        "1, or 0 when the last reload failed and the configuration stayed.",
        measured.is_last_reload_good,
    )
    yield GaugeMetricFamily(
        "dcm4py_configuration_degraded",
        "1 when the configuration in force may not be what the directory says.",
        measured.is_degraded,
    )
    yield CounterMetricFamily(
        "dcm4py_configuration_changes",
        "Configurations that took the place of the one in force, by reload or by following the directory.",
        value=measured.configuration_changes,
    )
    if measured.followed is not None:
        yield CounterMetricFamily(
            "dcm4py_directory_failed_reads",
            "Looks at the directory that failed, while it is followed.",
            value=measured.followed.failed_reads,
        )


def _directory(state: DirectoryState) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "dcm4py_directory_reachable", "1, or 0 when the directory gave no answer to the last read.", state.is_reachable
    )
    if state.last_read_at is not None:
        yield GaugeMetricFamily(
            "dcm4py_directory_last_read_timestamp_seconds",
            "When the directory was last read, in Unix time.",
            state.last_read_at.timestamp(),
        )
    yield GaugeMetricFamily(
        "dcm4py_configuration_last_good",
        "1 while the configuration in force is the one that was kept on disk, else 0.",
        state.is_last_good,
    )


def _kept(counts: ProxyCacheCounts) -> Iterator[Metric]:
    yield GaugeMetricFamily("dcm4py_proxy_kept_bytes", "Bytes of studies of other archives that are kept.", counts.size)
    yield GaugeMetricFamily("dcm4py_proxy_kept_studies", "Studies of other archives that are kept.", counts.studies)
    yield CounterMetricFamily("dcm4py_proxy_kept_hits", "Retrieves from what is kept.", value=counts.hits)
    yield CounterMetricFamily(
        "dcm4py_proxy_kept_misses", "Retrieves of a study, or of a part, that is not kept.", value=counts.misses
    )
    yield CounterMetricFamily(
        "dcm4py_proxy_kept_removed",
        "Studies removed from the cache of proxy-keep, to make room or because they have changed in the other archive.",
        value=counts.removed,
    )
