"""Search form: typed values, and the matching keys that they mean (PS3.4 C.2.2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcm4py_leading.service.studies.found import StudySearch
from dcm4py_leading.web.pages.changing.form import Form, one_of

TEXT_FIELDS = (
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "ModalitiesInStudy",
    "StudyDescription",
    "StudyInstanceUID",
)
"""Fields by the keyword of their key."""
PAGE_LENGTH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Fields of the form as they were sent."""

    ae_title: str = ""
    texts: Mapping[str, str]
    """By keyword, those with a value."""
    birth_date: str = ""
    from_date: str = ""
    to_date: str = ""
    pages: tuple[str, ...] = ()
    """Positions at which the pages up to this one begin, but for the first page."""

    @property
    def search(self) -> StudySearch:
        """The search that it means."""
        keys = dict(self.texts)
        if self.birth_date:
            keys["PatientBirthDate"] = _date(self.birth_date)
        if self.from_date or self.to_date:
            keys["StudyDate"] = f"{_date(self.from_date)}-{_date(self.to_date)}"
        after = self.pages[-1] if self.pages else None
        return StudySearch(ae_title=self.ae_title, keys=keys, most=PAGE_LENGTH, after=after)

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The fields of the same search, for the buttons of its other pages."""
        dates = (("PatientBirthDate", self.birth_date), ("from", self.from_date), ("to", self.to_date))
        return [("aet", self.ae_title), *self.texts.items(), *((name, value) for name, value in dates if value)]

    @property
    def is_at_first_page(self) -> bool:
        """True if nothing comes before."""
        return not self.pages


def typed(form: Form) -> Typed:
    """Fields out of a form."""
    texts = {name: text for name in TEXT_FIELDS if (text := one_of(form, name).strip())}
    return Typed(
        ae_title=one_of(form, "aet"),
        texts=texts,
        birth_date=one_of(form, "PatientBirthDate").strip(),
        from_date=one_of(form, "from").strip(),
        to_date=one_of(form, "to").strip(),
        pages=tuple(one_of(form, "pages").split()),
    )


def _date(text: str) -> str:
    """A date as a browser sends it, or as DICOM has it (VR DA)."""
    return text.replace("-", "")
