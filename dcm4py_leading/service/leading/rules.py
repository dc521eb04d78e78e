"""Rules that ask leading archives, by AE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.config.named_titles import leading_of
from dcm4py_leading.model.values import AETitle


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadingRule:
    """A rule that names a leading archive, for one AE."""

    local_ae_title: AETitle
    leading_ae_title: AETitle
    cn: str
    dn: str


def leading_rules(rules: Mapping[AETitle, Iterable[CompiledRule]]) -> Iterator[LeadingRule]:
    """The rules that ask, by AE in order of evaluation; a rule of the device is listed for each AE."""
    for local, compiled in rules.items():
        for rule in (item.rule for item in compiled):
            if (title := leading_of(rule)) is not None:
                yield LeadingRule(local_ae_title=local, leading_ae_title=title, cn=rule.cn, dn=rule.dn)
