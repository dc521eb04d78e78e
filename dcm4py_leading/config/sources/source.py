"""Port through which a configuration is read.

Sources inherit from it. Each says where entries come from; what only a live directory can say has a default here, so
that nobody has to ask a source of which kind it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.config.sources.directory_state import DirectoryState
from dcm4py_leading.config.sources.hints import DirectoryHints
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.errors import ConfigUnavailable


class ConfigSource(ABC):
    """Where entries come from: a live directory, or LDIF files. Both raise ConfigUnavailable or ConfigInvalid."""

    @abstractmethod
    def describe(self) -> str:
        """Where this is, for messages and the log; without a password."""

    @abstractmethod
    def read_device(self, device_name: str) -> tuple[Entry, ...]:
        """The dicomDevice entry of that name and everything below it; empty if there is none."""

    @abstractmethod
    def read_ae(self, ae_title: str) -> tuple[Entry, ...]:
        """Each dicomDevice that holds a dicomNetworkAE of that title, with the connections and AEs below it; empty if
        there is none. Found by a subtree search below cn=Devices; the Unique AE Titles Registry only reserves names.
        There should be one device; of several, the first is the one that is used."""

    @abstractmethod
    def ae_dns(self, ae_titles: Collection[str] | None) -> Mapping[str, tuple[str, ...]]:
        """The DNs of the dicomNetworkAE of these titles; of all AEs where ``ae_titles`` is None, but of none where the
        directory has more than `model.bounds.LISTED_AES`."""

    @abstractmethod
    def device_names(self) -> tuple[str, ...]:
        """The names of the devices, of at most so many; to say which one was probably meant."""

    def read_entries(self, dn: str, *, with_below: bool) -> tuple[Entry, ...]:
        """The entry at ``dn``, and what is below it if wanted; empty if there is none. Not every source has it."""
        raise ConfigUnavailable(f"{self.describe()}: single entries cannot be read from it")

    def holds_root(self) -> bool:
        """True if what stands above the devices is there too; LDIF files may leave it out."""
        return True

    # A live directory, and a source that stands before one, say something else to these.

    @property
    def itself(self) -> ConfigSource:
        """The source without what stands before it."""
        return self

    @property
    def servers(self) -> tuple[str, ...]:
        """URLs of the servers, which may be down; empty for files."""
        return ()

    @property
    def state(self) -> DirectoryState | None:
        """State of the directory; None of one that cannot be down, or that nobody survives."""
        return None

    @property
    def hints(self) -> DirectoryHints | None:
        """Hints that a live directory gives besides its entries; None of files."""
        return None

    def probe(self) -> None:
        """Ask whether it can be read: the least that tells."""
        return

    def read_directory(self, device_name: str) -> tuple[Entry, ...]:
        """The device as the directory says now, and nobody else."""
        return self.read_device(device_name)

    def put_in_force(self, recording: Recording) -> None:
        """Keep what was read for when the directory is down: it is in force now."""
        return
