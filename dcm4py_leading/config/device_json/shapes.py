"""Structure of a document: which object stands where, and which attribute names a new entry."""

from __future__ import annotations

from dataclasses import dataclass

from dcm4py_leading.config.device_json.fields import Field, fields_of
from dcm4py_leading.config.dn import rdn_assertions
from dcm4py_leading.config.entry import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectShape:
    """An object of a document."""

    object_class: str
    naming: tuple[tuple[str, ...], ...] = ()
    """Attributes that may name an entry of this class; of a new one the first for which there are values do."""
    extensions: tuple[ObjectShape, ...] = ()
    """Objects under the name of an auxiliary class of the same entry."""
    children: tuple[ObjectShape, ...] = ()
    """Arrays under the name of the class of entries below."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """Its own attributes."""
        return fields_of(self.object_class)

    def names(self, entry: Entry) -> bool:
        """True if the entry is of this class and named by attributes of it: only so can a document tell which it is."""
        own = {field.name.lower() for field in self.fields}
        return entry.is_a(self.object_class) and all(name.lower() in own for name, _ in rdn_assertions(entry.dn))


RULE = ObjectShape(object_class="dcmArchiveAttributeCoercion", naming=(("cn",),))
RULE2 = ObjectShape(object_class="dcmArchiveAttributeCoercion2", naming=(("cn",),))
ATTRIBUTE_SET = ObjectShape(object_class="dcmAttributeSet", naming=(("dcmAttributeSetID", "dcmAttributeSetType"),))

CONNECTION = ObjectShape(
    object_class="dicomNetworkConnection",
    naming=(("cn",), ("dicomHostname", "dicomPort"), ("dicomHostname",)),
    extensions=(ObjectShape(object_class="dcmNetworkConnection"),),
)
_CAPABILITY = ObjectShape(
    object_class="dicomTransferCapability",
    naming=(("cn",), ("dicomSOPClass", "dicomTransferRole")),
    extensions=(ObjectShape(object_class="dcmTransferCapability"),),
)
_AE = ObjectShape(
    object_class="dicomNetworkAE",
    naming=(("dicomAETitle",),),
    extensions=(
        ObjectShape(
            object_class="dcmNetworkAE",
            extensions=(ObjectShape(object_class="dcmArchiveNetworkAE", children=(RULE, RULE2)),),
        ),
    ),
    children=(_CAPABILITY,),
)
_ARCHIVE_DEVICE = ObjectShape(
    object_class="dcmArchiveDevice",
    children=(
        ObjectShape(object_class="dcmAttributeFilter", naming=(("dcmEntity",),)),
        ATTRIBUTE_SET,
        ObjectShape(object_class="dcmStorage", naming=(("dcmStorageID",),)),
        ObjectShape(object_class="dcmQueryRetrieveView", naming=(("dcmQueryRetrieveViewID",),)),
        RULE,
        RULE2,
    ),
)
DEVICE = ObjectShape(
    object_class="dicomDevice",
    naming=(("dicomDeviceName",),),
    extensions=(ObjectShape(object_class="dcmDevice", extensions=(_ARCHIVE_DEVICE,)),),
    children=(CONNECTION, _AE),
)
