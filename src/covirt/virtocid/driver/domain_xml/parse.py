# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read a domain's XML, and a single device's."""

from collections.abc import Callable
from typing import Final
from uuid import uuid4

from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.agent_channel import leave_agent_out
from covirt.virtocid.driver.domain_xml.checks import check_domain
from covirt.virtocid.driver.domain_xml.document import read_document
from covirt.virtocid.driver.domain_xml.model import DOMAIN_TYPE, DomainConfig, ProcessConfig
from covirt.virtocid.driver.domain_xml.model_devices import Console, Disk, Filesystem, Interface
from covirt.virtocid.driver.domain_xml.node import Node, Report
from covirt.virtocid.driver.domain_xml.parse_devices import read_console, read_disk, read_filesystem
from covirt.virtocid.driver.domain_xml.parse_interface import read_interface
from covirt.virtocid.driver.domain_xml.parse_metadata import read_metadata
from covirt.virtocid.driver.domain_xml.parse_tuning import (
    read_block_io,
    read_cpu_tune,
    read_idmap,
    read_memory_tune,
    read_numa_tune,
)

Device = Disk | Filesystem | Interface | Console

# What a management program writes that knows machines only; whatever comes over this connection is a container.
DOMAIN_TYPES: Final = (DOMAIN_TYPE, "kvm", "qemu")
_MACHINE_OS: Final = "hvm"
# Below this a runtime's own helper does not survive inside the container's cgroup (runc refuses less than 6 MiB).
MIN_MEMORY_KIB: Final = 6 * 1024
MAX_VCPUS: Final = 4096
_POWEROFF: Final = values.choice("destroy", "restart", "preserve", "rename-restart")
_CRASH: Final = values.choice(
    "destroy", "restart", "preserve", "rename-restart", "coredump-destroy", "coredump-restart"
)
# What is done as it is written; the rest is kept and reported.
_ACTIONS: Final = {"destroy", "restart"}


def parse_domain(xml: str, *, live: bool = False, image_required: bool = True) -> DomainConfig:
    """Read ``<domain>``, also one that was written for a machine.

    ``live`` also reads what belongs to one run (terminal paths, aliases).

    A domain without a root file system is accepted if it names no devices, as Vdsm defines one before the real one,
    and with ``image_required=False`` in any case.
    Raises XmlError (not readable) and InvalidXml (field ``xpath``, ``line``, ``reason``).
    """
    report = Report()
    document = read_document(xml)
    leave_agent_out(document)
    node = Node(document, report)
    if node.tag != "domain":
        raise node.invalid("the root element must be <domain>")
    node.required("type", values.choice(*DOMAIN_TYPES))
    node.drop("id")
    config = _read_domain(node, report, live=live)
    check_domain(node, config, image_required=image_required)
    return config


def parse_device(xml: str, *, live: bool = False) -> Device:
    """Read one device, as clients send it to attach, detach or update it."""
    node = Node(read_document(xml), Report())
    match node.tag:
        case "disk":
            return read_disk(node, live=live)
        case "filesystem":
            return read_filesystem(node, live=live)
        case "interface":
            return read_interface(node, live=live)
        case "console":
            return read_console(node, live=live, index=0)
    raise node.invalid("a container has the devices disk, filesystem, interface and console")


def _read_domain(node: Node, report: Report, *, live: bool) -> DomainConfig:
    name = node.child_text("name", values.domain_name)
    if name is None:
        raise node.invalid("<name> is missing")
    memory_kib, current_memory_kib = _memory(node)
    vcpus, current_vcpus, cpuset = _vcpus(node)
    process, architecture = _process(node)
    metadata = read_metadata(node.child("metadata"), report)
    node.child("features")
    disks, filesystems, interfaces, consoles = _devices(node.child("devices"), live=live)
    return DomainConfig(
        name=name,
        uuid=node.child_text("uuid", values.uuid) or uuid4(),
        title=node.child_text("title", values.one_line) or None,
        description=node.child_text("description", str) or None,
        architecture=architecture,
        memory_kib=memory_kib,
        current_memory_kib=current_memory_kib,
        vcpus=vcpus,
        current_vcpus=current_vcpus,
        cpuset=cpuset,
        cpu_tune=read_cpu_tune(node.child("cputune")),
        memory_tune=read_memory_tune(node.child("memtune")),
        block_io=read_block_io(node.child("blkiotune")),
        numa_tune=read_numa_tune(node.child("numatune")),
        idmap=read_idmap(node.child("idmap")),
        process=process,
        disks=disks,
        filesystems=filesystems,
        interfaces=interfaces,
        consoles=consoles,
        on_poweroff=_action(node, "on_poweroff", _POWEROFF) or "destroy",
        on_reboot=_action(node, "on_reboot", _POWEROFF) or "restart",
        on_crash=_action(node, "on_crash", _CRASH) or "destroy",
        metadata=metadata.elements,
        settings=metadata.settings,
        ovirt=metadata.ovirt,
        drive_map=metadata.drive_map,
        kept=node.kept(),
        unknown=report.unknown,
        machine_devices=report.machine_devices,
    )


def _action(node: Node, tag: str, read: Callable[[str], str]) -> str | None:
    """What is to happen at an end. Whatever is written: nothing is preserved, renamed or dumped."""
    action = node.child_text(tag, read)
    if action is not None and action not in _ACTIONS:
        node.report_child(tag)
    return action


def _memory(node: Node) -> tuple[int, int]:
    """<memory> and <currentMemory>; either stands for both. libvirt lowers a current amount above the maximum."""
    memory, current = node.child("memory"), node.child("currentMemory")
    current_kib = current.scaled(values.kib, unit="KiB") if current else 0
    memory_kib = memory.scaled(values.kib, unit="KiB") if memory else current_kib
    written = memory or current
    if written is None:
        raise node.invalid("<memory> is missing")
    if memory_kib < MIN_MEMORY_KIB:
        raise written.invalid(
            f"{memory_kib} KiB is too little memory; a container needs at least {MIN_MEMORY_KIB} KiB"
        )
    current_kib = min(current_kib, memory_kib) or memory_kib
    if current is not None and current_kib < MIN_MEMORY_KIB:
        raise current.invalid(
            f"{current_kib} KiB is too little memory; a container needs at least {MIN_MEMORY_KIB} KiB"
        )
    return memory_kib, current_kib


def _vcpus(node: Node) -> tuple[int, int, str | None]:
    child = node.child("vcpu")
    if child is None:
        return 1, 1, None
    child.attribute("placement", values.choice("static", "auto"))
    vcpus = child.text(values.integer(1, MAX_VCPUS))
    current = child.attribute("current", values.integer(1, MAX_VCPUS)) or vcpus
    if current > vcpus:
        raise child.invalid(f"{current} is more than the maximum, {vcpus}", attribute="current")
    return vcpus, current, child.attribute("cpuset", values.cpuset)


def _process(node: Node) -> tuple[ProcessConfig, str | None]:
    child = node.child("os")
    if child is None:
        return ProcessConfig(), None
    kind = child.child("type")
    if kind is not None:
        kind.text(values.choice("exe", _MACHINE_OS))
    process = ProcessConfig(
        init=child.child_text("init", values.not_empty),
        arguments=tuple(argument.text(str) for argument in child.children("initarg")),
        environment=_environment(child),
        directory=child.child_text("initdir", values.absolute_path),
        user=child.child_text("inituser", values.word),
        group=child.child_text("initgroup", values.word),
    )
    return process, kind.attribute("arch", values.word) if kind else None


def _environment(node: Node) -> tuple[tuple[str, str], ...]:
    environment: dict[str, str] = {}
    for child in node.children("initenv"):
        name = child.required("name", values.environment_name)
        if name in environment:
            raise child.invalid(f"{name} is set twice")
        environment[name] = child.text(str)
        child.close()
    return tuple(environment.items())


_Devices = tuple[tuple[Disk, ...], tuple[Filesystem, ...], tuple[Interface, ...], tuple[Console, ...]]


def _devices(node: Node | None, *, live: bool) -> _Devices:
    if node is None:
        return (), (), (), ()
    return (
        tuple(read_disk(child, live=live) for child in node.children("disk")),
        tuple(read_filesystem(child, live=live) for child in node.children("filesystem")),
        tuple(read_interface(child, live=live) for child in node.children("interface")),
        tuple(read_console(child, live=live, index=index) for index, child in enumerate(node.children("console"))),
    )
