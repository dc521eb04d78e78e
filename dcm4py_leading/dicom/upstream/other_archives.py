"""Composition of the other archives that an AE works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache
from dcm4py_leading.dicom.scu.leading import FindSCU
from dcm4py_leading.dicom.scu.resolve import Resolve
from dcm4py_leading.dicom.upstream.find import UpstreamFind, upstream_ae
from dcm4py_leading.dicom.upstream.instance_count import InstanceCountQuery
from dcm4py_leading.dicom.upstream.retrieve import UpstreamRetrieve
from dcm4py_leading.dicom.upstream.store import UpstreamStore
from dcm4py_leading.leading.contacts import Contacts
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.archive import StorageDescriptor
from dcm4py_leading.model.device import ApplicationEntity, Device
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.find.scu_rules import ScuFindRules
from dcm4py_leading.service.proxy.caching_upstream import CachingUpstream
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves
from dcm4py_leading.service.proxy.several_upstreams import SeveralUpstreams
from dcm4py_leading.service.proxy.store_archive import OpenStoreArchive
from dcm4py_leading.service.proxy.upstream import InstanceCount, Upstream
from dcm4py_leading.service.query_archive import EmbeddedQueryArchive, QueryArchive, SpanningQueryArchive


def query_archive_of(
    ae: ApplicationEntity, own: EmbeddedQueryArchive, resolve: Resolve, rules: ScuFindRules, contacts: Contacts
) -> QueryArchive:
    """The archive that answers queries to an AE: the embedded one, together with those behind the AE."""
    others = [UpstreamFind(scp, ae, resolve, rules, contacts) for scp in ae.settings.spanning_cfind_scps]
    return SpanningQueryArchive(own, others, ae.settings.spanning_cfind_scp_policy) if others else own


def archives_behind(
    ae: ApplicationEntity, resolve: Resolve, rules: ScuFindRules, contacts: Contacts
) -> Mapping[AETitle, QueryArchive]:
    """The archives behind an AE, in the order in which retrieves use them, as archives to query."""
    calling = ae.settings.fallback_cmove_scp_calling_aet
    return {
        scp: UpstreamFind(scp, ae, resolve, rules, contacts, calling=calling) for scp in ae.settings.fallback_cmove_scps
    }


def each_other_archive(
    ae: ApplicationEntity, resolve: Resolve, rules: ScuFindRules, contacts: Contacts
) -> Mapping[AETitle, QueryArchive]:
    """All archives behind an AE, each as a separate query archive."""
    queried = {scp: UpstreamFind(scp, ae, resolve, rules, contacts) for scp in ae.settings.spanning_cfind_scps}
    return {**queried, **archives_behind(ae, resolve, rules, contacts)}


def upstream_of(
    ae: ApplicationEntity,
    resolve: Resolve,
    forwards: ForwardedRetrieves,
    count: InstanceCount | None,
    cache: ProxyCache | None,
    contacts: Contacts,
) -> Upstream:
    """The source of objects not stored here: the archives behind the AE, with the ``cache`` of their objects."""
    settings = ae.settings
    upstreams = [
        UpstreamRetrieve(
            scp,
            resolve,
            forwards,
            destination=settings.fallback_cmove_scp_destination or ae.ae_title,
            calling=settings.fallback_cmove_scp_calling_aet,
            retries=settings.fallback_cmove_scp_retries,
            count=count,
            contacts=contacts,
        )
        for scp in settings.fallback_cmove_scps
    ]
    return _as_one(upstreams if cache is None else [CachingUpstream(upstream, cache) for upstream in upstreams])


def external_archives(
    device: Device, resolve: Resolve, forwards: ForwardedRetrieves, contacts: Contacts
) -> Mapping[AETitle, Mapping[str, Upstream]]:
    """For each AE, the archives that have the objects of a storage whose files are gone."""
    storages = [storage for storage in device.archive.storages.values() if storage.external_retrieve_aets]

    def external(ae: ApplicationEntity, storage: StorageDescriptor) -> Upstream:
        destination = ae.settings.external_retrieve_ae_destination or ae.ae_title
        scps = storage.external_retrieve_aets
        return _as_one(
            UpstreamRetrieve(scp, resolve, forwards, destination=destination, contacts=contacts) for scp in scps
        )

    return {
        ae.ae_title: {storage.storage_id: external(ae, storage) for storage in storages}
        for ae in device.application_entities
        if storages
    }


def _as_one(upstreams: Iterable[Upstream]) -> Upstream:
    """Combine archives; a single one needs no query beforehand."""
    one, *others = upstreams
    return SeveralUpstreams([one, *others]) if others else one


def count_of(ae: ApplicationEntity, find_scu: FindSCU, settings: LeadingSettings) -> InstanceCountQuery | None:
    """The query for the number of instances of studies; None without dcmFallbackCMoveSCPLeadingCFindSCP."""
    scp = ae.settings.fallback_cmove_scp_leading_cfind_scp
    return None if scp is None else InstanceCountQuery(scp, find_scu, settings.deadline)


def store_archive_opener(resolve: Resolve) -> OpenStoreArchive:
    """Function that opens the archive to which objects stored to an AE are forwarded."""
    return lambda ae, title, contexts: UpstreamStore(ae, upstream_ae(title, resolve), contexts)
