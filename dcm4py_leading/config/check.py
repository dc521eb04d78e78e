"""Checks beyond single entries: references between the objects of a device, and what of it we can serve. Pure, but
for AE titles, which are looked up through the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from urllib.parse import urlsplit

from dcm4py_leading.config.attribute_filters import hindering_edits, kept_once
from dcm4py_leading.config.named_titles import (
    LEADING_ARC,
    archives_asked,
    is_of,
    named_aes,
    rules_with_their_aes,
    warning,
)
from dcm4py_leading.config.placeholders import Expand, unchanged
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import Problem, Severity
from dcm4py_leading.model.coercion import AnyRule, CoercionRule, CoercionRule2
from dcm4py_leading.model.device import (
    ApplicationEntity,
    Connection,
    ConnectionProtocol,
    Device,
    TransferCapability,
)
from dcm4py_leading.model.values import AETitle

_ANY_ADDRESS = frozenset({"0.0.0.0", "::", "*"})


def check(device: Device, source: ConfigSource, expand: Expand = unchanged) -> list[Problem]:
    """All problems between the objects of a device. Raises ConfigUnavailable when AE titles cannot be looked up."""
    return [
        *_cache(device),
        *_connections(device),
        *_reachability(device),
        *_titles(device),
        *_storages(device),
        *_views(device),
        *kept_once(device),
        *hindering_edits(device),
        *_other_archives(device),
        *_hidden_rules(device),
        *named_aes(device, _references(device), source, expand),
    ]


def unserved_capabilities(ae: ApplicationEntity, is_served: Callable[[TransferCapability], bool]) -> tuple[str, ...]:
    """The names of an AE's transfer capabilities that ``is_served`` denies: cn, else SOP class and role."""
    return tuple(
        capability.cn or f"{capability.sop_class} {capability.transfer_role.value}"
        for capability in ae.transfer_capabilities
        if not is_served(capability)
    )


def _cache(device: Device) -> Iterator[Problem]:
    archive = device.archive
    if archive.leading_cfind_scp_query_cache_size == 0 and archive.leading_cfind_scp_query_cache_stale_timeout is None:
        yield Problem(
            dn=device.dn,
            attribute="dcmLeadingCFindSCPQueryCacheSize",
            value="0",
            reason="0 is unlimited, which needs dcmLeadingCFindSCPQueryCacheStaleTimeout, else nothing is ever dropped",
        )


# Connections.


def _connections(device: Device) -> Iterator[Problem]:
    for connection in device.connections:
        if connection.installed and connection.protocol is not ConnectionProtocol.DICOM:
            protocol = connection.protocol.value
            yield warning(connection.dn, "dcmProtocol", protocol, f"skipped: {protocol} is not served, only DICOM")
        elif connection.installed and connection.is_tls:
            suites = ", ".join(connection.tls_cipher_suites)
            yield warning(connection.dn, "dicomTLSCipherSuite", suites, "skipped: TLS is not served yet")
    served = [connection for connection in device.connections if connection.is_served]
    for one, other in combinations(served, 2):
        # Port 0 lets the system choose: never the same twice.
        if one.port and one.port == other.port and _addresses_overlap(one, other):
            reason = f"expected a port of its own: {one.dn} listens on it already"
            yield Problem(dn=other.dn, attribute="dicomPort", value=str(other.port), reason=reason)


def _reachability(device: Device) -> Iterator[Problem]:
    if not device.installed:
        reason = "expected TRUE: a device that is not installed serves nothing"
        yield Problem(dn=device.dn, attribute="dicomInstalled", value="FALSE", reason=reason)
    acceptors = [ae for ae in device.application_entities if ae.installed and ae.association_acceptor]
    unreachable = [ae for ae in acceptors if not any(connection.is_served for connection in ae.connections)]
    if len(unreachable) == len(acceptors):
        reason = (
            "there is nothing to serve: expected an installed dicomNetworkAE that accepts associations, on a"
            " connection that is installed, DICOM, without TLS, with a port"
        )
        yield Problem(dn=device.dn, reason=reason)
        return
    for ae in unreachable:
        reason = "nobody can call this AE, because none of its connections is served"
        yield warning(ae.dn, "dicomNetworkConnectionReference", None, reason)


def _addresses_overlap(one: Connection, other: Connection) -> bool:
    addresses = {(connection.bind_address or connection.hostname).lower() for connection in (one, other)}
    return len(addresses) == 1 or not addresses.isdisjoint(_ANY_ADDRESS)


# AE titles, storage, views.


def _titles(device: Device) -> Iterator[Problem]:
    holders: Counter[AETitle] = Counter()
    for ae in device.application_entities:
        holders.update({ae.ae_title, *ae.other_ae_titles})
    for ae in device.application_entities:
        for attribute, titles in (("dicomAETitle", (ae.ae_title,)), ("dcmOtherAETitle", ae.other_ae_titles)):
            for title in titles:
                if holders[title] > 1:
                    reason = "expected a title that no other AE of the device answers to"
                    yield Problem(dn=ae.dn, attribute=attribute, value=title, reason=reason)


def _storages(device: Device) -> Iterator[Problem]:
    storages = device.archive.storages
    used: set[str] = set()
    for ae in device.application_entities:
        for storage_id in ae.settings.object_storage_ids:
            used.add(storage_id)
            if storage_id not in storages:
                reason = f"expected the dcmStorageID of a dcmStorage of the device: {_listed(storages)}"
                yield Problem(dn=ae.dn, attribute="dcmObjectStorageID", value=storage_id, reason=reason)
        if not ae.settings.object_storage_ids:
            used.update(storages)
            if len(storages) > 1 and _stores_here(ae):
                reason = "objects sent to this AE are refused: the device has several dcmStorage, and the AE names none"
                yield warning(ae.dn, "dcmObjectStorageID", None, reason)
    refusing = [ae.ae_title for ae in device.application_entities if _stores_here(ae)]
    if refusing and not storages:
        reason = f"objects sent to {', '.join(refusing)} are refused: the device has no dcmStorage"
        yield warning(device.dn, None, None, reason)
    for storage in storages.values():
        scheme = urlsplit(storage.uri).scheme.lower()
        if scheme == "file":
            continue
        reason = "expected a file: URI; other storage is not supported yet"
        severity = Severity.ERROR if storage.storage_id in used else Severity.WARNING
        yield Problem(dn=storage.dn, attribute="dcmURI", value=storage.uri, reason=reason, severity=severity)


def _stores_here(ae: ApplicationEntity) -> bool:
    """True if what is sent to the AE is kept here, and not passed on to the archive behind it."""
    return ae.installed and ae.association_acceptor and ae.settings.archive_behind is None


def _views(device: Device) -> Iterator[Problem]:
    views = device.archive.query_retrieve_views
    for ae in device.application_entities:
        view_id = ae.settings.query_retrieve_view_id
        if view_id is None:
            continue
        if view_id not in views:
            reason = f"expected the ID of a dcmQueryRetrieveView of the device: {_listed(views)}"
            yield Problem(dn=ae.dn, attribute="dcmQueryRetrieveViewID", value=view_id, reason=reason)
        elif views[view_id].hide_not_rejected_instances:
            reason = (
                "this AE answers no matches: the view shows only rejected instances, and rejection is not built yet"
            )
            yield warning(ae.dn, "dcmQueryRetrieveViewID", view_id, reason)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "there is none"


# Other archives, in front of which an AE is.


def _other_archives(device: Device) -> Iterator[Problem]:
    for dn, attribute, title in archives_asked(device):
        if is_of(device, title):
            reason = "expected another archive: this is an AE of this device, which would ask itself"
            yield Problem(dn=dn, attribute=attribute, value=title, reason=reason)
    for ae in device.application_entities:
        for attribute, destination in _destinations(device, ae):
            if device.application_entity(destination) is None:
                reason = "expected an AE of this device, which receives the objects and passes them on"
                yield Problem(dn=ae.dn, attribute=attribute, value=destination, reason=reason)


def _destinations(device: Device, ae: ApplicationEntity) -> Iterator[tuple[str, AETitle]]:
    """Attribute and title of each AE to which other archives are let send on behalf of this one."""
    settings = ae.settings
    if settings.fallback_cmove_scps and settings.fallback_cmove_scp_destination is not None:
        yield "dcmFallbackCMoveSCPDestination", settings.fallback_cmove_scp_destination
    fetches_back = any(storage.external_retrieve_aets for storage in device.archive.storages.values())
    if fetches_back and settings.external_retrieve_ae_destination is not None:
        yield "dcmExternalRetrieveAEDestination", settings.external_retrieve_ae_destination


# Coercion rules.


def _hidden_rules(device: Device) -> Iterator[Problem]:
    """Legacy rules that dcm4chee never applies: it drops them wherever a version-2 rule matches (here they come first).

    Told where that is certain: the version-2 rule matches whenever the legacy rule does.
    """
    hidden: dict[str, list[str]] = {}
    for ae in device.application_entities:
        reaching = (*ae.coercion_rules, *device.archive.coercion_rules)
        for legacy in reaching:
            hiding = next((rule for rule in reaching if _hides(rule, legacy)), None)
            if hiding is not None:
                hidden.setdefault(legacy.dn, []).append(f"on {ae.ae_title} by {hiding.cn!r} ({hiding.dn})")
    for dn, where in hidden.items():
        reason = (
            "dcm4chee ignores this rule, because a version-2 rule always matches too"
            f" {', '.join(where)}; here this rule is applied first, and those after it"
        )
        yield warning(dn, None, None, reason)


def _hides(rule: AnyRule, legacy: AnyRule) -> bool:
    return (
        isinstance(rule, CoercionRule2)
        and isinstance(legacy, CoercionRule)
        and (rule.dimse, rule.transfer_role) == (legacy.dimse, legacy.transfer_role)
        and set(rule.properties) <= set(legacy.properties)
        and (not rule.sop_classes or (bool(legacy.sop_classes) and legacy.sop_classes <= rule.sop_classes))
    )


# AE titles of other systems.


def _references(device: Device) -> Iterator[tuple[str, str, str]]:
    """DN, attribute and value of each AE title of another system; those that `_other_archives` refuses are
    left out."""
    for dn, attribute, title in archives_asked(device):
        if not is_of(device, title):
            yield dn, attribute, title
    for ae in device.application_entities:
        if (leading := ae.settings.fallback_cmove_scp_leading_cfind_scp) is not None:
            yield ae.dn, "dcmFallbackCMoveSCPLeadingCFindSCP", leading
    for rules, _ in rules_with_their_aes(device):
        for rule in rules:
            yield from _references_of(rule)
    for scp in device.archive.cstore_scu_of_cmove_scp.values():
        yield device.dn, "dcmCStoreSCUOfCMoveSCP", scp


def _references_of(rule: AnyRule) -> Iterator[tuple[str, str, str]]:
    if isinstance(rule, CoercionRule2):
        if rule.uri.startswith(LEADING_ARC):
            yield rule.dn, "dcmURI", rule.uri
        return
    if rule.leading_cfind_scp is not None:
        yield rule.dn, "dcmLeadingCFindSCP", rule.leading_cfind_scp
    if rule.merge_mwl_scp is not None:
        yield rule.dn, "dcmMergeMWLSCP", rule.merge_mwl_scp
