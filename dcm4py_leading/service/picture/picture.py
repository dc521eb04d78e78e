"""A picture of a study: of the middle image of its first series of images.

Decoders read data of others, so a child process runs them, with limits of memory and time: a crash or an overload ends
only the child.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from pydicom.uid import UID

from dcm4py_leading.archive.index.index import IndexedInstance
from dcm4py_leading.archive.index.querying.query import RetrieveKeys
from dcm4py_leading.errors import StorageUnavailable
from dcm4py_leading.model.bounds import PICTURE_BYTES, PICTURE_SECONDS
from dcm4py_leading.model.values import Level
from dcm4py_leading.service.runtime import Runtime
from dcm4py_leading.service.studies.search import own_ae

_PNG = b"\x89PNG"
_KEPT = ("PATH", "PYTHONPATH", "LANG", "LD_LIBRARY_PATH")
"""Variables of the environment that the child gets; the others may hold secrets."""
_MAX_KINDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture, or the reason why there is none."""

    png: str = ""
    """PNG file, in base64."""
    why_not: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON, for other processes."""
        return asdict(self)


def picture(runtime: Runtime, ae_title: str, study_instance_uid: str) -> Picture:
    """The picture of a study that is stored here. Raises UnknownAE, IndexUnavailable."""
    ae = own_ae(runtime, ae_title)
    keys = RetrieveKeys(level=Level.STUDY, study_instance_uids=(study_instance_uid,))
    stored = () if runtime.hides_everything(ae) else runtime.index.instances(keys)
    if not stored:
        return Picture(why_not="no object of the study is stored here")
    image = middle_image(stored)
    if image is None:
        return Picture(why_not=f"the study has no image: its objects are {_kinds(stored)}")
    try:
        descriptor = runtime.storage(image.location.storage_id).open_descriptor(image.location)
    except StorageUnavailable as err:
        return Picture(why_not=str(err))
    try:
        return decode_picture(descriptor)
    finally:
        os.close(descriptor)


def middle_image(stored: Sequence[IndexedInstance]) -> IndexedInstance | None:
    """The middle image of the first series with images, in order of storage."""
    for _, of_series in groupby(stored, key=lambda one: one.series_instance_uid):
        images = [one for one in of_series if _is_image(one.sop_class_uid)]
        if images:
            return images[len(images) // 2]
    return None


def _is_image(sop_class_uid: str) -> bool:
    """True if the SOP class is an image by its name in PS3.6 Annex A, or is private."""
    name = UID(sop_class_uid).name
    return "Image Storage" in name or name in (sop_class_uid, "RT Dose Storage")


def _kinds(stored: Sequence[IndexedInstance]) -> str:
    names = list(dict.fromkeys(UID(one.sop_class_uid).name for one in stored))
    return ", ".join(names[:_MAX_KINDS]) + (" and others" if len(names) > _MAX_KINDS else "")


def decode_picture(descriptor: int, *, seconds: float = PICTURE_SECONDS) -> Picture:
    """The picture of a stored object, as the child makes it of the open file."""
    command = [sys.executable, "-m", "dcm4py_leading.service.picture.child"]
    try:
        child = subprocess.run(
            command, stdin=descriptor, capture_output=True, timeout=seconds, check=False, env=_environment()
        )
    except subprocess.TimeoutExpired:
        return Picture(why_not=f"the image was not decoded within {seconds:g} s")
    except OSError as err:
        return Picture(why_not=f"the decoder cannot be started: {err.strerror}")
    if child.returncode == 0 and child.stdout.startswith(_PNG) and len(child.stdout) <= PICTURE_BYTES:
        return Picture(png=b64encode(child.stdout).decode("ascii"))
    return Picture(why_not=_reason(child))


def _environment() -> dict[str, str]:
    kept: Mapping[str, str] = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # Each thread of numpy's would take address space, which is bounded.
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _reason(child: subprocess.CompletedProcess[bytes]) -> str:
    try:
        return str(json.loads(child.stdout)["why_not"])
    except (ValueError, KeyError, TypeError):
        pass  # it ended before it could give a reason
    if child.returncode < 0:
        return f"the decoder was ended by signal {-child.returncode}: the image is broken, or too large"
    return f"the decoder failed with exit code {child.returncode}"
