"""Schema checks without a server: names, syntaxes, required and allowed attributes of a class.

The schema files hold a part of dcm4chee's schema, so three answers are possible: a name is known with all that the
schema says of it, known by name only (dcm4chee has it, we do not read it; or it is a standard's), or unknown.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from dcm4py_leading.config.attributes.known import ATTRIBUTE_NAMES, GENERAL_ATTRIBUTES, OBJECT_CLASS_NAMES
from dcm4py_leading.config.dn import dn_key
from dcm4py_leading.config.ldif.schema_table import ATTRIBUTE_TYPES as ATTRIBUTE_TABLE
from dcm4py_leading.config.ldif.schema_table import OBJECT_CLASSES as CLASS_TABLE

PARTIAL_CLASSES = frozenset({"dcmarchivedevice", "dcmarchivenetworkae"})
"""dcm4chee's schema allows more attributes on these than ours knows, in lower case."""

NOT_FOR_USERS = GENERAL_ATTRIBUTES - frozenset(
    {"aci", "cn", "dc", "description", "o", "objectclass", "ou", "seealso", "uid", "usercertificate", "userpassword"}
)
"""Operational attributes that the server keeps itself: a dump has them, an import must not (RFC 4512 3.4)."""

_MORE_STANDARD_ATTRIBUTES = """
    aliasedobjectname associateddomain associatedname authorityrevocationlist businesscategory c cacertificate
    carlicense certificaterevocationlist co commonname crosscertificatepair countryname deltarevocationlist
    departmentnumber destinationindicator displayname distinguishedname dnqualifier documentidentifier domaincomponent
    email emailaddress employeenumber employeetype enhancedsearchguide facsimiletelephonenumber generationqualifier
    gidnumber givenname gn homedirectory homephone host houseidentifier info initials internationalisdnnumber
    jpegphoto l labeleduri localityname loginshell mail manager member memberuid mobile name organizationalunitname
    organizationname owner pager physicaldeliveryofficename postaladdress postalcode postofficebox
    preferreddeliverymethod preferredlanguage presentationaddress protocolinformation pseudonym ref registeredaddress
    roleoccupant roomnumber searchguide secretary serialnumber sn st stateorprovincename street streetaddress
    supportedalgorithms supportedapplicationcontext surname telephonenumber teletexterminalidentifier telexnumber
    title uidnumber uniqueidentifier uniquemember userid userpkcs12 usersmimecertificate x121address
    x500uniqueidentifier
"""
_MORE_STANDARD_CLASSES = """
    account applicationentity applicationprocess certificationauthority country crldistributionpoint device dmd
    domain dsa groupofnames groupofuniquenames inetorgperson labeleduriobject locality organizationalperson
    organizationalrole person posixaccount posixgroup residentialperson rfc822localpart shadowaccount
    strongauthenticationuser subentry uidobject usersecurityinformation
"""
_STANDARD_ATTRIBUTES = GENERAL_ATTRIBUTES | frozenset(_MORE_STANDARD_ATTRIBUTES.split())
_STANDARD_CLASSES = frozenset(_MORE_STANDARD_CLASSES.split())
_OF_THE_USER_INTERFACE = "dcmui"
"""Begins the names of dcm4chee-archive-ui.schema, which only dcm4chee's own pages read."""

_NUMERIC_OID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")


class Syntax(enum.Enum):
    """Syntaxes of RFC 4517 3.3, as far as the schema uses them."""

    BINARY = "binary"
    BOOLEAN = "boolean"
    DN = "dn"
    TEXT = "text"
    IA5 = "ia5"
    INTEGER = "integer"
    OID = "oid"
    OCTETS = "octets"

    def fault(self, value: str) -> str | None:
        """Reason why a server refuses ``value``; None if it accepts it. A trailing blank counts, as on the server."""
        match self:
            case Syntax.BOOLEAN if value not in ("TRUE", "FALSE"):
                return "expected TRUE or FALSE, in capitals and without blanks"
            case Syntax.INTEGER if not _INTEGER.fullmatch(value):
                return "expected a whole number, without leading zeros and blanks"
            case Syntax.OID if not _NUMERIC_OID.fullmatch(value):
                return "expected a UID of digits and dots, without leading zeros and blanks"
            case Syntax.IA5 if not value.isascii():
                return "expected ASCII characters only"
            case Syntax.TEXT if not value.strip(" "):
                return "expected a value that is not blank"
            case Syntax.DN if value.strip(" "):
                return dn_fault(value)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeType:
    """One attribute that the schema defines."""

    name: str
    syntax: Syntax
    single: bool
    """SINGLE-VALUE."""
    ignores_case: bool
    """True if values that differ only in case are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaClass:
    """One object class that the schema defines; attributes in the schema's spelling."""

    name: str
    kind: str
    """STRUCTURAL, AUXILIARY or ABSTRACT."""
    must: tuple[str, ...]
    may: tuple[str, ...]


@cache
def attribute_types() -> Mapping[str, AttributeType]:
    """The attributes of the schema files by lower-case name."""
    found = {}
    for line in ATTRIBUTE_TABLE.split("\n"):
        if line:
            name, syntax, *flags = line.split()
            found[name.lower()] = AttributeType(
                name=name, syntax=Syntax(syntax), single="single" in flags, ignores_case="fold" in flags
            )
    return found


@cache
def object_classes() -> Mapping[str, SchemaClass]:
    """The object classes of the schema files by lower-case name."""
    found = {}
    for line in CLASS_TABLE.replace("\n  ", " ").split("\n"):
        if line:
            head, _, lists = line.partition(":")
            name, kind = head.split()
            must, _, may = lists.partition(";")
            found[name.lower()] = SchemaClass(name=name, kind=kind, must=tuple(must.split()), may=tuple(may.split()))
    return found


def is_single_valued(attribute: str) -> bool:
    """True if the schema lets it have one value only, as far as we know it."""
    known = attribute_types().get(_base(attribute))
    return known is not None and known.single


def is_known_attribute(name: str) -> bool:
    """True if some schema defines it: ours, dcm4chee's, or a standard's. An OID is taken on trust."""
    name = _base(name)
    return (
        name in _spelling()
        or name in _STANDARD_ATTRIBUTES
        or name.startswith(_OF_THE_USER_INTERFACE)
        or _NUMERIC_OID.fullmatch(name) is not None
    )


def is_known_class(name: str) -> bool:
    """True if some schema defines the object class; an OID is taken on trust."""
    name = name.lower()
    return (
        name in _class_spelling()
        or name in _STANDARD_CLASSES
        or name.startswith(_OF_THE_USER_INTERFACE)
        or _NUMERIC_OID.fullmatch(name) is not None
    )


def spelt(attribute: str) -> str:
    """The attribute as its schema spells it; as it is given where none is known."""
    return _spelling().get(attribute.lower(), attribute)


def unknown_attribute(name: str) -> str:
    """Reason why a server refuses the attribute, and the name probably meant."""
    return "no schema has this attribute" + _did_you_mean(_base(name), _spelling())


def unknown_class(name: str) -> str:
    """The same for an object class."""
    return "no schema has this object class" + _did_you_mean(name.lower(), _class_spelling())


def entry_faults(attributes: Mapping[str, Iterable[str]], naming: Iterable[str]) -> list[tuple[str, str | None, str]]:
    """Objections of a server to an entry as a whole: (attribute, value, reason).

    ``naming``: the attributes of its RDN, which a server adds where the entry lacks them (RFC 4511 4.7).
    """
    given = {_base(name): name for name, values in attributes.items() if tuple(values)}
    classes_of = (values for name, values in attributes.items() if name.lower() == "objectclass")
    names = tuple(value.strip() for values in classes_of for value in values)
    faults: list[tuple[str, str | None, str]] = [
        ("objectClass", name, unknown_class(name)) for name in names if not is_known_class(name)
    ]
    if not names:
        faults.append(("objectClass", None, "is required, but absent"))
    classes = [found for name in names if (found := object_classes().get(name.lower())) is not None]
    present = given.keys() | {name.lower() for name in naming}
    for found in classes:
        missing = [name for name in found.must if name.lower() not in present]
        faults += [(name, None, f"is required by {found.name}, but absent") for name in missing]
    if len(classes) < sum(name.lower() != "top" for name in names):
        return faults  # by a class that we do not know, more may be allowed
    faults += _structure(classes, bool(names))
    allowed = {name.lower() for found in classes for name in (*found.must, *found.may)}
    is_partial = any(found.name.lower() in PARTIAL_CLASSES for found in classes)
    for name, spelt in given.items():
        if name in allowed or name in ("objectclass", "aci") or name in NOT_FOR_USERS or not is_known_attribute(name):
            continue
        if name in attribute_types() or not is_partial:
            faults.append((spelt, None, _not_allowed(name, classes)))
    return faults


def _structure(classes: list[SchemaClass], has_class: bool) -> list[tuple[str, str | None, str]]:
    structural = [found.name for found in classes if found.kind == "STRUCTURAL"]
    if len(structural) > 1:
        reason = f"expected one structural object class, not {' and '.join(structural)}: they need entries of their own"
        return [("objectClass", structural[1], reason)]
    if not structural and has_class:
        listed = ", ".join(found.name for found in classes) or "top"
        return [("objectClass", None, f"expected a structural object class as well: {listed} cannot stand alone")]
    return []


def _not_allowed(name: str, classes: Iterable[SchemaClass]) -> str:
    names = [found.name for found in classes]
    shown = _spelling().get(name, name)
    if name == "dcmleadingcfindscp" and "dcmArchiveAttributeCoercion2" in names:
        return "a version-2 rule has no such attribute: there the leading archive is named by dcmURI: leading-arc:AET"
    holders = [
        found.name
        for found in object_classes().values()
        if name in (other.lower() for other in (*found.must, *found.may))
    ]
    where = f"; {shown} belongs to {' and '.join(holders)}" if holders else ""
    return f"{' and '.join(names) or 'the entry'} does not allow it{where}"


def dn_fault(value: str) -> str | None:
    """Reason why a server refuses a distinguished name; None if it accepts it."""
    try:
        key = dn_key(value)
    except ValueError as err:
        return str(err)
    unknown = [name for rdn in key for name, _ in rdn if not is_known_attribute(name)]
    return f"expected a distinguished name of known attributes, not {unknown[0]!r}" if unknown else None


def _base(attribute: str) -> str:
    """Without options such as ;binary."""
    return attribute.partition(";")[0].lower()


def _did_you_mean(name: str, spelling: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, spelling, n=2, cutoff=0.8)
    return f": did you mean {' or '.join(spelling[found] for found in near)}?" if near else ""


@cache
def _spelling() -> Mapping[str, str]:
    names = (*ATTRIBUTE_NAMES.split(), *(known.name for known in attribute_types().values()), "objectClass", "cn")
    return {name.lower(): name for name in names}


@cache
def _class_spelling() -> Mapping[str, str]:
    names = (*OBJECT_CLASS_NAMES.split(), *(known.name for known in object_classes().values()))
    return {name.lower(): name for name in names}
