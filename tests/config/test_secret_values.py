import re

import pytest

from dcm4py_leading.config.attributes import read_attributes
from dcm4py_leading.config.secret_values import without_secrets
from dcm4py_leading.secret_text import is_secret
from tests.fixtures import trees
from tests.fixtures.trees import entry


@pytest.mark.parametrize(
    "attribute",
    [
        "userPassword",
        "USERPASSWORD",
        "userPassword;x-hashed",
        "authPassword",
        "dcmKeyStorePin",
        "dcmKeyStoreKeyPin",
        "dcmTrustStorePin",
        "dcmKeycloakClientSecret",
        "sambaNTPassword",
        "krbPrincipalKey",
        "userPKCS12",
        "dicomVendorData",
    ],
)
def test_secret_attributes(attribute):
    assert is_secret(attribute)


@pytest.mark.parametrize(
    "attribute",
    ["dcmKeyStoreURL", "dcmKeyStorePinProperty", "dcmTrustStorePinProperty", "dcmNoKeywords", "userCertificate"],
)
def test_attributes_that_only_sound_like_it(attribute):
    assert not is_secret(attribute)


def test_nothing_that_the_service_reads_is_secret():
    assert [name for name in read_attributes() if is_secret(name)] == []


def test_every_secret_of_the_schemas_is_known(upstream):
    names = {name for path in upstream.schema for name in re.findall(r"NAME\s+'(\w+)'", path.read_text())}
    assert {name for name in names if is_secret(name)} == {
        "dcmKeyStorePin",
        "dcmKeyStoreKeyPin",
        "dcmTrustStorePin",
        "dcmKeycloakClientSecret",
        "dicomVendorData",
    }


def test_other_attributes_stay_as_they_are_spelt():
    found = without_secrets(trees.device(dcmKeyStorePin="s3cret", dcmTrustStorePin="s3cret", dicomStationName="A"))
    assert found == trees.device(dicomStationName="A")
    assert found.spell("dicomstationname") == "dicomStationName"


def test_secret_options_of_a_storage_go_the_others_stay():
    options = ["jclouds.credential=s3cret", "jclouds.identity=me", "password=s3cret", "AccessKey=s3cret", "a=b"]
    found = without_secrets(trees.storage(dcmProperty=options))
    assert found.values("dcmProperty") == ("jclouds.identity=me", "a=b")


def test_no_condition_of_a_rule_is_lost():
    rule = trees.rule(dcmProperty=["SecretCouncilName=x", "PatientID=password=1"])
    assert without_secrets(rule) == rule


def test_password_in_a_url_goes():
    url = "https://me:s3cret@host/path?q=a@b"
    found = without_secrets(entry("cn=x", "dcmWebApp", dcmURI=url, dcmOther="https://host/a:b@c"))
    assert found.values("dcmURI") == ("https://me@host/path?q=a@b",)
    assert found.values("dcmOther") == ("https://host/a:b@c",)


def test_secret_options_are_found_in_linear_time():
    found = without_secrets(trees.storage(dcmProperty=["token" * 200_000]))
    assert found.values("dcmProperty") == ("token" * 200_000,)
