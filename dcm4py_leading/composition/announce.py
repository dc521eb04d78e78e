"""Announcement of a configuration that was put in force: what the log says of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from dcm4py_leading.composition.check import Checked
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.check import unserved_capabilities
from dcm4py_leading.config.named_titles import archives_asked
from dcm4py_leading.config.report.inventory import Status, some
from dcm4py_leading.dicom.negotiation import is_served, is_used_as_scu
from dcm4py_leading.model.device import Device, TransferCapability

LOG = logging.getLogger(__name__)


def announce(checked: Checked, what: str, site: Site) -> None:
    """A configuration has been put in force: keep it for when the directory is down, and tell of it."""
    site.source.put_in_force(checked.read)
    snapshot = checked.snapshot
    for problem in snapshot.problems:
        LOG.warning("%s", problem)
    for line in unserved_lines(snapshot.device):
        LOG.info("%s", line)
    idle = sum(found.status is not Status.YES for found in snapshot.present)
    if idle:
        LOG.info(
            "%d attributes or kinds of entries are not acted on, or only in part: the command check names them", idle
        )
    LOG.info(
        "%s: device %s of %s, fingerprint %s",
        what,
        snapshot.device.device_name,
        site.source.describe(),
        snapshot.fingerprint,
    )


def unserved_lines(device: Device, *, is_full: bool = False) -> Iterable[str]:
    """A line of the transfer capabilities that are not served for all AEs that have the same, see `inventory.some`."""
    asks_archives = next(archives_asked(device), None) is not None

    def is_used(capability: TransferCapability) -> bool:
        return is_served(capability) or is_used_as_scu(capability, asks_archives=asks_archives)

    titles: dict[tuple[str, ...], list[str]] = {}
    for ae in device.application_entities:
        titles.setdefault(tuple(unserved_capabilities(ae, is_used)), []).append(ae.ae_title)
    for names, having in titles.items():
        if names:
            title = f"AE{'s' * (len(having) > 1)} {some(having, is_full=is_full)}"
            yield f"{title}: transfer capabilities not served: {some(names, is_full=is_full)}"
