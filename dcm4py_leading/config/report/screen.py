"""The effective configuration on one screen: where it listens, its AEs, the rules in the order in which they are looked
at, who leads, the storages. `show` has everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import isodate

from dcm4py_leading.config.named_titles import leading_of
from dcm4py_leading.model.archive import SpanningPolicy
from dcm4py_leading.model.coercion import AnyRule
from dcm4py_leading.model.device import ApplicationEntity, Connection, Device
from dcm4py_leading.model.values import AETitle

_MAX_LISTED = 8
Ruled = tuple[AnyRule, Sequence[str]]
"""A rule, and the names of its steps."""


def screen(device: Device, rules: Mapping[AETitle, Sequence[Ruled]]) -> Iterator[str]:
    """The lines; ``rules`` of each AE in the order in which they are looked at."""
    yield f"device {device.device_name}"
    yield from _connections(device.connections)
    yield from _aes(device)
    yield from _rules(rules)
    yield from _storages(device)
    yield from _cache(device)


def _connections(connections: Sequence[Connection]) -> Iterator[str]:
    yield ""
    yield "PORTS"
    for connection in connections:
        where = f"{connection.hostname}:{'-' if connection.port is None else connection.port}"
        address, port = connection.listen_address if connection.is_served else ("", 0)
        served = f"listens on {address}:{port}" if address else "not served"
        yield f"  {where:<28} {served}  ({connection.cn or connection.dn})"


def _aes(device: Device) -> Iterator[str]:
    yield ""
    yield "AES"
    for ae in device.application_entities:
        yield f"  {ae.ae_title:<16} {'; '.join(_about(ae, device))}"


def _about(ae: ApplicationEntity, device: Device) -> Iterator[str]:
    ports = sorted({connection.port for connection in ae.connections if connection.is_served and connection.port})
    if not ae.installed or not ae.association_acceptor or not ports:
        yield "cannot be called"
        return
    yield "on port " + ", ".join(map(str, ports))
    settings = ae.settings
    if ae.other_ae_titles:
        yield "also called " + _some(sorted(ae.other_ae_titles))
    if ae.accepted_calling_ae_titles:
        yield "only for " + _some(sorted(ae.accepted_calling_ae_titles))
    if settings.accepted_move_destinations:
        yield "sends only to " + _some(sorted(settings.accepted_move_destinations))
    if settings.accepted_user_roles:
        yield "by DICOMweb and on the pages only for " + _some(sorted(settings.accepted_user_roles))
    behind = list(dict.fromkeys((*settings.spanning_cfind_scps, *settings.fallback_cmove_scps)))
    if behind:
        yield "in front of " + ", ".join(behind)
        if settings.spanning_cfind_scps and settings.spanning_cfind_scp_policy is SpanningPolicy.REPLACE:
            yield f"passes on to {settings.archive_behind} what is stored to it"
            return
    storages = settings.object_storage_ids or tuple(device.archive.storages)
    yield f"stores in {storages[0]}" if storages else "takes no objects, for lack of a storage"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _rules(rules: Mapping[AETitle, Sequence[Ruled]]) -> Iterator[str]:
    yield ""
    yield "RULES, in the order in which they are looked at"
    of_titles: dict[tuple[str, ...], list[AETitle]] = {}
    for title, found in rules.items():
        of_titles.setdefault(tuple(rule.dn for rule, _ in found), []).append(title)
    for titles in of_titles.values():
        found = rules[titles[0]]
        yield f"  of {_some(titles)}" + ("" if found else ": none")
        width = max((len(rule.cn) for rule, _ in found), default=0)
        for rule, steps in found:
            yield f"    {rule.cn:<{width}}  {_message(rule)}: {_action(rule, steps)}"
            for condition in sorted(rule.properties):
                yield f"    {'':<{width}}  if {condition}"
    leading = {leading_of(rule) for found in rules.values() for rule, _ in found} - {None}
    yield f"  leading archive: {', '.join(sorted(map(str, leading))) or 'none, so nothing is looked up'}"


def _message(rule: AnyRule) -> str:
    return f"{rule.dimse.value} {rule.transfer_role.value}"


def _action(rule: AnyRule, steps: Sequence[str]) -> str:
    title = leading_of(rule)
    others = [step for step in steps if title is None or step not in ("leading-arc", "dcmLeadingCFindSCP")]
    return ", ".join(([] if title is None else [f"attributes of leading archive {title}"]) + others) or "nothing"


def _storages(device: Device) -> Iterator[str]:
    yield ""
    yield "STORAGES"
    for storage in device.archive.storages.values():
        yield f"  {storage.storage_id:<16} {storage.uri}{' (read only)' if storage.read_only else ''}"
    if not device.archive.storages:
        yield "  none"


def _cache(device: Device) -> Iterator[str]:
    archive = device.archive
    stale = archive.leading_cfind_scp_query_cache_stale_timeout
    yield ""
    yield "LEADING CACHE"
    most = archive.leading_cfind_scp_query_cache_size
    size = "any number of" if most == 0 else most
    yield f"  {size} studies, asked again {_after(stale)}"


def _after(stale: timedelta | None) -> str:
    return "never" if stale is None else f"after {isodate.duration_isoformat(stale)}"
