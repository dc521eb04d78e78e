"""Rows of series, study and patient above an instance: found and updated, or inserted, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select
from sqlalchemy import update as update_row

from dcm4py_leading.archive.index.attributes import decode, encode
from dcm4py_leading.archive.index.edits import edited_tags
from dcm4py_leading.archive.index.identity import likeness
from dcm4py_leading.archive.index.indexed_attributes import AttributeExtractor, IndexedEntity, Levels
from dcm4py_leading.archive.index.keys import column_values
from dcm4py_leading.archive.index.tables import TABLES, instance, patient, series, split_titles, study
from dcm4py_leading.archive.index.writing.prepared_statements import Prepared
from dcm4py_leading.coercion.update import update
from dcm4py_leading.errors import CoercionFailed
from dcm4py_leading.log import ref
from dcm4py_leading.model.values import Level

LOG = logging.getLogger(__name__)

_MAX_KNOWN = 1024
_UPPER = (Level.PATIENT, Level.STUDY, Level.SERIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwningEntities:
    """Patient, study and series of an object, by its own attributes."""

    study_instance_uid: str
    series_instance_uid: str
    sending_ae_title: str
    retrieve_ae_titles: str
    """Parted by backslashes."""
    levels: Levels

    @property
    def patient_identity(self) -> tuple[str | None, str | None]:
        """Patient ID and issuer; an empty text if only the issuer is absent."""
        return _identity(self.levels[Level.PATIENT].columns)


class RecentSeries:
    """Cache of the rows of series to which objects were stored recently; one for each index.

    If a further object has the same attributes, and the rows are unchanged, no update is needed. Other processes may
    have changed or removed the rows, so they are compared inside the transaction.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] = {}

    def series_of(self, connection: Connection, new: OwningEntities, keeper: AttributeExtractor) -> int:
        """The key of the object's series, after updating or inserting its series, study and patient."""
        uids = (new.study_instance_uid, new.series_instance_uid)
        known = self._known.get(uids)
        if known is not None and known.keeper is keeper and known.says(new):
            for (pk,) in _SAME_ROWS.rows(connection, known.rows):
                return int(pk)
            del self._known[uids]
        entities = _Entities(connection, new, keeper)
        series_pk = entities.series()
        if entities.are_of_the_object:
            if len(self._known) >= _MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[uids] = _Known(new, keeper, entities.rows(series_pk))
        return series_pk


@dataclass(frozen=True, slots=True)
class _Known:
    said: OwningEntities
    keeper: AttributeExtractor
    rows: Mapping[str, object]

    def says(self, new: OwningEntities) -> bool:
        return new.retrieve_ae_titles == self.said.retrieve_ae_titles and all(
            new.levels[level].encoded == self.said.levels[level].encoded for level in _UPPER
        )


_SAME_ROWS = Prepared(
    select(series.c.pk)
    .select_from(series.join(study).join(patient))
    .where(
        # SQLite may reuse the key of a removed row.
        series.c.pk == bindparam("pk"),
        series.c.series_instance_uid == bindparam("series_instance_uid"),
        study.c.study_instance_uid == bindparam("study_instance_uid"),
        series.c.retrieve_ae_titles == bindparam("retrieve_ae_titles"),
        *(TABLES[level].c.attributes == bindparam(level.name) for level in _UPPER),
    )
)
_SERIES = Prepared(
    select(series.c.pk, series.c.attributes, series.c.retrieve_ae_titles)
    .where(series.c.study_fk == bindparam("study_fk"), series.c.series_instance_uid == bindparam("series_instance_uid"))
    .with_for_update()
)
_STUDY = Prepared(
    select(study.c.pk, study.c.attributes, study.c.patient_fk)
    .where(study.c.study_instance_uid == bindparam("study_instance_uid"))
    .with_for_update()
)
_OWNER_OF_STUDY = Prepared(
    select(patient.c.attributes, patient.c.patient_id, patient.c.issuer_of_patient_id)
    .where(patient.c.pk == bindparam("pk"))
    .with_for_update()
)


class _Entities:
    """The rows of one object."""

    def __init__(self, connection: Connection, new: OwningEntities, keeper: AttributeExtractor) -> None:
        self._connection = connection
        self._new = new
        self._keeper = keeper
        self._attributes: dict[Level, bytes] = {}
        self._titles = new.retrieve_ae_titles

    @property
    def are_of_the_object(self) -> bool:
        """True if all rows are those of the object; False if its study has another patient."""
        return len(self._attributes) == len(_UPPER)

    def rows(self, series_pk: int) -> Mapping[str, object]:
        """State of the rows, for `_SAME_ROWS`."""
        return {
            "pk": series_pk,
            "series_instance_uid": self._new.series_instance_uid,
            "study_instance_uid": self._new.study_instance_uid,
            "retrieve_ae_titles": self._titles,
            **{level.name: attributes for level, attributes in self._attributes.items()},
        }

    def series(self) -> int:
        new, connection = self._new, self._connection
        study_pk = self._study()
        pk: int
        for pk, attributes, titles in _SERIES.rows(
            connection, {"study_fk": study_pk, "series_instance_uid": new.series_instance_uid}
        ):
            both = [*split_titles(titles), *split_titles(new.retrieve_ae_titles)]
            self._titles = "\\".join(dict.fromkeys(both))
            if self._titles != titles:
                connection.execute(update_row(series).where(series.c.pk == pk).values(retrieve_ae_titles=self._titles))
            self._update(Level.SERIES, pk, attributes)
            return pk
        return self._insert(
            Level.SERIES,
            study_fk=study_pk,
            sending_ae_title=new.sending_ae_title,
            retrieve_ae_titles=new.retrieve_ae_titles,
        )

    def _study(self) -> int:
        new, connection = self._new, self._connection
        pk: int
        for pk, attributes, patient_fk in _STUDY.rows(connection, {"study_instance_uid": new.study_instance_uid}):
            self._update(Level.STUDY, pk, attributes)
            self._update_owner(patient_fk)
            return pk
        return self._insert(Level.STUDY, patient_fk=self._patient())

    def _update_owner(self, pk: int) -> None:
        """Update the patient of the study, if the object has the same patient."""
        new = self._new
        ((attributes, patient_id, issuer),) = _OWNER_OF_STUDY.rows(self._connection, {"pk": pk})
        is_same_id = (patient_id, issuer) == new.patient_identity
        if is_same_id and not self._is_of_another(attributes):
            self._update(Level.PATIENT, pk, attributes)
        else:
            # A study has one patient. If the object renamed the patient, all studies of that patient would change.
            LOG.warning(
                "an object of study %s names another patient than its study has%s: it keeps its own attributes",
                ref(new.study_instance_uid),
                ", under the same Patient ID" if is_same_id else "",
            )

    def _patient(self) -> int:
        patient_id, issuer = self._new.patient_identity
        if patient_id is not None:
            rows = self._connection.execute(
                select(patient.c.pk, patient.c.attributes, patient.c.distinction)
                .where(patient.c.patient_id == patient_id, patient.c.issuer_of_patient_id == issuer)
                .order_by(patient.c.pk)
                .with_for_update()
            ).all()
            fitting = [row for row in rows if not self._is_of_another(row.attributes)]
            if len(rows) > 1:  # an object with few attributes belongs to none of them for certain
                own = decode(self._new.levels[Level.PATIENT].encoded)
                alike = {row.pk: likeness(decode(row.attributes), own) for row in fitting}
                fitting = sorted((row for row in fitting if alike[row.pk]), key=lambda row: -alike[row.pk])
            if fitting:
                self._update(Level.PATIENT, fitting[0].pk, fitting[0].attributes)
                pk: int = fitting[0].pk
                return pk
            if rows:
                LOG.warning(
                    "the Patient ID of study %s is that of another patient, of another name, birth date or sex: "
                    "both are kept. Have the Patient ID of one of them corrected",
                    ref(self._new.study_instance_uid),
                )
                return self._insert(Level.PATIENT, distinction=max(row.distinction for row in rows) + 1)
        return self._insert(Level.PATIENT)

    def _is_of_another(self, attributes: bytes) -> bool:
        """True if the object is about another patient than the one with these attributes."""
        own = self._new.levels[Level.PATIENT].encoded
        return attributes != own and self._keeper.are_different_patients(decode(attributes), decode(own))

    def _insert(self, level: Level, **values: object) -> int:
        kept = self._new.levels[level]
        result = self._connection.execute(
            insert(TABLES[level]).values(attributes=kept.encoded, **columns_of(kept, level), **values)
        )
        self._attributes[level] = kept.encoded
        key = result.inserted_primary_key
        assert key is not None
        pk: int = key[0]
        return pk

    def _update(self, level: Level, pk: int, attributes: bytes) -> None:
        """Update the attributes of an entity with those of a further object, by the policy of its filter."""
        self._attributes[level] = attributes
        if attributes == self._new.levels[level].encoded:
            return
        ds, new = decode(attributes), decode(self._new.levels[level].encoded)
        only = self._keeper.tags[level] - edited_tags(attributes)  # edited values stay
        try:
            changes = update(ds, new, self._keeper.update_policy(level), only=only)
        except CoercionFailed as err:
            LOG.warning(
                "the attributes of study %s in the index are not updated: %s", ref(self._new.study_instance_uid), err
            )
            return
        if changes:
            table = TABLES[level]
            kept = IndexedEntity(encode(ds), column_values(ds, level))
            self._attributes[level] = kept.encoded
            self._connection.execute(
                update_row(table).where(table.c.pk == pk).values(attributes=kept.encoded, **columns_of(kept, level))
            )


def columns_of(kept: IndexedEntity, level: Level) -> dict[str, str | None]:
    """The values of the columns of an entity."""
    values = dict(kept.columns)
    if level is Level.PATIENT:
        values["patient_id"], values["issuer_of_patient_id"] = _identity(values)
    return values


def _identity(columns: Mapping[str, str | None]) -> tuple[str | None, str | None]:
    patient_id, issuer = columns["patient_id"], columns["issuer_of_patient_id"]
    return patient_id, (issuer or "" if patient_id is not None else issuer)


def remove_if_empty(connection: Connection, series_pk: int) -> None:
    """Delete a series without instances, and entities above it that become empty."""
    pk = series_pk
    for lower, upper in ((instance, series), (series, study), (study, patient)):
        foreign_key = lower.c[f"{upper.name}_fk"]
        if connection.scalar(select(func.count()).select_from(lower).where(foreign_key == pk)):
            return
        owner = None
        if upper is not patient:
            owner = connection.scalar(select(upper.c[_OWNER[upper.name]]).where(upper.c.pk == pk))
        connection.execute(delete(upper).where(upper.c.pk == pk))
        if owner is None:
            return
        pk = owner


_OWNER = {"series": "study_fk", "study": "patient_fk"}
