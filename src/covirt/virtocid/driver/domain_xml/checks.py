# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What no single element can tell: names used twice, and a root file system that is missing or said twice."""

from collections.abc import Iterable
from typing import Final

from covirt.virtocid.driver.domain_xml.model import DiskDevice, DomainConfig, FilesystemType
from covirt.virtocid.driver.domain_xml.node import Node

_MAX_INTERFACES: Final = 64  # far above use; each one costs a start some milliseconds


def check_domain(node: Node, config: DomainConfig, *, image_required: bool) -> None:
    """Raises InvalidXml at the element that repeats or contradicts an earlier one."""
    devices = node.child("devices") or node
    _refuse_repeated(devices.children("interface"), (item.mac for item in config.interfaces), "MAC address")
    _refuse_repeated(devices.children("interface"), (item.target for item in config.interfaces), "target name")
    _refuse_repeated(
        devices.children("interface"), (item.guest_name for item in config.interfaces), "name inside the container"
    )
    _refuse_repeated(devices.children("disk"), (item.target for item in config.disks), "target name")
    _refuse_repeated(devices.children("filesystem"), (item.target for item in config.filesystems), "target directory")
    _refuse_repeated(devices.children("console"), (str(item.target_port) for item in config.consoles), "port")
    _check_variables(node, config)
    if len(config.interfaces) > _MAX_INTERFACES:
        raise devices.invalid(f"a container has at most {_MAX_INTERFACES} interfaces")
    _check_root(node, devices, config, image_required=image_required)


def _refuse_repeated(nodes: list[Node], names: Iterable[str | None], what: str) -> None:
    seen: set[str] = set()
    for node, name in zip(nodes, names, strict=True):
        if name is not None and name in seen:
            raise node.invalid(f"the {what} {name} is used twice in this domain")
        if name is not None:
            seen.add(name)


def _check_variables(node: Node, config: DomainConfig) -> None:
    variables = dict(config.process.environment)
    twice = next((each.environment for each in config.settings.secrets if each.environment in variables), None)
    if twice is not None:
        raise node.invalid(f"the variable {twice} is set by <initenv>, and given as a secret too")


def _check_root(node: Node, devices: Node, config: DomainConfig, *, image_required: bool) -> None:
    cdroms = [
        child
        for child, disk in zip(devices.children("disk"), config.disks, strict=True)
        if disk.device is DiskDevice.CDROM and disk.source
    ]
    if len(cdroms) > 1:
        raise cdroms[1].invalid("a container has one image, and another cdrom holds it already")
    disk = config.image_disk
    if disk is not None and config.settings.image not in {None, disk.source}:
        raise cdroms[0].invalid(f"the image is {config.settings.image} in <covirt:container>, and another one here")
    if config.image_filesystem is not None and (disk is not None or config.settings.image is not None):
        raise devices.invalid("two images are named: one for <filesystem> with <target dir='/'>, and another one")
    _check_templates(devices, config)
    names_devices = devices is not node and devices.has_elements
    if image_required and config.is_placeholder and names_devices:
        raise node.invalid(
            "the container has no root file system; name its image with <disk device='cdrom'>, with "
            "<filesystem type='template'> and <target dir='/'>, or with <covirt:image> in <metadata>"
        )


def _check_templates(devices: Node, config: DomainConfig) -> None:
    for child, filesystem in zip(devices.children("filesystem"), config.filesystems, strict=True):
        if filesystem.type is FilesystemType.TEMPLATE and filesystem.target != "/":
            raise child.invalid("a template is a container image, which can only be the root file system (dir='/')")
