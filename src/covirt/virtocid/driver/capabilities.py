# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the host and its containers can do, in libvirt's XML, with the runtimes in an element of our own.

Clients read the parts of libvirt's they know; <covirt:runtimes> is for people and for covirt's own host agent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from lxml import etree

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.oci.runtime import RuntimeInfo
from covirt.virtocid.driver.domain_xml.build import group, make
from covirt.virtocid.driver.domain_xml.document import write_document
from covirt.virtocid.driver.domain_xml.model import DOMAIN_TYPE, DiskDevice, FilesystemType

_RUNTIMES_TAG: Final = f"{{{COVIRT_NAMESPACE}}}runtimes"
_RUNTIME_TAG: Final = f"{{{COVIRT_NAMESPACE}}}runtime"
# What a definition may have; the parser knows more, for a clear refusal.
_FILESYSTEMS: Final = (FilesystemType.MOUNT, FilesystemType.BIND, FilesystemType.RAM, FilesystemType.TEMPLATE)
_32_BIT: Final = frozenset({"armv6l", "armv7l", "i586", "i686", "mips", "mipsel", "ppc"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What clients want to know of the host: libvirt's node, as one NUMA cell."""

    uuid: UUID | None
    architecture: str
    memory_kib: int
    sockets: int
    cores: int
    threads: int
    cpus: tuple[int, ...]  # numbers of those online


def capabilities_xml(host: HostFacts, runtimes: Sequence[RuntimeInfo], *, default_runtime: str) -> str:
    """<capabilities>. Its one <guest> is what virt-install and virt-manager look for to offer containers."""
    capabilities = group("capabilities", (_host(host), _guest(host, runtimes, default_runtime)))
    capabilities.append(_runtimes(runtimes, default_runtime))
    return write_document(capabilities)


def _host(host: HostFacts) -> etree._Element:
    topology = make("topology", sockets=host.sockets, dies=1, cores=host.cores, threads=host.threads)
    cell = group(
        "cell",
        (
            make("memory", host.memory_kib, unit="KiB"),
            group("cpus", (make("cpu", id=number) for number in host.cpus), num=len(host.cpus)),
        ),
        id=0,
    )
    return group(
        "host",
        (
            make("uuid", host.uuid) if host.uuid else None,
            group("cpu", (make("arch", host.architecture), topology)),
            make("power_management"),
            group("topology", (group("cells", (cell,), num=1),)),
        ),
    )


def _guest(host: HostFacts, runtimes: Sequence[RuntimeInfo], default_runtime: str) -> etree._Element:
    emulator = next((runtime.path for runtime in runtimes if runtime.name == default_runtime), None)
    return group(
        "guest",
        (
            make("os_type", "exe"),
            group(
                "arch",
                (
                    make("wordsize", 32 if host.architecture in _32_BIT else 64),
                    make("emulator", emulator) if emulator and emulator.startswith("/") else None,
                    make("domain", type=DOMAIN_TYPE),
                ),
                name=host.architecture,
            ),
        ),
    )


def _runtimes(runtimes: Sequence[RuntimeInfo], default_runtime: str) -> etree._Element:
    element = etree.Element(_RUNTIMES_TAG, nsmap={"covirt": COVIRT_NAMESPACE})
    for runtime in runtimes:
        facts = {
            "name": runtime.name,
            "path": runtime.path,
            "version": runtime.version,
            "usable": "yes" if runtime.usable else "no",
            "default": "yes" if runtime.name == default_runtime else None,
            "reason": runtime.reason,
        }
        child = etree.SubElement(element, _RUNTIME_TAG)
        for name, value in facts.items():
            if value is not None:
                child.set(name, value)
    return element


def domain_capabilities_xml(
    *, architecture: str, max_vcpus: int, runtimes: Sequence[RuntimeInfo], default_runtime: str
) -> str:
    """<domainCapabilities> for domains of type ``oci``."""
    default = next((runtime.path for runtime in runtimes if runtime.name == default_runtime), "")
    capabilities = group(
        "domainCapabilities",
        (
            make("path", default if default.startswith("/") else f"/usr/bin/{default_runtime}"),
            make("domain", DOMAIN_TYPE),
            make("arch", architecture),
            make("vcpu", max=max_vcpus),
            make("iothreads", supported="no"),
            make("os", supported="yes"),
            _cpu(),
            make("memoryBacking", supported="no"),
            _devices(),
            _features(),
        ),
    )
    capabilities.append(_runtimes(runtimes, default_runtime))
    return write_document(capabilities)


def _cpu() -> etree._Element:
    """A container sees the host's CPU: no mode can be chosen."""
    modes = ("host-passthrough", "maximum", "host-model", "custom")
    return group("cpu", (make("mode", name=mode, supported="no") for mode in modes))


def _devices() -> etree._Element:
    unsupported = ("tpm", "redirdev", "channel")
    return group(
        "devices",
        (
            group(
                "disk",
                (_enumeration("diskDevice", (DiskDevice.CDROM,)), _enumeration("bus", ())),
                supported="yes",
            ),
            make("graphics", supported="no"),
            make("video", supported="no"),
            make("hostdev", supported="no"),
            make("rng", supported="no"),
            group("filesystem", (_enumeration("type", _FILESYSTEMS),), supported="yes"),
            *(make(name, supported="no") for name in unsupported),
        ),
    )


def _enumeration(name: str, values: Sequence[str]) -> etree._Element:
    return group("enum", (make("value", value) for value in values), name=name)


def _features() -> etree._Element:
    names = ("gic", "vmcoreinfo", "genid", "backingStoreInput", "backup", "sev", "sgx")
    return group("features", (make(name, supported="no") for name in names))
