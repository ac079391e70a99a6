# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Devices of a running container: one part for each kind of device that can come and go."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from covirt.virtocid.driver.device_config import words_for
from covirt.virtocid.driver.device_errors import DeviceFixed
from covirt.virtocid.driver.domain_xml.model_devices import Console, Disk, DiskDevice, Filesystem, Interface
from covirt.virtocid.driver.domain_xml.parse import Device
from covirt.virtocid.driver.hot_interfaces import HotInterfaces
from covirt.virtocid.driver.hot_mounts import HotMounts
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services


class HotPart(Protocol):
    """What can be done with one kind of device, ``D``. The device is one of the run's own, but for added()."""

    def added(self, run: Run, device: Any) -> tuple[Run, Device]:
        """The run with the device, the last of its kind, as it will be: named and checked, nothing made yet."""

    def forget(self, device: Any) -> None:
        """The device is gone, or did not come: its names may be given out again."""

    def plug(self, run: Run, device: Any) -> Run:
        """Make it real; undone on failure. The run that is returned knows how to take it away again."""

    def unplug(self, run: Run, device: Any) -> Run:
        """Take it away, or all there is of it; the run without it."""

    def updated(self, run: Run, device: Any, wanted: Any) -> tuple[Run, Device]:
        """The run with the device as ``wanted`` says. Raises DeviceFixed."""

    def apply(self, run: Run, device: Any) -> None:
        """Make what is there what the run says; may be repeated."""


_PARTS: Final[Mapping[type, Callable[[Services], HotPart]]] = {
    Interface: HotInterfaces,
    Filesystem: HotMounts,
    Disk: HotMounts,
}


def part_for(services: Services, device: Device) -> HotPart:
    """Raises DeviceFixed for what is made with the container and ends with it."""
    make = _PARTS.get(type(device))
    if make is None or (isinstance(device, Disk) and device.device is DiskDevice.CDROM):
        raise DeviceFixed(what=f"the {words_for(device)} of a running container", reason=_reason(device))
    return make(services)


def _reason(device: Device) -> str:
    match device:
        case Console():
            return "its terminal is made when it starts; change the definition, and start it again"
        case Disk(device=DiskDevice.CDROM):
            return "its image is mounted when it starts; change the definition (--config), and start it again"
        case _:
            return "it is mounted when the container starts; change the definition (--config), and start it again"
