"""Addresses of studies. Of a study there is its UID alone in them."""

from __future__ import annotations

from urllib.parse import quote

STUDIES = "/ui/studies"
STUDY = f"{STUDIES}/{{aet}}/{{study_uid}}"
"""Route of a study; further pages of it stand below."""


def study_address(ae_title: str, study_instance_uid: str) -> str:
    """Address of a study, as an AE of ours has it."""
    return f"{STUDIES}/{quote(ae_title, safe='')}/{quote(study_instance_uid, safe='')}"
