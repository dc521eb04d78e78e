"""The list of devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from dcm4py_leading.config.entry import Entry
from dcm4py_leading.model.bounds import LISTED_DEVICES
from dcm4py_leading.web.pages.changing.attempt import Editing
from dcm4py_leading.web.pages.places import device_address
from dcm4py_leading.web.pages.render import render

_SHOWN = (
    "dicomDescription",
    "dicomPrimaryDeviceType",
    "dicomManufacturer",
    "dicomManufacturerModelName",
    "dicomStationName",
)
_SEARCHED = (*_SHOWN, "dicomDeviceName", "dicomInstitutionName", "dicomInstitutionDepartmentName")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """One device of the list."""

    name: str
    address: str
    cells: tuple[tuple[str, str], ...]
    is_installed: bool


class DevicesPage:
    """The handler. It runs in a worker thread, and asks the directory once."""

    def __init__(self, editor: Editing, own_device: str) -> None:
        self._editor = editor
        self._own_device = own_device

    def show(self, request: Request) -> Response:
        """The devices in which all words of ``q`` stand; the first `LISTED_DEVICES` of them from ``from`` on."""
        wanted = request.query_params.get("q", "").strip()
        start = _number(request.query_params.get("from", ""))
        rows = rows_of(self._editor.devices(), wanted)
        shown = rows[start : start + LISTED_DEVICES]
        context = {
            "q": wanted,
            "rows": shown,
            "columns": _SHOWN,
            "count": len(rows),
            "start": start,
            "before": max(start - LISTED_DEVICES, 0) if start else None,
            "after": start + LISTED_DEVICES if start + LISTED_DEVICES < len(rows) else None,
            "own_device": self._own_device,
        }
        return render(request, "devices.html", context)


def rows_of(devices: Sequence[Entry], wanted: str) -> list[DeviceRow]:
    """The devices in which all words of ``wanted`` stand, by name."""
    words = wanted.casefold().split()
    found = []
    for device in devices:
        text = " ".join(value for name in _SEARCHED for value in device.values(name)).casefold()
        if all(word in text for word in words):
            found.append(_row(device))
    return sorted(found, key=lambda row: row.name.casefold())


def _row(device: Entry) -> DeviceRow:
    name = next(iter(device.values("dicomDeviceName")), device.dn)
    return DeviceRow(
        name=name,
        address=device_address(name),
        cells=tuple((attribute, ", ".join(device.values(attribute))) for attribute in _SHOWN),
        is_installed="FALSE" not in (value.strip().upper() for value in device.values("dicomInstalled")),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
