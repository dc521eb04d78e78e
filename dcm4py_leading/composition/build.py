"""Composition of the runtime of a configuration. Knows everybody."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache
from dcm4py_leading.archive.storage.storage import Storage
from dcm4py_leading.composition.check import Checked
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.remote import RemoteAEResolver
from dcm4py_leading.dicom.scu.leading import FindSCU
from dcm4py_leading.dicom.scu.leading_keys import KeysSCU
from dcm4py_leading.dicom.scu.worklist import WorklistSCU
from dcm4py_leading.dicom.upstream.other_archives import (
    archives_behind,
    count_of,
    external_archives,
    query_archive_of,
    store_archive_opener,
    upstream_of,
)
from dcm4py_leading.leading.contacts import Contacts, Line, Part
from dcm4py_leading.leading.keys_query import GuardedKeysQuery
from dcm4py_leading.leading.last_known import LastKnown
from dcm4py_leading.leading.lookup import LeadingLookup
from dcm4py_leading.service import query_archive
from dcm4py_leading.service.coerce import Coercions
from dcm4py_leading.service.counts import ServiceCounts
from dcm4py_leading.service.deleting.study_caches import StudyCaches
from dcm4py_leading.service.find.scu_rules import ScuFindRules
from dcm4py_leading.service.leading.rules import leading_rules
from dcm4py_leading.service.leading_first import LeadingFirstRules
from dcm4py_leading.service.proxy.forwarded_retrieves import ForwardedRetrieves
from dcm4py_leading.service.retrieve import retrieve_archive
from dcm4py_leading.service.runtime import Runtime


def build_runtime(
    checked: Checked,
    site: Site,
    index: Index,
    storages: Mapping[str, Storage],
    last_known: LastKnown,
    counts: ServiceCounts,
    forwards: ForwardedRetrieves,
    proxy_cache: ProxyCache | None = None,
) -> Runtime:
    """Compose the runtime of a configuration. Its caches are empty: what it knows, it learns itself."""
    device = checked.snapshot.device
    settings = site.leading_settings
    stale_after = device.archive.ae_cache_stale_timeout
    resolver = RemoteAEResolver(site.source, stale_after, expand=site.expand, clock=time.monotonic)
    own_find = ScuFindRules(checked.rules, compat_5_35=site.options.compat_5_35)
    find_scu = FindSCU(resolver.resolve, settings=settings, coerce=own_find)
    contacts = Contacts(contacts_of(checked))
    leading = LeadingLookup(
        device, find_scu, clock=time.monotonic, settings=settings, last_known=last_known, contacts=contacts
    )
    leading_keys = GuardedKeysQuery(KeysSCU(find_scu), settings, clock=time.monotonic, contacts=contacts)
    externals = external_archives(device, resolver.resolve, forwards, contacts)
    upstreams = {
        ae.ae_title: upstream_of(
            ae, resolver.resolve, forwards, count_of(ae, find_scu, settings), proxy_cache, contacts
        )
        for ae in device.application_entities
        if ae.settings.fallback_cmove_scps
    }
    return Runtime(
        snapshot=checked.snapshot,
        coercions=Coercions(
            rules=checked.rules,
            leading=leading,
            leading_keys=leading_keys,
            worklist=WorklistSCU(resolver.resolve, coerce=own_find),
            counts=counts,
            deadline=settings.deadline,
            compat_5_35=site.options.compat_5_35,
        ),
        leading_first=LeadingFirstRules(device, checked.rules, site.options),
        index=index,
        archives={
            ae.ae_title: query_archive_of(
                ae, query_archive.EmbeddedQueryArchive(index), resolver.resolve, own_find, contacts
            )
            for ae in device.application_entities
        },
        behind={
            ae.ae_title: archives_behind(ae, resolver.resolve, own_find, contacts) for ae in device.application_entities
        },
        retrieve_archives={
            ae.ae_title: retrieve_archive.archive_of(
                retrieve_archive.EmbeddedRetrieveArchive(index, storages, externals.get(ae.ae_title, {})),
                upstreams.get(ae.ae_title),
                storages,
            )
            for ae in device.application_entities
        },
        open_store_archive=store_archive_opener(resolver.resolve),
        forwards=forwards,
        storages=storages,
        leading=leading,
        leading_settings=settings,
        counts=counts,
        leading_keys=leading_keys,
        options=site.options,
        resolve=resolver.resolve,
        release=find_scu.close,
        contacts=contacts,
        looked_up=resolver.looked_up,
        forget_aes=resolver.forget,
        forget_study=StudyCaches(leading, last_known, proxy_cache).forget,
    )


def contacts_of(checked: Checked) -> Iterable[Line]:
    """Whom the AEs of a device ask: leading archives, by their rules, and the archives behind them."""
    device = checked.snapshot.device
    for rule in leading_rules(checked.rules):
        yield Line(Part.LEADING.value, rule.local_ae_title, rule.leading_ae_title)
    for ae in device.application_entities:
        behind = (*ae.settings.spanning_cfind_scps, *ae.settings.fallback_cmove_scps)
        external = (title for storage in device.archive.storages.values() for title in storage.external_retrieve_aets)
        for title in (*behind, *external):
            yield Line(Part.BEHIND.value, ae.ae_title, title)
