"""Settings of an AE."""

import pytest

from dcm4py_leading.model.archive import ArchiveSettings
from dcm4py_leading.model.values import AETitle


@pytest.mark.ldap("dcmMultipleStoreAssociations")
def test_the_number_of_store_associations_is_that_of_the_destination_else_that_of_all_else_one() -> None:
    settings = ArchiveSettings(multiple_store_associations=("2", "VIEWER:4"))
    assert settings.store_associations_to(AETitle("VIEWER")) == 4
    assert settings.store_associations_to(AETitle("OTHER")) == 2
    assert ArchiveSettings(multiple_store_associations=("VIEWER:4",)).store_associations_to(AETitle("OTHER")) == 1
    assert ArchiveSettings().store_associations_to(AETitle("VIEWER")) == 1
