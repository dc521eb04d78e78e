"""Check of the AE titles that a configuration names: is each in the directory, once, and spelt the same?

A title that nobody has is most often a slip of the pen, and then a rule does not apply where it should: objects and
answers go out with old attributes, in silence. It may also be added later, so that is a WARNING. A title that two
devices have is worse: whichever comes first is asked, and its answers become patient identity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from dcm4py_leading.coercion.formats.java_regex import compile_java_regex
from dcm4py_leading.config.dn import parent_dn
from dcm4py_leading.config.entry import Entry, dns_by_title
from dcm4py_leading.config.loader import load_remote_ae
from dcm4py_leading.config.placeholders import Expand
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.errors import ConfigInvalid, ConfigUnavailable, Problem, Severity
from dcm4py_leading.model.bounds import CONDITION_MATCH_SECONDS
from dcm4py_leading.model.coercion import AnyRule, CoercionRule
from dcm4py_leading.model.device import Device
from dcm4py_leading.model.values import AETitle, TransferRole

LEADING_ARC = "leading-arc:"
_CONDITION = re.compile(r"(?P<end>Sending|Receiving)ApplicationEntityTitle!?=(?P<value>.+)", re.DOTALL)
_LITERAL = re.compile(r"[\w -]{1,16}", re.ASCII)
"""A value that is no pattern: it can be looked up."""


def warning(dn: str, attribute: str | None, value: str | None, reason: str) -> Problem:
    """A Problem that does not refuse the configuration."""
    return Problem(dn=dn, attribute=attribute, value=value, reason=reason, severity=Severity.WARNING)


def named_aes(
    device: Device, references: Iterable[tuple[str, str, str]], source: ConfigSource, expand: Expand
) -> Iterator[Problem]:
    """All problems of AE titles that the device names. Raises ConfigUnavailable when one cannot be looked up.

    ``references``: DN, attribute and value of each title of another system that is asked.
    """
    directory = _Titles(device, source)
    yield from _own_titles(device, directory)
    yield from _referenced(device, references, directory, expand)
    for rules, own in rules_with_their_aes(device):
        for rule in rules:
            yield from _conditions(rule, own, directory)
    yield from _accepted(device, directory)


@dataclass(frozen=True)
class _Titles:
    """The AE titles of the directory."""

    device: Device
    source: ConfigSource

    @cached_property
    def own(self) -> tuple[str, ...]:
        return tuple(ae.ae_title for ae in self.device.application_entities)

    @cached_property
    def listed(self) -> Mapping[str, tuple[str, ...]]:
        """All titles, with DNs; none where the directory is too large for a list, or does not give one."""
        try:
            return self.source.ae_dns(None)
        except ConfigUnavailable:
            return {}

    def holders(self, title: str) -> tuple[str, ...]:
        """The DNs of the AEs of that title."""
        return holders(self.source.read_ae(title), title)

    def meant(self, title: str, among: Iterable[str] | None = None) -> str | None:
        """The title that differs from this one by case only."""
        titles = self.listed if among is None else among
        return next((found for found in titles if found != title and found.casefold() == title.casefold()), None)


def holders(entries: Iterable[Entry], title: str) -> tuple[str, ...]:
    """The DNs of the AEs of that title."""
    return dns_by_title(entries, [title]).get(title, ())


def _listed(dns: Iterable[str]) -> str:
    return " and ".join(dns)


# Our own titles.


def _own_titles(device: Device, directory: _Titles) -> Iterator[Problem]:
    try:
        found = directory.source.ae_dns(directory.own)
    except ConfigUnavailable:
        return  # told where a title is needed
    for ae in device.application_entities:
        dns = found.get(ae.ae_title, ())
        if len({parent_dn(dn).casefold() for dn in dns}) > 1:
            reason = f"another device has this AE title too, and whoever looks it up may find either: {_listed(dns)}"
            yield warning(ae.dn, "dicomAETitle", ae.ae_title, reason)


# Systems that rules and AEs name.


def archives_asked(device: Device) -> Iterator[tuple[str, str, AETitle]]:
    """DN, attribute and AE title of each archive that is asked on clients' behalf."""
    for ae in device.application_entities:
        for title in ae.settings.spanning_cfind_scps:
            yield ae.dn, "dcmSpanningCFindSCP", title
        for title in ae.settings.fallback_cmove_scps:
            yield ae.dn, "dcmFallbackCMoveSCP", title
    for storage in device.archive.storages.values():
        for title in storage.external_retrieve_aets:
            yield storage.dn, "dcmExternalRetrieveAET", title


def is_of(device: Device, title: AETitle) -> bool:
    """True if the directory finds an AE of the device by this title: by its dcmOtherAETitle none is found, and there it
    may have the title of the archive in front of which it is."""
    return any(ae.ae_title == title for ae in device.application_entities)


def leading_of(rule: AnyRule) -> AETitle | None:
    """The leading archive that a rule asks."""
    if isinstance(rule, CoercionRule):
        return rule.leading_cfind_scp
    return AETitle(rule.uri.removeprefix(LEADING_ARC)) if rule.uri.startswith(LEADING_ARC) else None


def _referenced(
    device: Device, references: Iterable[tuple[str, str, str]], directory: _Titles, expand: Expand
) -> Iterator[Problem]:
    found: dict[AETitle, tuple[Severity, str] | None] = {}
    for dn, attribute, value in references:
        try:
            title = AETitle(value.removeprefix(LEADING_ARC))
        except ValueError as err:
            yield Problem(dn=dn, attribute=attribute, value=value, reason=str(err))
            continue
        if title not in found:
            found[title] = _objection(device, title, directory, expand)
        if (objection := found[title]) is not None:
            severity, reason = objection
            yield Problem(dn=dn, attribute=attribute, value=value, reason=reason, severity=severity)


def rules_with_their_aes(device: Device) -> Iterator[tuple[tuple[AnyRule, ...], tuple[str, ...]]]:
    """Rules, and the titles of our AEs for which they hold."""
    for ae in device.application_entities:
        yield ae.coercion_rules, (ae.ae_title,)
    yield device.archive.coercion_rules, tuple(ae.ae_title for ae in device.application_entities)


def _objection(device: Device, title: AETitle, directory: _Titles, expand: Expand) -> tuple[Severity, str] | None:
    if is_of(device, title):
        return Severity.WARNING, "names an AE of this device, which would ask itself"
    entries = directory.source.read_ae(title)
    dns = holders(entries, title)
    if len(dns) > 1:
        return Severity.ERROR, (
            f"expected a title that one device has, since the answers of the wrong one would count: {_listed(dns)}"
        )
    try:
        ae = load_remote_ae(entries, title, expand)
    except ConfigInvalid as err:
        return Severity.WARNING, "the AE cannot be called: " + "; ".join(str(problem) for problem in err.problems)
    if ae is None:
        return Severity.WARNING, f"the directory has no dicomNetworkAE of this title{_but_for_case(title, directory)}"
    if not ae.connections:
        return Severity.WARNING, "the AE cannot be called: it has no installed DICOM connection with a port"
    return None


def _but_for_case(title: str, directory: _Titles) -> str:
    meant = directory.meant(title)
    return "" if meant is None else f": it differs only by case from {meant}"


# Conditions.


def _conditions(rule: AnyRule, own: tuple[str, ...], directory: _Titles) -> Iterator[Problem]:
    for text in rule.properties:
        match = _CONDITION.fullmatch(text)
        if match is None:
            continue
        # The other system is the one in the transfer role; who sends and who receives follows from it.
        is_ours = (match["end"] == "Sending") is (rule.transfer_role is TransferRole.SCP)
        reason = _about_ours(match, own) if is_ours else _about_others(match, directory)
        if reason is not None:
            yield warning(rule.dn, "dcmProperty", text, reason)


def _about_ours(match: re.Match[str], own: tuple[str, ...]) -> str | None:
    """Why a condition on our own end of the association never holds, or always where it is negated."""
    value = match["value"]
    if any(_matches(match, title) for title in own):
        return None
    meant = next((title for title in own if _matches(match, title, ignores_case=True)), None)
    hint = "" if meant is None else f": it differs only by case from {meant}"
    return f"no AE of this device for which the rule holds matches {value}{hint}"


def _about_others(match: re.Match[str], directory: _Titles) -> str | None:
    value = match["value"]
    if _LITERAL.fullmatch(value):
        dns = directory.holders(value)
        if len(dns) > 1:
            return f"several devices have this AE title: {_listed(dns)}"
        if dns:
            return None
    titles = directory.listed
    if not titles and not _LITERAL.fullmatch(value):
        return None  # no list of all titles, of which one might match
    if any(_matches(match, title) for title in titles):
        return None
    meant = next((title for title in titles if _matches(match, title, ignores_case=True)), None)
    hint = "" if meant is None else f": it differs only by case from {meant}"
    remark = "" if match["end"] == "Receiving" or meant else ", which a caller need not be in: is it spelt so?"
    return f"the directory has no dicomNetworkAE that {value} matches{hint}{remark}"


def _matches(match: re.Match[str], title: str, *, ignores_case: bool = False) -> bool:
    value = f"(?i:{match['value']})" if ignores_case else match["value"]
    try:
        return compile_java_regex(value).fullmatch(title, timeout=CONDITION_MATCH_SECONDS) is not None
    except (ValueError, TimeoutError):
        return True  # that it is no pattern, or a slow one, is told elsewhere


# Who may call, and where objects may be sent.


def _accepted(device: Device, directory: _Titles) -> Iterator[Problem]:
    for ae in device.application_entities:
        for title in sorted(ae.settings.accepted_move_destinations):
            if not directory.holders(title):
                reason = f"the directory has no dicomNetworkAE of this title{_but_for_case(title, directory)}"
                yield warning(ae.dn, "dcmAcceptedMoveDestination", title, reason)
        for title in sorted(ae.accepted_calling_ae_titles):
            if title not in directory.listed and (hint := _but_for_case(title, directory)):
                reason = f"the directory has no dicomNetworkAE of this title{hint}"
                yield warning(ae.dn, "dcmAcceptedCallingAETitle", title, reason)
