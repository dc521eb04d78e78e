"""Everybody that takes part: started, loaded with the same studies, and ended with all that they wrote."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from scripts.benchmark import tools
from scripts.benchmark.archives import (
    DCMQRSCP_STUDIES,
    ROOT,
    Archive,
    DcmQrScp,
    Destination,
    FastSink,
    Orthanc,
    Ours,
    Peer,
    Sink,
)
from scripts.benchmark.data import Data, Study, generate
from scripts.benchmark.proxy import Proxy, proxy_titles
from tests.fixtures.ports import free_port

OURS, UNCOERCED, DCMQRSCP, ORTHANC = "ours", "uncoerced", "dcmqrscp", "orthanc"
BEFORE = "before"
"""Ours of another revision, every object coerced too."""
PACS = (DCMQRSCP, ORTHANC)
"""Those before which this service stands as a proxy."""
CONTENDERS = (OURS, UNCOERCED, DCMQRSCP, ORTHANC)
COERCED = (OURS, BEFORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The archives by contender, loaded and running, and where they send to."""

    directory: Path
    data: Data
    archives: Mapping[str, Archive]
    sink: Destination
    sink_as_shipped: Destination
    fast_sink: Destination
    keeper: Destination
    leading: Destination
    workers: int | None
    proxies: tuple[Destination, ...]
    """Our AEs in front of each archive of the others."""
    has_dicomweb: bool = False
    proxy: Proxy | None = None
    before: Path | None = None
    """Checkout of the revision that ours is measured against, instead of the others."""

    @property
    def contenders(self) -> tuple[str, ...]:
        """All whose retrieves and queries are measured."""
        return CONTENDERS if self.before is None else COERCED

    def many_of(self, contender: str) -> tuple[Study, ...]:
        """The studies C that this contender has."""
        return self.data.many[: DCMQRSCP_STUDIES - 10] if contender == DCMQRSCP else self.data.many

    def peer(self, contender: str, study: Study) -> Peer:
        """Whom to call for this study."""
        archive = self.archives[contender]
        return archive.other if isinstance(archive, DcmQrScp) and study is self.data.b else archive

    def in_front(self, contender: str, study: Study) -> Peer:
        """Whom to call for this study of another archive, to have it from ours before it."""
        assert self.proxy is not None
        return self.proxy.before(self.peer(contender, study))

    @contextmanager
    def fresh(self, contender: str, *, counted_port: int | None = None) -> Iterator[Archive]:
        """One more archive of this kind, running, with nothing in it; with ``counted_port``, ours counts its calls.

        What it stores is removed with everything else at the end: see `tools.spread`.
        """
        directory = Path(tempfile.mkdtemp(prefix=f"fresh-{contender}-", dir=self.directory))
        archive = self.make(contender, directory / "archive")
        if counted_port is not None and isinstance(archive, Ours):
            archive.start_counted(counted_port)
        else:
            archive.start()
        try:
            yield archive
        finally:
            archive.stop()

    @contextmanager
    def keeping(self) -> Iterator[Path]:
        """A sink that keeps what it gets, in the directory yielded."""
        directory = Path(tempfile.mkdtemp(prefix="kept-", dir=self.directory))
        sink = Sink(self.keeper, log=self.directory / "keeper.log", keep=directory, is_as_shipped=False)
        sink.start()
        try:
            yield directory
        finally:
            sink.stop()

    def make(self, contender: str, directory: Path) -> Archive:
        """An archive of this kind, not yet started."""
        destinations = (self.sink, self.sink_as_shipped, self.fast_sink, self.keeper)
        if contender == DCMQRSCP:
            return DcmQrScp(directory, destinations=(*destinations, *self.proxies))
        if contender == ORTHANC:
            return Orthanc(directory, destinations=(*destinations, *self.proxies), has_dicomweb=self.has_dicomweb)
        return Ours(
            directory,
            leading=self.leading,
            destinations=destinations,
            is_leading_asked=contender in COERCED,
            workers=self.workers,
            source=self.before if contender == BEFORE and self.before is not None else ROOT,
        )


@contextmanager
def prepared(
    directory: Path,
    *,
    scale: float,
    large_bytes: int,
    workers: int | None,
    has_proxy: bool,
    has_dicomweb: bool,
    before: Path | None,
    say: Callable[[str], None],
) -> Iterator[Scene]:
    """Everything running and loaded below ``directory``, until the block ends. Raises BenchmarkError.

    ``has_proxy``: one of ours in front of the others, too. ``has_dicomweb``: Orthanc with its plug-in.
    ``before``: see `Scene`.
    """
    say("generating the studies")
    source = directory / "source"
    source.mkdir()
    data = generate(source, scale=scale, large_bytes=large_bytes)
    with ExitStack() as running:

        def start(archive: Archive) -> None:
            archive.start()
            running.callback(archive.stop)

        leading = Orthanc(directory / "leading", ae_title="QRSCP")
        archives: dict[str, Archive] = {}
        scene = Scene(
            directory=directory,
            data=data,
            archives=archives,
            sink=Destination(ae_title="SINK", port=free_port()),
            sink_as_shipped=Destination(ae_title="SHIPPED", port=free_port()),
            fast_sink=Destination(ae_title="FAST", port=free_port()),
            keeper=Destination(ae_title="KEEPER", port=free_port()),
            leading=Destination(ae_title=leading.ae_title, port=leading.port),
            workers=workers,
            proxies=proxy_titles(free_port(), 3),
            has_dicomweb=has_dicomweb,
            before=before,
        )
        archives.update({contender: scene.make(contender, directory / contender) for contender in scene.contenders})
        start(leading)
        start(Sink(scene.sink, log=directory / "sink.log", is_as_shipped=False))
        start(Sink(scene.sink_as_shipped, log=directory / "shipped.log", is_as_shipped=True))
        start(FastSink(scene.fast_sink, log=directory / "fast.log"))
        say("loading the leading archive and the others")
        ours = archives[OURS]
        ours.start()
        try:
            loading = [contender for contender in scene.contenders if contender != UNCOERCED]
            for contender in loading[1:]:
                start(archives[contender])
            with ThreadPoolExecutor(4) as pool:
                led = pool.submit(tools.store, leading, sorted(data.leading_directory.iterdir()))
                loaded = pool.map(partial(_load, scene), loading)
            led.result()
            list(loaded)
        finally:
            ours.stop()
        if UNCOERCED in scene.contenders:
            uncoerced = archives[UNCOERCED]
            assert isinstance(ours, Ours) and isinstance(uncoerced, Ours)
            uncoerced.take(ours)
            start(uncoerced)
        start(ours)
        if not has_proxy:
            yield scene
        else:
            with _proxied(scene) as with_proxy:
                yield with_proxy
        say("stopping everything")


@contextmanager
def _proxied(scene: Scene) -> Iterator[Scene]:
    """The scene with one of ours in front of the others' archives."""
    studies = (scene.data.a, scene.data.b)
    behind = {peer.ae_title: peer for peer in (scene.peer(contender, study) for contender in PACS for study in studies)}
    proxy = Proxy(
        scene.directory / "proxy",
        in_front=dict(zip(scene.proxies, behind.values(), strict=True)),
        leading=scene.leading,
        destinations=(scene.sink, scene.keeper),
        workers=scene.workers,
    )
    proxy.start()
    try:
        yield replace(scene, proxy=proxy)
    finally:
        proxy.stop()


def _load(scene: Scene, contender: str) -> None:
    for studies in ((scene.data.a,), (scene.data.b,), scene.many_of(contender)):
        tools.store(scene.peer(contender, studies[0]), [path for study in studies for path in study.files])
