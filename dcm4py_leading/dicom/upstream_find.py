"""Another archive, asked by C-FIND on behalf of a client; implements `service.query_archive.QueryArchive`."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing

from dcm4py_leading.archive.attributes import encode
from dcm4py_leading.archive.index import Match
from dcm4py_leading.dataset.charset import SPECIFIC_CHARACTER_SET
from dcm4py_leading.dataset.data_sets import declare_default
from dcm4py_leading.dataset.scan import EXPLICIT_LITTLE, Unscannable, scan
from dcm4py_leading.dataset.unreadable import UNREADABLE
from dcm4py_leading.dicom.association import AssociationFailed, Context
from dcm4py_leading.dicom.find_exchange import FindRefused, awaited_responses
from dcm4py_leading.dicom.identifier import decode
from dcm4py_leading.dicom.requestor import RequestedAssociation
from dcm4py_leading.dicom.scu import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, Resolve
from dcm4py_leading.errors import ArchiveUnavailable, ConfigError
from dcm4py_leading.leading.contacts import Contacts
from dcm4py_leading.leading.settings import Lull
from dcm4py_leading.model.coercion import Dimse
from dcm4py_leading.model.device import ApplicationEntity, RemoteAE
from dcm4py_leading.model.values import AETitle
from dcm4py_leading.service.own_find import OwnFindRules
from dcm4py_leading.service.query_archive import Asked

_RETRIEVE_AE_TITLE = 0x00080054


class UpstreamFind:
    """One other archive, for the clients of one AE of ours. Each query has an association of its own."""

    def __init__(
        self, ae_title: AETitle, ae: ApplicationEntity, resolve: Resolve, rules: OwnFindRules, contacts: Contacts
    ) -> None:
        """``rules`` are those for queries that we send, and their responses; ``contacts`` is told how queries go."""
        self._contacts = contacts
        self._ae_title = ae_title
        self._resolve = resolve
        self._rules = rules
        titles = ae.settings.spanning_cfind_scp_retrieve_aets or ae.settings.retrieve_aets or (ae.ae_title,)
        self._computed: Mapping[int, object] = {_RETRIEVE_AE_TITLE: list(titles)}

    def count(self, asked: Asked, *, most: int | None = None) -> int | None:
        """See `QueryArchive`: it has to be asked for the matches themselves."""
        return None

    def matches(self, asked: Asked, *, fetch_size: int) -> Generator[Match | Lull]:
        """See `QueryArchive`. Raises ArchiveUnavailable, CoercionFailed."""
        with self._contacts.asking(asked.local_ae.ae_title, self._ae_title, "C-FIND"):
            yield from self._matches(asked)

    def _matches(self, asked: Asked) -> Generator[Match | Lull]:
        remote = upstream_ae(self._ae_title, self._resolve)
        ae, sop_class_uid = asked.local_ae, asked.sop_class_uid
        keys = self._rules(Dimse.C_FIND_RQ, ae, remote, sop_class_uid, asked.identifier())
        try:
            proposals = [(sop_class_uid, (EXPLICIT_VR_LITTLE_ENDIAN,)), (sop_class_uid, (IMPLICIT_VR_LITTLE_ENDIAN,))]
            with RequestedAssociation(ae, remote, proposals) as assoc:
                context = _context(assoc, self._ae_title)
                with closing(awaited_responses(assoc, context, sop_class_uid, keys, asked.is_over)) as responses:
                    try:
                        for response in responses:
                            if isinstance(response, Lull):
                                yield response
                            else:
                                yield self._match(response, context, asked, remote)
                    except GeneratorExit:
                        responses.close()
                        assoc.release()
                        raise
        except FindRefused as err:
            raise ArchiveUnavailable(f"{self._ae_title}: {err}", status=err.status) from err
        except AssociationFailed as err:
            raise ArchiveUnavailable(str(err)) from err

    def _match(self, response: bytes, context: Context, asked: Asked, remote: RemoteAE) -> Match:
        """What came, as the index would have it: in Explicit VR Little Endian."""
        if context.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN:
            try:
                spans, _ = scan(response, EXPLICIT_LITTLE)
            except Unscannable as err:
                raise ArchiveUnavailable(f"{self._ae_title}: a response cannot be parsed") from err
            is_said = SPECIFIC_CHARACTER_SET in spans or not asked.local_ae.settings.default_character_set
            if is_said and not self._rules.are_about(Dimse.C_FIND_RSP, asked.local_ae):
                return Match(encoded_attributes=(response,), computed=self._computed)
        try:
            ds = decode(response, context.transfer_syntax)
            declare_default(ds, asked.local_ae.settings.default_character_set)
            ds = self._rules(Dimse.C_FIND_RSP, asked.local_ae, remote, asked.sop_class_uid, ds)
            return Match(encoded_attributes=(encode(ds),), computed=self._computed)
        except UNREADABLE as err:
            raise ArchiveUnavailable(f"{self._ae_title}: a response cannot be parsed ({type(err).__name__})") from err


def upstream_ae(ae_title: AETitle, resolve: Resolve) -> RemoteAE:
    """The other archive as the directory has it. Raises ArchiveUnavailable."""
    try:
        remote = resolve(ae_title)
    except ConfigError as err:
        raise ArchiveUnavailable(f"{ae_title} cannot be looked up: {err}") from err
    if remote is None:
        raise ArchiveUnavailable(f"{ae_title} is not in the directory")
    return remote


def _context(assoc: RequestedAssociation, ae_title: AETitle) -> Context:
    by_syntax = {context.transfer_syntax: context for context in assoc.contexts}
    for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN):
        if syntax in by_syntax:
            return by_syntax[syntax]
    raise ArchiveUnavailable(f"{ae_title} accepts no query in this information model")
