"""Site of a service: where its configuration and its data are, and what the command line says besides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dcm4py_leading.config.following.fallback_source import FallbackSource
from dcm4py_leading.config.following.last_good import FOLDER, LastGood
from dcm4py_leading.config.placeholders import Expand, data_dir_properties, expander
from dcm4py_leading.config.sources.source import ConfigSource
from dcm4py_leading.leading.settings import LeadingSettings
from dcm4py_leading.model.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the configuration is and how it is read; what the command line says."""

    source: ConfigSource
    device_name: str
    properties: Mapping[str, str]
    data_dir: Path
    style_sheet_folders: tuple[Path, ...] = ()
    """Where style sheets of rules may be; DATA_DIR/temp, which ${jboss.server.temp.url} is, in any case."""
    options: Options = field(default_factory=Options)
    may_be_new: bool = False
    """Begin with an empty index, even where a storage has files."""
    is_ldif_writable: bool = False
    """LDIF files may be changed, not only read."""

    @property
    def expand(self) -> Expand:
        """Fills in placeholders."""
        return expander({**data_dir_properties(self.data_dir), **self.properties}, os.environ)

    @property
    def leading_settings(self) -> LeadingSettings:
        """Settings for asking leading archives, as ``--set`` says."""
        return LeadingSettings(
            page_size=self.options.leading_page_size,
            deadline=self.options.leading_deadline,
            last_known_max_age=self.options.last_known_max_age,
        )


def surviving(site: Site) -> Site:
    """The site with a directory that may be down: what it said last is kept in the data directory."""
    if not site.source.servers:
        return site
    last_good = LastGood(site.data_dir / FOLDER, directory=site.source.servers, device_name=site.device_name)
    return replace(site, source=FallbackSource(site.source, last_good))
