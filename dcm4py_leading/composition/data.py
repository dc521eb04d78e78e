"""Data of a configuration, opened: the data directory with its index, the storages, the proxy's cache."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import closing

from dcm4py_leading import progress
from dcm4py_leading.archive.data_directory import DataDirectory
from dcm4py_leading.archive.index.index import Index
from dcm4py_leading.archive.proxy_cache.proxy_cache import ProxyCache, throw_away
from dcm4py_leading.archive.storage.file_storage import FileStorage
from dcm4py_leading.archive.storage.storage import Storage
from dcm4py_leading.composition.check import Checked
from dcm4py_leading.composition.site import Site
from dcm4py_leading.errors import ConfigInvalid, IndexUnavailable, Problem, StorageUnavailable
from dcm4py_leading.model.device import Device
from dcm4py_leading.service.deleting.delete import delete_files

LOG = logging.getLogger(__name__)

_KEPT = "kept"


def open_storages(device: Device, running: Mapping[str, Storage], index: Index) -> dict[str, Storage]:
    """The storages of ``device``; one that runs already with the same description is taken over.

    Raises ConfigInvalid when one cannot be opened.
    """
    storages: dict[str, Storage] = {}
    for descriptor in device.archive.file_storages:
        storage = running.get(descriptor.storage_id)
        if storage is None or storage.descriptor != descriptor:
            try:
                storage = FileStorage(descriptor, is_indexed=index.has)
            except (StorageUnavailable, IndexUnavailable) as err:
                problem = Problem(dn=descriptor.dn, attribute="dcmURI", value=descriptor.uri, reason=str(err))
                raise ConfigInvalid([problem]) from err
        storages[descriptor.storage_id] = storage
    return storages


def use_data_directory(
    site: Site, checked: Checked, *, before_index: Callable[[], None] = lambda: None
) -> DataDirectory:
    """Take part in the data directory, and look at its index and the storages once: what is wrong is told here.

    ``before_index`` is called when nobody else has the directory, and before the index is made or brought up to date;
    it may raise ConfigInvalid. Raises IndexUnavailable, StorageUnavailable, ConfigInvalid, OSError.
    """
    device = checked.snapshot.device
    directory = DataDirectory(site.data_dir, f"device {device.device_name}")
    try:
        before_index()
        with closing(directory.open_index(device.archive.file_storages, may_be_new=site.may_be_new)) as index:
            with progress.waiting("files of deleted studies are deleted"):
                delete_files(index, open_storages(device, {}, index))  # each process tells what is left even then
            for storage_id in sorted(index.storage_ids() - device.archive.storages.keys()):
                LOG.warning(
                    "the index has objects in storage %s, which device %s does not have: they cannot be delivered",
                    *(storage_id, device.device_name),
                )
    except BaseException:  # cleans up and raises on, whatever it was
        directory.close()
        raise
    return directory


def open_proxy_cache(site: Site) -> ProxyCache | None:
    """Where studies of other archives are kept that pass through, if any are (``--set proxy-keep``).

    What cannot be opened costs a WARNING.
    """
    directory = site.data_dir / _KEPT
    try:
        if not site.options.proxy_keep:
            throw_away(directory)
            return None
        cache = ProxyCache(directory, most_bytes=site.options.proxy_keep)
    except StorageUnavailable as err:
        LOG.warning("the cache of proxy-keep cannot be opened, nothing is kept: %s", err)
        return None
    counts = cache.counts()
    most = site.options.proxy_keep
    LOG.info("cache of proxy-keep: %d studies, %d of at most %d bytes", counts.studies, counts.size, most)
    return cache
