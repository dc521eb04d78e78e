"""Store: from the bytes of a C-STORE to a file and an index entry, or to nothing at all."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import BinaryIO

from dcm4py_leading.archive.part10 import read_header, verify, write_header
from dcm4py_leading.errors import ObjectMismatch
from dcm4py_leading.model.device import ApplicationEntity
from dcm4py_leading.service.runtime import Runtime

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedObject:
    """A C-STORE request: what its command says, and the data set as it came."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    sending_ae_title: str
    data: BinaryIO
