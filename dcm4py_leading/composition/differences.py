"""Differences between two checked configurations, and in the AEs and devices around them."""

from __future__ import annotations

from collections.abc import Iterator

from dcm4py_leading.composition.check import Checked
from dcm4py_leading.composition.site import Site
from dcm4py_leading.config.following.difference import Difference, change_of, differences
from dcm4py_leading.config.loader import load_device_description, load_remote_ae
from dcm4py_leading.config.sources.recording import Recording
from dcm4py_leading.errors import ConfigInvalid
from dcm4py_leading.model.device import DeviceDescription, RemoteAE


def differences_of(old: Checked, new: Checked, site: Site) -> Iterator[Difference]:
    """Differences in the device, and in the AEs and devices that the rules of both name."""
    yield from differences(old.snapshot.device, new.snapshot.device)
    yield from remote_differences(old.read, new.read, site)
    for name in sorted(old.read.devices.keys() & new.read.devices.keys() - {site.device_name}):
        yield from change_of(
            _description(old.read, name, site), _description(new.read, name, site), "dicomDevice", name
        )


def remote_differences(old: Recording, new: Recording, site: Site) -> Iterator[Difference]:
    """Differences in the remote AEs that both recordings have."""
    for title in sorted(old.aes.keys() & new.aes.keys()):
        yield from change_of(_remote_ae(old, title, site), _remote_ae(new, title, site), "dicomNetworkAE", title)


def _remote_ae(recording: Recording, title: str, site: Site) -> RemoteAE | None:
    """The AE as it can be called; None also where it cannot, which `config.check` has told."""
    try:
        return load_remote_ae(recording.aes[title], title, site.expand)
    except ConfigInvalid:
        return None


def _description(recording: Recording, name: str, site: Site) -> DeviceDescription | None:
    devices = (entry for entry in recording.devices[name] if entry.is_a("dicomDevice"))
    device = next(devices, None)
    return None if device is None else load_device_description(recording.devices[name], device.dn, site.expand)[0]
