"""Rules by which AEs ask leading archives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.config.named_titles import leading_of
from dcm4py_leading.model.values import AETitle


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingRule:
    """A rule that names a leading archive, as it stands for one AE."""

    local_ae_title: AETitle
    leading_ae_title: AETitle
    cn: str
    dn: str


def leading_rules(rules: Mapping[AETitle, Iterable[CompiledRule]]) -> Iterator[LeadingRule]:
    """The rules that ask, of each AE in the order in which they are looked at; one of the device comes with each AE."""
    for local, compiled in rules.items():
        for rule in (item.rule for item in compiled):
            if (title := leading_of(rule)) is not None:
                yield LeadingRule(local_ae_title=local, leading_ae_title=title, cn=rule.cn, dn=rule.dn)
