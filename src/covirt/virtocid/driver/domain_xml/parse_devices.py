# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read <disk>, <filesystem> and <console>."""

from typing import Final

from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model_devices import (
    Console,
    Disk,
    DiskDevice,
    DiskType,
    Filesystem,
    FilesystemType,
)
from covirt.virtocid.driver.domain_xml.model_tuning import NO_DISK_LIMITS
from covirt.virtocid.driver.domain_xml.model_volumes import AccessMode
from covirt.virtocid.driver.domain_xml.node import Node
from covirt.virtocid.driver.domain_xml.parse_tuning import read_disk_io
from covirt.virtocid.driver.domain_xml.parse_volumes import read_disk_mount

_DISK_SOURCE: Final = {DiskType.FILE: "file", DiskType.BLOCK: "dev", DiskType.DIR: "dir"}
_FILESYSTEM_SOURCE: Final = {
    FilesystemType.MOUNT: "dir",
    FilesystemType.BIND: "dir",
    FilesystemType.FILE: "file",
    FilesystemType.BLOCK: "dev",
    FilesystemType.TEMPLATE: "name",
}
# libvirt keeps aliases that begin so over a restart of the domain; all others are its own, for one run.
USER_ALIAS_PREFIX: Final = "ua-"


def read_alias(node: Node, *, live: bool) -> str | None:
    child = node.child("alias")
    name = child.attribute("name", values.not_empty) if child else None
    return name if name and (live or name.startswith(USER_ALIAS_PREFIX)) else None


def read_disk(node: Node, *, live: bool) -> Disk:
    """<disk> of a file or block device; anything else is refused with the reason."""
    device = node.attribute("device", values.member(DiskDevice)) or DiskDevice.DISK
    kind = node.attribute("type", values.member(DiskType)) or DiskType.FILE
    target = node.child("target")
    if target is None:
        raise node.invalid("<target dev=…> is missing")
    return Disk(
        device=device,
        type=kind,
        source=_disk_source(node, _DISK_SOURCE[kind], needed=device is DiskDevice.DISK),
        target=target.required("dev", values.word),
        bus=target.attribute("bus", values.word),
        format=_disk_format(node),
        readonly=node.flag("readonly"),
        shareable=node.flag("shareable"),
        io_tune=read_disk_io(node.child("iotune")) if device is DiskDevice.DISK else NO_DISK_LIMITS,
        mount=read_disk_mount(node),
        alias=read_alias(node, live=live),
        kept=node.kept(),
    )


def _disk_source(node: Node, attribute: str, *, needed: bool) -> str | None:
    child = node.child("source")
    # Vdsm writes an empty drive as <source file=''/>.
    path = child.attribute(attribute, lambda text: values.absolute_path(text) if text else "") if child else None
    if not path and needed:
        raise node.invalid(f"<source {attribute}=…> is missing")
    return path or None


def _disk_format(node: Node) -> str | None:
    driver = node.child("driver")
    return driver.attribute("type", _raw) if driver else None


def _raw(text: str) -> str:
    if text != "raw":
        raise ValueError(
            f"a disk of type {text!r} cannot be mounted: the kernel knows no format but raw; convert it with qemu-img"
        )
    return text


def read_filesystem(node: Node, *, live: bool) -> Filesystem:
    kind = node.attribute("type", values.member(FilesystemType)) or FilesystemType.MOUNT
    target = node.child("target")
    if target is None:
        raise node.invalid("<target dir=…> is missing")
    source = node.child("source")
    if source is None:
        raise node.invalid("<source> is missing")
    size_bytes, path = None, None
    if kind is FilesystemType.RAM:
        # "usage" is in KiB unless "units" says otherwise (libvirt, formatdomain).
        size_bytes = source.scaled(values.scaled_bytes, unit="KiB", number="usage")
    else:
        rule = values.container_image if kind is FilesystemType.TEMPLATE else values.absolute_path
        path = source.required(_FILESYSTEM_SOURCE[kind], rule)
    return Filesystem(
        type=kind,
        source=path,
        target=target.required("dir", values.absolute_path),
        readonly=node.flag("readonly"),
        size_bytes=size_bytes,
        access=_access(node, kind),
        alias=read_alias(node, live=live),
        kept=node.kept(),
    )


def _access(node: Node, kind: FilesystemType) -> AccessMode | None:
    if kind not in (FilesystemType.MOUNT, FilesystemType.BIND):
        return None  # what clients write for every file system means nothing for the others
    return node.attribute("accessmode", _access_mode)


def _access_mode(text: str) -> AccessMode:
    if text == "squash":
        raise ValueError("the kernel cannot show all files as one user's; use passthrough or mapped")
    return values.member(AccessMode)(text)


def read_console(node: Node, *, live: bool, index: int) -> Console:
    """<console>. Its terminal's path is a fact of one run: outside live XML it is dropped."""
    node.attribute("type", values.choice("pty"))
    tty = node.attribute("tty", values.absolute_path)
    target, log = node.child("target"), node.child("log")
    path = _console_path(node) or tty
    port = target.attribute("port", values.integer(0, 1023)) if target else None
    append = log.attribute("append", values.on_off) if log else None
    if log is not None and append is False:
        log.report("append")  # what earlier runs wrote stays, and is rotated
    return Console(
        target_type=(target.attribute("type", values.word) if target else None) or "lxc",
        target_port=index if port is None else port,
        log_file=log.required("file", values.absolute_path) if log else None,
        log_append=append,
        alias=read_alias(node, live=live),
        path=path if live else None,
        kept=node.kept(),
    )


def _console_path(node: Node) -> str | None:
    source = node.child("source")
    return source.attribute("path", values.absolute_path) if source else None
