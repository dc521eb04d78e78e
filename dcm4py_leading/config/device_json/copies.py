"""Copy of an entry under another name, with all attributes, those included that a document leaves out."""

from __future__ import annotations

from dcm4py_leading.config.device_json.shapes import ObjectShape
from dcm4py_leading.config.dn import escape_rdn_value, parent_dn, rdn_assertions
from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.ldif.schema import Syntax, attribute_types
from dcm4py_leading.errors import DocumentFault, DocumentInvalid


def copy_of(shape: ObjectShape, entry: Entry, attribute: str, name: str) -> Entry:
    """The entry beside itself, with another value of one of the attributes that name it. Raises DocumentInvalid."""
    known = attribute_types().get(attribute.lower())
    syntax = Syntax.TEXT if known is None else known.syntax
    fault = syntax.fault(name) or ("expected a text without the character NUL" if "\0" in name else None)
    if fault is not None:
        raise DocumentInvalid([DocumentFault("", f"{attribute}: {fault}")])
    named = {told.lower(): value for told, value in rdn_assertions(entry.dn)} | {attribute.lower(): name}
    rdn = "+".join(f"{told}={escape_rdn_value(named[told.lower()])}" for told in shape.naming[0])
    attributes = {entry.spell(told): entry.values(told) for told in entry if told != attribute.lower()}
    return Entry.of(f"{rdn},{parent_dn(entry.dn)}", {**attributes, attribute: (name,)})
