"""Whatever is delivered with status 0000, each element of its identity is its own or the leading archive's, and once.

Random objects are stored here, or come from a PACS; the leading archive lies at times; the configuration is reloaded
in between. Many a request may be refused, and is counted; what is delivered must be right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import build_context, build_role, evt

from tests.fixtures.identity import (
    ACCESSION,
    IDENTITY,
    KINDS,
    NAME,
    OF_THE_STUDY,
    PATIENT_ID,
    STUDY_UID,
    SYNTAXES,
    LyingArchive,
    RandomObject,
    identity,
    random_object,
    values_in,
)
from tests.fixtures.links import CT
from tests.fixtures.modality import Modality
from tests.fixtures.pacs import Received, ScriptedPacs
from tests.fixtures.proxy import QUERY_RULE, await_rest, stand_in_front_of
from tests.fixtures.scripted import LeadingScp
from tests.fixtures.scu import STUDY_GET, associated, find, identifier
from tests.fixtures.service import AE, DEVICE, Seed

RULE = f"cn=Leading DCMQRSCP,{DEVICE}"
ROOT = "1.2.826.0.1.3680043.8.498.77"
SOP_INSTANCE_UID = 0x00080018


class World:
    """Studies, the service, a leading archive that lies, and what was delivered so far."""

    def __init__(self, number: int, seed: Seed) -> None:
        self.number = number
        self.seed = seed
        self.random = Random(number)
        self.studies = [f"{ROOT}.{number}.{study}" for study in range(6)]
        self.leading = LyingArchive(number, self.studies)
        self.objects: dict[str, RandomObject] = {}
        self.delivered: Counter[str] = Counter()
        """Objects by kind."""
        self.matches = 0
        for study, uid in enumerate(self.studies):
            own = identity(self.random, uid, f"OWN{study}")
            for serial in range(4):
                kind = "plain" if self.random.random() < 0.4 else self.random.choice(KINDS[1:])
                series = f"{uid}.{serial % 2 + 1}"
                syntax = self.random.choice(SYNTAXES)
                obj = random_object(self.random, own, f"{series}.{serial}", series, kind, syntax)
                self.objects[obj.uid] = obj

    def objects_of(self, study: str) -> list[RandomObject]:
        """The objects of a study."""
        return [obj for obj in self.objects.values() if obj.study_uid == study]

    def allow_syntaxes(self) -> None:
        """Let the AE take and send all of `SYNTAXES`."""
        for role in ("SCP", "SCU"):
            self.seed.set(f"cn=CT Image Storage {role},{AE}", dicomTransferSyntax=list(SYNTAXES))

    def configure(self) -> None:
        """Another configuration, as an administrator may choose it."""
        self.seed.set(
            RULE,
            dcmAttributeUpdatePolicy=self.random.choice(["MERGE", "OVERWRITE", "SUPPLEMENT"]),
            dcmCoercionOnFailure=self.random.choice(["RETHROW", "CONTINUE"]),
        )
        self.seed.set(
            DEVICE,
            dcmLeadingCFindSCPQueryCacheSize=self.random.choice(["0", "2", "50"]),
            dcmLeadingCFindSCPQueryCacheStaleTimeout=self.random.choice(["PT0S", "PT5M"]),
        )

    def request(self) -> Dataset:
        """Keys of a random retrieve."""
        obj = self.objects[self.random.choice(sorted(self.objects))]
        level = self.random.choice(["STUDY", "STUDY", "STUDIES", "SERIES", "IMAGE"])
        if level == "STUDIES":
            return identifier("STUDY", StudyInstanceUID=self.random.sample(self.studies, 3))
        keys = identifier(level, StudyInstanceUID=obj.study_uid)
        if level != "STUDY":
            keys.SeriesInstanceUID = obj.series_uid
        if level == "IMAGE":
            keys.SOPInstanceUID = obj.uid
        return keys

    def get(self, keys: Dataset, syntaxes: Sequence[str]) -> tuple[Dataset, list[str]]:
        """C-GET; the last response and the UIDs of what came, of which each is checked."""
        wanted = keys.StudyInstanceUID
        studies = {wanted} if isinstance(wanted, str) else set(wanted)
        came: list[str] = []
        wrong: list[str] = []

        def on_store(event: Any) -> int:
            data = event.request.DataSet.getvalue()
            try:
                wrong.extend(self.wrong(data, str(event.context.transfer_syntax), studies))
            except BaseException as err:
                wrong.append(f"cannot be read: {err!r}")
            came.append(str(event.request.AffectedSOPInstanceUID))
            return 0x0000

        contexts = [STUDY_GET, *(build_context(CT, syntax) for syntax in syntaxes)]
        with associated(
            self.seed.archive_port,
            contexts,
            calling="STORESCP",
            ext_neg=[build_role(CT, scp_role=True)],
            handlers=[(evt.EVT_C_STORE, on_store)],
        ) as assoc:
            assert assoc.is_established
            *_, (final, _) = assoc.send_c_get(keys, STUDY_GET)
        assert not wrong, f"world {self.number}: {wrong}"
        self.delivered.update(self.objects[uid].kind for uid in came)
        return final, came

    def find(self) -> None:
        """C-FIND of studies by random keys; each match is checked."""
        study = self.random.choice(self.studies)
        own = self.objects_of(study)[0].own
        key = self.random.choice([tag for tag in (STUDY_UID, PATIENT_ID, NAME, ACCESSION) if tag in own])
        query = identifier("STUDY")
        for tag, vr in IDENTITY.items():
            query.add_new(tag, vr, "")
        query[key].value = own[key][:5] + "*" if key == NAME else own[key]
        _, matches = find(self.seed.archive_port, query, calling="STORESCP")
        for match in matches:
            uid = str(match.StudyInstanceUID)
            objects = self.objects_of(uid)
            for tag in IDENTITY:
                allowed = set(self.leading.believable[uid].get(tag, ())).union(*(obj.said(tag) for obj in objects))
                value = str(match.get(tag).value or "") if tag in match else ""
                assert value in allowed | {""}, (
                    f"world {self.number}: ({tag:08X}) of a match is {value}, not of {allowed}"
                )
        self.matches += len(matches)

    def wrong(self, data: bytes, syntax: str, studies: set[str]) -> list[str]:
        """What is wrong about a delivered object."""
        found = values_in(data, syntax)
        (uid,) = found[SOP_INSTANCE_UID]
        obj = self.objects[uid]
        if obj.study_uid not in studies:
            return [f"{obj.kind}: it is of a study that nobody asked for"]
        believable = self.leading.believable[obj.study_uid]
        wrong = []
        for tag in IDENTITY:
            values = found.get(tag, [])
            sources = self.objects_of(obj.study_uid) if tag in OF_THE_STUDY else [obj]
            allowed = believable.get(tag, set()).union(*(source.said(tag) for source in sources))
            if len(values) > 1 or (not values and tag == STUDY_UID):
                wrong.append(f"{obj.kind}: ({tag:08X}) is there {len(values)} times: {values}")
            if not set(values) <= allowed | {""}:
                wrong.append(f"{obj.kind} in {obj.transfer_syntax_uid}: ({tag:08X}) is {values}, not of {allowed}")
        return wrong


def some_syntaxes(random: Random) -> list[str]:
    """What a viewer takes."""
    return sorted({SYNTAXES[0], *random.sample(SYNTAXES, 2)})


@pytest.mark.parametrize("number", range(6))
def test_studies_stored_here(number: int, seed: Seed, leading_scp: Callable[..., LeadingScp]) -> None:
    world = World(number, seed)
    seed.lead()
    seed.change(QUERY_RULE)
    world.allow_syntaxes()
    world.configure()
    service = seed.start()
    leading_scp(seed.leading_port, world.leading)
    refused = store(world)
    assert refused["plain"] == 0

    for _ in range(10):
        if world.random.random() < 0.4:
            world.configure()
            service.reload()
        world.get(world.request(), some_syntaxes(world.random))
        world.find()

    world.leading.is_honest = True
    plain = {uid for uid, obj in world.objects.items() if obj.kind == "plain"}
    for study in world.studies:
        _, came = world.get(identifier("STUDY", StudyInstanceUID=study), SYNTAXES)
        assert {uid for uid in plain if world.objects[uid].study_uid == study} <= set(came)
    assert world.matches and world.delivered["plain"] and sum(world.delivered.values()) > world.delivered["plain"]


def store(world: World) -> Counter[str]:
    """C-STORE of all objects; those that were refused, by kind."""
    refused: Counter[str] = Counter()
    with Modality(world.seed.archive_port, [(CT, [syntax]) for syntax in SYNTAXES]) as modality:
        for obj in world.objects.values():
            answer = modality.store_bytes([obj.data], len(obj.data), obj.uid, CT, obj.transfer_syntax_uid)
            if answer.status:
                refused[obj.kind] += 1
    return refused


class CarelessPacs:
    """Sends what is asked for, by C-GET or C-MOVE, and at times an object of another study with it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(f"PACS {world.number}")
        self.is_careful = False
        self.strays = 0
        """Objects that were sent of another study."""

    def find(self, received: Received) -> None:
        """Answer each query with what is known of the studies."""
        for uid in uids_of(received.identifier, self._world.studies):
            row = Dataset()
            own = self._world.objects_of(uid)[0].own
            for tag, value in own.items():
                row.add_new(tag, IDENTITY[tag], value)
            row.SOPClassesInStudy = CT
            received.respond(0xFF00, row)
        received.respond(0x0000)

    def get(self, received: Received) -> None:
        """Send by C-GET."""
        objects = self._objects(received.identifier)
        statuses = [received.store(named(obj), data=obj.data, syntax=obj.transfer_syntax_uid) for obj in objects]
        self._end(received, statuses)

    def move(self, received: Received) -> None:
        """Send by C-MOVE."""
        statuses = []
        for obj in self._objects(received.identifier):
            storing = received.pacs.storing(received, syntax=obj.transfer_syntax_uid)
            statuses.append(storing.store(named(obj), data=obj.data))
            storing.release()
        self._end(received, statuses)

    def _objects(self, keys: Dataset) -> list[RandomObject]:
        world = self._world
        studies = uids_of(keys, world.studies)
        found = [
            obj
            for obj in world.objects.values()
            if obj.study_uid in studies
            and keys.get("SeriesInstanceUID", obj.series_uid) == obj.series_uid
            and keys.get("SOPInstanceUID", obj.uid) == obj.uid
        ]
        others = [obj for obj in world.objects.values() if obj.study_uid not in studies]
        if not self.is_careful and others and self._random.random() < 0.4:
            found.insert(self._random.randrange(len(found) + 1), self._random.choice(others))
            self.strays += 1
        return found

    def _end(self, received: Received, statuses: list[int | None]) -> None:
        failed = sum(status != 0 for status in statuses)
        received.respond(0xB000 if failed else 0x0000, completed=len(statuses) - failed, failed=failed, warning=0)


def named(obj: RandomObject) -> Dataset:
    """What the command of the C-STORE says."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CT, obj.uid
    return ds


def uids_of(keys: Dataset, studies: Sequence[str]) -> list[str]:
    """The studies that are asked for."""
    value = keys.get("StudyInstanceUID") or list(studies)
    return [value] if isinstance(value, str) else list(value)


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("way", ["get", "move"])
def test_objects_of_a_pacs(
    way: str,
    number: int,
    seed: Seed,
    leading_scp: Callable[..., LeadingScp],
    scripted_pacs: Callable[..., ScriptedPacs],
) -> None:
    world = World(100 + number, seed)
    careless = CarelessPacs(world)
    get = careless.get if way == "get" else None
    pacs = scripted_pacs(seed.archive_port, find=careless.find, move=careless.move, get=get)
    stand_in_front_of(seed, pacs.port)
    seed.lead()
    seed.change(QUERY_RULE)
    world.allow_syntaxes()
    world.configure()
    service = seed.start()
    leading_scp(seed.leading_port, world.leading)

    for _ in range(5):
        if world.random.random() < 0.4:
            world.configure()
            service.reload()
        world.get(world.request(), some_syntaxes(world.random))
        world.find()
        await_rest(seed)

    world.leading.is_honest = careless.is_careful = True
    plain = {uid for uid, obj in world.objects.items() if obj.kind == "plain"}
    for study in world.studies:
        _, came = world.get(identifier("STUDY", StudyInstanceUID=study), SYNTAXES)
        await_rest(seed)
        assert {uid for uid in plain if world.objects[uid].study_uid == study} <= set(came)
    assert world.matches
