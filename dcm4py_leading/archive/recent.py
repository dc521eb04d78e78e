"""The series that came last into the index."""

from __future__ import annotations

from typing import NamedTuple

from pydicom import Dataset
from sqlalchemy import Connection, select

from dcm4py_leading.archive.attributes import merged
from dcm4py_leading.archive.tables import instance, patient, series, study


class RecentSeries(NamedTuple):
    """One series, with one of its instances."""

    study_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    encoded_attributes: tuple[bytes, ...]
    """Those of patient, study and series; see `attributes.decode`."""

    @property
    def attributes(self) -> Dataset:
        """A new data set of all that the index keeps for it."""
        return merged(self.encoded_attributes)


def recent_series(connection: Connection, most: int) -> list[RecentSeries]:
    """The last ``most`` series, the newest first."""
    other = instance.alias()
    first = select(other.c.pk).where(other.c.series_fk == series.c.pk).order_by(other.c.sop_instance_uid).limit(1)
    rows = connection.execute(
        select(
            study.c.study_instance_uid,
            instance.c.sop_instance_uid,
            instance.c.sop_class_uid,
            patient.c.attributes,
            study.c.attributes,
            series.c.attributes,
        )
        .select_from(series)
        .join(study, study.c.pk == series.c.study_fk)
        .join(patient, patient.c.pk == study.c.patient_fk)
        .join(instance, instance.c.pk == first.scalar_subquery())
        .order_by(series.c.pk.desc())
        .limit(most)
    )
    return [RecentSeries(*row[:3], tuple(row[3:])) for row in rows]
