"""Validator of an answer (RFC 9110 8.8): equal for equal answers, and another one as soon as an attribute is another.

It is made of all that decides: the stored objects, what the index knows of them, the configuration, who asks, and what
the leading archives say. So it is known before an object is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from copy import deepcopy

from pydicom import Dataset

from dcm4py_leading import __version__
from dcm4py_leading.coercion.question import Answer
from dcm4py_leading.dataset.data_sets import write
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE
from dcm4py_leading.dataset.text.unreadable import UNREADABLE
from dcm4py_leading.errors import UnencodableText
from dcm4py_leading.service.dicomweb.web_request import WebRequest
from dcm4py_leading.service.retrieve.retrieve_archive import Retrieval
from dcm4py_leading.service.retrieve.stored_instance import StoredInstance
from dcm4py_leading.service.retrieve.sub_operations import RetrievedObject
from dcm4py_leading.service.runtime import Runtime

NONE = ""


def validator(
    runtime: Runtime, request: WebRequest, retrieval: Retrieval, objects: Iterable[RetrievedObject], *form: object
) -> str:
    """The validator, in hexadecimal digits; NONE where more decides than is known before.

    These are objects of other archives, and rules of which the outcome may differ each time. ``form`` is what the
    client wants of the objects.
    """
    if retrieval.stream is not None or not retrieval.coercer.is_timeless:
        return NONE
    if runtime.options.of(retrieval.coercer.local_ae.ae_title).original_attributes_on_retrieve:  # they have the time
        return NONE
    digest = hashlib.sha256()
    for value in (__version__, runtime.snapshot.fingerprint, runtime.options, request, form):
        digest.update(repr(value).encode())
    for obj in objects:
        if not isinstance(obj, StoredInstance):
            return NONE
        digest.update(repr(obj.instance).encode())
    try:
        for question, answer in sorted(retrieval.coercer.answers.items(), key=lambda item: repr(item[0])):
            digest.update(repr(question).encode())
            digest.update(_octets(answer))
    except (UnencodableText, *UNREADABLE):
        return NONE
    return digest.hexdigest()[:32]


def _octets(answer: Answer) -> bytes:
    if isinstance(answer, Dataset):
        # Others read it at the same time, and what is written may be changed in place.
        return write(deepcopy(answer), EXPLICIT_LITTLE)
    if isinstance(answer, tuple):
        return b"".join(map(_octets, answer))
    return repr(answer).encode()
