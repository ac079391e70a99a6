# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Write <disk>, <filesystem>, <interface> and <console>."""

from typing import Final

from lxml import etree

from covirt.virtocid.driver.domain_xml.build import flag, group, make, put_back
from covirt.virtocid.driver.domain_xml.format_tuning import write_disk_io
from covirt.virtocid.driver.domain_xml.format_volumes import write_disk_mount
from covirt.virtocid.driver.domain_xml.model_devices import (
    Console,
    Disk,
    DiskType,
    Filesystem,
    FilesystemType,
    Interface,
    InterfaceType,
)

_DISK_SOURCE: Final = {DiskType.FILE: "file", DiskType.BLOCK: "dev", DiskType.DIR: "dir"}


def write_alias(name: str | None) -> etree._Element | None:
    return make("alias", name=name) if name else None


def write_disk(disk: Disk) -> etree._Element:
    attribute = _DISK_SOURCE[disk.type]
    element = group(
        "disk",
        (
            make("driver", type=disk.format) if disk.format else None,
            make("source", **{attribute: disk.source}) if disk.source else None,
            make("target", dev=disk.target, bus=disk.bus),
            write_disk_io(disk.io_tune),
            flag("readonly", wanted=disk.readonly),
            flag("shareable", wanted=disk.shareable),
            write_disk_mount(disk.mount),
            write_alias(disk.alias),
        ),
        type=disk.type,
        device=disk.device,
    )
    return put_back(element, disk.kept)


def write_filesystem(filesystem: Filesystem) -> etree._Element:
    element = group(
        "filesystem",
        (
            _filesystem_source(filesystem),
            make("target", dir=filesystem.target),
            flag("readonly", wanted=filesystem.readonly),
            write_alias(filesystem.alias),
        ),
        type=filesystem.type,
        accessmode=filesystem.access,
    )
    return put_back(element, filesystem.kept)


def _filesystem_source(filesystem: Filesystem) -> etree._Element:
    match filesystem.type:
        case FilesystemType.RAM:
            return make("source", usage=filesystem.size_bytes, units="bytes")
        case FilesystemType.FILE:
            return make("source", file=filesystem.source)
        case FilesystemType.BLOCK:
            return make("source", dev=filesystem.source)
        case FilesystemType.TEMPLATE:
            return make("source", name=filesystem.source)
        case FilesystemType.MOUNT | FilesystemType.BIND:
            return make("source", dir=filesystem.source)


def write_interface(interface: Interface, *, bridge: str | None = None) -> etree._Element:
    """<interface>; ``bridge`` is where a running one of type ``network`` is plugged in."""
    element = group(
        "interface",
        (
            make("mac", address=interface.mac) if interface.mac else None,
            _interface_source(interface, bridge),
            *(
                make("ip", address=item.address, family=item.family, prefix=item.prefix, peer=item.peer)
                for item in interface.addresses
            ),
            *(
                make(
                    "route",
                    family=item.family,
                    address=item.address,
                    prefix=item.prefix,
                    gateway=item.gateway,
                    metric=item.metric,
                )
                for item in interface.routes
            ),
            make("target", dev=interface.target) if interface.target else None,
            _guest(interface),
            make("model", type=interface.model) if interface.model else None,
            None if interface.link_up else make("link", state="down"),
            make("mtu", size=interface.mtu) if interface.mtu else None,
            write_alias(interface.alias),
        ),
        type=interface.type,
        trustGuestRxFilters="yes" if interface.filter_off else None,
    )
    return put_back(element, interface.kept)


def _guest(interface: Interface) -> etree._Element | None:
    if interface.guest_name is None and interface.guest_actual is None:
        return None
    return make("guest", dev=interface.guest_name, actual=interface.guest_actual)


def _interface_source(interface: Interface, bridge: str | None) -> etree._Element:
    if interface.type is InterfaceType.BRIDGE:
        return make("source", bridge=interface.source)
    return make("source", network=interface.source, bridge=bridge)


def write_console(console: Console) -> etree._Element:
    append = None if console.log_append is None else ("on" if console.log_append else "off")
    element = group(
        "console",
        (
            make("source", path=console.path) if console.path else None,
            make("log", file=console.log_file, append=append) if console.log_file else None,
            make("target", type=console.target_type, port=console.target_port),
            write_alias(console.alias),
        ),
        type=console.type,
        tty=console.path,
    )
    return put_back(element, console.kept)
