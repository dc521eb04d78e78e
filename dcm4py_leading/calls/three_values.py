"""Values of a study side by side: in the archive, in the leading archive, and as an AE gets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dcm4py_leading.calls.call import Call, Caller, Form, Here, as_it_is
from dcm4py_leading.service.studies.comparing import three_values
from dcm4py_leading.service.studies.three_values import ThreeValues

_SECONDS = 90.0
"""Leading archives are asked."""


def _three_values(here: Here, asked: Mapping[str, Any]) -> ThreeValues:
    return three_values(here.runtime, asked["aet"], asked["study"], asked["receiver"], asked["receivers"])


THREE_VALUES: Call[Mapping[str, Any], ThreeValues] = Call(
    name="three values",
    do=_three_values,
    question=as_it_is(),
    answer=Form(to_json=ThreeValues.to_json, from_json=ThreeValues.from_json),
    seconds=_SECONDS,
)


class Comparisons(Caller):
    """Comparisons of values (see `web.pages.studies.three_values.ValuesSource`)."""

    def three_values(
        self, ae_title: str, study_instance_uid: str, receiver: str, receivers: Sequence[str]
    ) -> ThreeValues:
        """Values of a study, for ``receiver`` or the first led one (see `ValuesSource`)."""
        asked = {"aet": ae_title, "study": study_instance_uid, "receiver": receiver, "receivers": list(receivers)}
        return self.call(THREE_VALUES, asked)
