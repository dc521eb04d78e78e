"""Coercion rules for queries that we send: C_FIND_RQ and C_FIND_RSP with role SCP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from pydicom import Dataset

from dcm4py_leading.coercion.chain import Question, coercion, run
from dcm4py_leading.coercion.rules import CompiledRule
from dcm4py_leading.coercion.select import CoercionContext, Peer, select_rules
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import AETitle, TransferRole


class ScuFindRules:
    """Coerces the identifiers of our C-FIND SCU; rules that ask other systems are refused at load."""

    def __init__(self, rules: Mapping[AETitle, tuple[CompiledRule, ...]], *, compat_5_35: bool) -> None:
        self._rules = {
            title: tuple(rule for rule in of_ae if rule.rule.transfer_role is TransferRole.SCP)
            for title, of_ae in rules.items()
        }
        self._compat_5_35 = compat_5_35

    def are_about(self, dimse: Dimse, local_ae: ApplicationEntity) -> bool:
        """True if there are rules for this DIMSE message."""
        return any(rule.rule.dimse is dimse for rule in self._rules.get(local_ae.ae_title, ()))

    def __call__(
        self, dimse: Dimse, local_ae: ApplicationEntity, remote: RemoteAE, sop_class_uid: str, ds: Dataset
    ) -> Dataset:
        """Coerce ``ds``, the keys or a response, in place. Raises CoercionFailed."""
        rules = self._rules.get(local_ae.ae_title, ())
        if not self.are_about(dimse, local_ae):
            return ds
        ours = Peer(host=local_ae.connections[0].hostname if local_ae.connections else None, ae_title=local_ae.ae_title)
        theirs = Peer(host=remote.connections[0].hostname if remote.connections else None, ae_title=remote.ae_title)
        context = CoercionContext(
            dimse=dimse,
            transfer_role=TransferRole.SCP,
            sop_class=sop_class_uid,
            sending=ours,
            receiving=theirs,
        )
        selection = select_rules(rules, context, ds, compat_5_35=self._compat_5_35)
        return run(coercion(ds, selection), _nobody).dataset


def _nobody(question: Question) -> NoReturn:
    raise AssertionError(f"{question} from a rule for our own queries")
