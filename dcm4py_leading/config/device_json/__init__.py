"""A device as one JSON document, in dcm4chee's form, and back: pure functions on entries.

Keys are LDAP attribute names. What belongs to the entry's own class is in the object itself, what an auxiliary class
adds in an object under that class's name, and the entries below in arrays under theirs.
"""

from dcm4py_leading.config.device_json.document import document, object_of
from dcm4py_leading.config.device_json.reading import RequestedTree, new_device, requested_tree, wanted_object
from dcm4py_leading.config.device_json.text import parse

__all__ = ["RequestedTree", "document", "new_device", "object_of", "parse", "requested_tree", "wanted_object"]
