"""Looking up whom we ask."""

from __future__ import annotations

import pytest

from dcm4py_leading.dicom.scu.resolve import resolved
from dcm4py_leading.errors import ArchiveUnavailable, ConfigUnavailable, LeadingUnavailable
from dcm4py_leading.model.device import RemoteAE
from dcm4py_leading.model.values import AETitle

TITLE = AETitle("QRSCP")


def test_an_ae_that_the_directory_does_not_have_is_named() -> None:
    with pytest.raises(LeadingUnavailable, match="QRSCP is not in the directory"):
        resolved(lambda _: None, TITLE, LeadingUnavailable)


def test_directory_down_is_given_as_the_reason() -> None:
    def down(_: AETitle) -> RemoteAE | None:
        raise ConfigUnavailable("ldap://one: refused")

    with pytest.raises(ArchiveUnavailable, match="QRSCP cannot be looked up: ldap://one: refused"):
        resolved(down, TITLE, ArchiveUnavailable)
