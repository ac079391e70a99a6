# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One device in a domain's configuration: found as libvirt finds it, added, taken out, replaced. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os.path import normpath
from typing import Final, assert_never

from covirt.virtocid.driver.device_errors import DeviceExists, DeviceFixed, NoSuchDevice, SeveralDevices
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.domain_xml.model_devices import Console, Disk, Filesystem, Interface
from covirt.virtocid.driver.domain_xml.parse import Device

# How a device is called in the XML, and the field of DomainConfig that holds all of its kind.
_FIELDS: Final[Mapping[type, tuple[str, str]]] = {
    Disk: ("disk", "disks"),
    Filesystem: ("filesystem", "filesystems"),
    Interface: ("interface", "interfaces"),
    Console: ("console", "consoles"),
}


def words_for(device: Device) -> str:
    """How a message calls it."""
    match device:
        case Disk():
            return f"disk '{device.target}'"
        case Filesystem():
            return f"filesystem at '{device.target}'"
        case Interface():
            return f"interface {device.mac}" if device.mac else f"interface in {device.type} '{device.source}'"
        case Console():
            return f"console {device.target_port}"
    assert_never(device)


def find(config: DomainConfig, wanted: Device) -> Device:
    """The device that ``wanted`` describes: a disk by its target, a filesystem by its directory, an interface by its
    MAC address or, without one, by all else that is said of it. Raises NoSuchDevice, SeveralDevices.
    """
    found = [device for device in _all(config, type(wanted)) if _same(device, wanted)]
    if not found:
        raise NoSuchDevice(name=config.name, what=words_for(wanted))
    if len(found) > 1:
        raise SeveralDevices(
            name=config.name, what=", ".join(map(words_for, found)), key="MAC address (<mac address=…>)"
        )
    return found[0]


def find_by_alias(config: DomainConfig, alias: str) -> Device:
    """Raises NoSuchDevice."""
    for kind in _FIELDS:
        for device in _all(config, kind):
            if device.alias == alias:
                return device
    raise NoSuchDevice(name=config.name, what=f"device with the alias '{alias}'")


def attached(config: DomainConfig, device: Device) -> DomainConfig:
    """The configuration with one device more, which is the last of its kind. Raises DeviceExists."""
    if isinstance(device, Console):
        raise DeviceFixed(what="the console", reason="a container's terminal is made when it starts; define it anew")
    for present in _all(config, type(device)):
        if _collides(present, device):
            raise DeviceExists(name=config.name, what=f"the {words_for(present)}")
    if device.alias is not None:
        try:
            find_by_alias(config, device.alias)
        except NoSuchDevice:
            pass
        else:
            raise DeviceExists(name=config.name, what=f"a device with the alias '{device.alias}'")
    return _with(config, type(device), (*_all(config, type(device)), device))


def detached(config: DomainConfig, device: Device) -> DomainConfig:
    """The configuration without a device that find() gave."""
    if isinstance(device, Console):
        raise DeviceFixed(what="the console", reason="a container's terminal ends with the container")
    return _with(config, type(device), (each for each in _all(config, type(device)) if each is not device))


def replaced(config: DomainConfig, old: Device, new: Device) -> DomainConfig:
    """The configuration with ``new`` in the place of a device that find() gave."""
    return _with(config, type(old), (new if each is old else each for each in _all(config, type(old))))


def _all(config: DomainConfig, kind: type) -> tuple[Device, ...]:
    devices: tuple[Device, ...] = getattr(config, _FIELDS[kind][1])
    return devices


def _with(config: DomainConfig, kind: type, devices: Iterable[Device]) -> DomainConfig:
    changes = {_FIELDS[kind][1]: tuple(devices)}
    return replace(config, **changes)  # type: ignore[arg-type]  # the field that belongs to the kind


def _same(present: Device, wanted: Device) -> bool:
    if wanted.alias is not None and wanted.alias != present.alias:
        return False
    match present, wanted:
        case Disk(), Disk():
            return present.target == wanted.target
        case Filesystem(), Filesystem():
            return plain_directory(present.target) == plain_directory(wanted.target)
        case Interface(), Interface():
            return _same_interface(present, wanted)
        case Console(), Console():
            return present.target_port == wanted.target_port
    return False


def _same_interface(present: Interface, wanted: Interface) -> bool:
    if wanted.mac is not None:
        return present.mac == wanted.mac
    if wanted.target is not None and present.target is not None:
        return present.target == wanted.target
    return (present.type, present.source) == (wanted.type, wanted.source)


def _collides(present: Device, new: Device) -> bool:
    match present, new:
        case Disk(), Disk():
            return present.target == new.target
        case Filesystem(), Filesystem():
            return plain_directory(present.target) == plain_directory(new.target)
        case Interface(), Interface():
            return any(
                mine is not None and mine in theirs
                for mine, theirs in (
                    (new.mac, (present.mac,)),
                    (new.target, (present.target,)),
                    (new.guest_name, (present.guest_name, present.guest_actual)),
                )
            )
    return False


def plain_directory(directory: str) -> str:
    """A path without needless slashes."""
    return normpath(f"/{directory.lstrip('/')}")
