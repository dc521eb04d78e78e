"""Pictures of studies."""

from __future__ import annotations

from typing import NamedTuple

from dcm4py_leading.calls.call import Call, Caller, Form, Here
from dcm4py_leading.model.bounds import DECODING_SECONDS
from dcm4py_leading.service.picture.picture import Picture, picture

_GRACE_SECONDS = 20.0


class PictureRequest(NamedTuple):
    """A study, as an AE of ours has it."""

    ae_title: str
    study_instance_uid: str


def _picture(here: Here, request: PictureRequest) -> Picture:
    return picture(here.runtime, request.ae_title, request.study_instance_uid)


PICTURE: Call[PictureRequest, Picture] = Call(
    name="picture",
    do=_picture,
    question=Form(to_json=list, from_json=lambda value: PictureRequest(*value)),
    answer=Form(to_json=Picture.to_json, from_json=lambda value: Picture(**value)),
    seconds=2 * DECODING_SECONDS + _GRACE_SECONDS,
)


class Pictures(Caller):
    """Pictures (see `web.pages.studies.picture.PictureSource`)."""

    def picture(self, ae_title: str, study_instance_uid: str) -> Picture:
        """A picture of a study, or why there is none."""
        return self.call(PICTURE, PictureRequest(ae_title, study_instance_uid))
