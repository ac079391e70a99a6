# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a host says of itself, as the engine's facts: Host.getCapabilities, getHardwareInfo and getStats."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from covirt.engine.hosts.words import Document, flag, number, table, tables, text, texts, whole
from covirt.engine.model.cluster import Architecture
from covirt.engine.model.entity import Version
from covirt.engine.model.host import HostFacts, HostFigures, HostHardware, HostNic, NicFigures

_MIB: Final = 1 << 20
_SELINUX: Final = {"1": "enforcing", "0": "permissive"}
# What QEMU's machines are called on each architecture, since no host tells the architecture itself.
_MACHINES: Final = (
    ("pc-q35", Architecture.X86_64),
    ("pc-i440fx", Architecture.X86_64),
    ("pseries", Architecture.PPC64),
    ("s390-ccw", Architecture.S390X),
    ("virt", Architecture.AARCH64),
)
_NICS: Final = uuid.UUID("bd8a3a33-3c0f-4a53-8d0e-6a0d5c5d3c11")  # the space of their ids


def with_capabilities(facts: HostFacts, capabilities: Document, hardware: Document) -> HostFacts:
    """The facts with what the host is."""
    cores, sockets, threads = (max(1, whole(capabilities, key)) for key in ("cpuCores", "cpuSockets", "cpuThreads"))
    system = table(capabilities, "operatingSystem")
    machines = texts(capabilities, "emulatedMachines")
    containers = flag(capabilities, "containers")
    return replace(
        facts,
        cpu_name=text(capabilities, "cpuModel"),
        cpu_sockets=sockets,
        cpu_cores_per_socket=max(1, cores // sockets),
        cpu_threads_per_core=max(1, threads // cores),
        cpu_threads=threads,
        cpu_speed_mhz=number(capabilities, "cpuSpeed"),
        memory_bytes=whole(capabilities, "memSize") * _MIB,
        memory_reserved_bytes=whole(capabilities, "reservedMem") * _MIB,
        guest_overhead_bytes=whole(capabilities, "guestOverhead") * _MIB,
        os_type=text(system, "name"),
        os_version=text(system, "version"),
        kernel=_package(capabilities, "kernel"),
        libvirt_version=_package(capabilities, "libvirt"),
        agent_version=_agent(capabilities),
        hardware=_hardware(hardware),
        se_linux_mode=_SELINUX.get(text(table(capabilities, "selinux"), "mode"), "disabled"),
        kvm=flag(capabilities, "kvmEnabled"),
        containers=containers,
        container_runtimes=tuple(_runtimes(capabilities)) if containers else (),
        containers_reason=text(capabilities, "containersReason"),
        extensions=texts(capabilities, "covirtExtensions"),
        architecture=_architecture(machines, text(capabilities, "cpuFlags")),
        cluster_levels=texts(capabilities, "clusterLevels"),
        features=texts(capabilities, "additionalFeatures"),
        networks=tuple(sorted(tables(capabilities, "networks"))),
        emulated_machines=tuple(sorted(machines)),
        boot_id=text(capabilities, "boot_uuid"),
    )


def with_statistics(facts: HostFacts, statistics: Document) -> HostFacts:
    """The facts with how the host does."""
    return replace(
        facts,
        memory_free_bytes=whole(statistics, "memFree") * _MIB,
        vms_active=whole(statistics, "vmActive"),
        vms_total=whole(statistics, "vmCount"),
        figures=HostFigures(
            cpu_user_percent=number(statistics, "cpuUser"),
            cpu_system_percent=number(statistics, "cpuSys"),
            cpu_idle_percent=number(statistics, "cpuIdle"),
            load=number(statistics, "cpuLoad"),
            swap_bytes=whole(statistics, "swapTotal") * _MIB,
            swap_free_bytes=whole(statistics, "swapFree") * _MIB,
            memory_shared_bytes=whole(statistics, "memShared") * _MIB,
            boot_time=whole(statistics, "bootTime"),
            nics=tuple(_figures(name, nic) for name, nic in sorted(tables(statistics, "network").items())),
        ),
    )


def nics_of(host_id: str, capabilities: Document, statistics: Document, networks: Mapping[str, str]) -> list[HostNic]:
    """Its interfaces that networks may lie on, each with the network on it; ``networks`` are ids by the names that
    hosts know."""
    carried = _carried(capabilities)
    states = tables(statistics, "network")
    found = []
    for kind in ("nics", "bondings", "vlans"):
        for name, nic in tables(capabilities, kind).items():
            network_name, network = carried.get(name, ("", {}))
            placed = network if network else nic  # an address lies on the bridge, where there is one
            vlan = whole(nic, "vlanid", -1) if kind == "vlans" else -1
            found.append(
                HostNic(
                    id=str(uuid.uuid5(_NICS, f"{host_id}/{name}")),
                    name=name[:255],
                    host_id=host_id,
                    mac=text(nic, "hwaddr")[:32],
                    mtu=whole(nic, "mtu", 1500),
                    speed_bits_per_second=whole(nic, "speed") * 1_000_000,
                    up=text(table(states, name), "state") == "up",
                    address=text(placed, "addr")[:64],
                    netmask=text(placed, "netmask")[:64],
                    gateway=text(placed, "gateway")[:64],
                    boot_protocol=_boot_protocol(placed),
                    bridged=flag(network, "bridged"),
                    network_id=networks.get(network_name),
                    vlan_id=vlan if vlan >= 0 else None,
                    base_interface=text(nic, "iface")[:32] if kind == "vlans" else "",
                    bond_slaves=texts(nic, "slaves"),
                )
            )
    return found


def _carried(capabilities: Document) -> dict[str, tuple[str, Document]]:
    """The network on each interface, by the interface's name."""
    found: dict[str, tuple[str, Document]] = {}
    for name, network in tables(capabilities, "networks").items():
        below = text(network, "southbound") or next(iter(texts(network, "ports")), "") or text(network, "iface")
        if below:
            found[below] = (name, network)
    return found


def _boot_protocol(nic: Document) -> str:
    if flag(nic, "dhcpv4"):
        return "dhcp"
    return "static" if text(nic, "addr") else "none"


def _figures(name: str, nic: Document) -> NicFigures:
    return NicFigures(
        name=name,
        received_bytes=whole(nic, "rx"),
        sent_bytes=whole(nic, "tx"),
        receive_errors=whole(nic, "rxErrors"),
        send_errors=whole(nic, "txErrors"),
        receive_drops=whole(nic, "rxDropped"),
        send_drops=whole(nic, "txDropped"),
    )


def _package(capabilities: Document, name: str) -> str:
    package = table(table(capabilities, "packages2"), name)
    return "-".join(part for part in (text(package, "version"), text(package, "release")) if part)


def _agent(capabilities: Document) -> Version | None:
    version = text(capabilities, "software_version")
    numbers = [int(part) for part in version.split(".") if part.isdecimal()]
    if len(numbers) < 2:
        return None
    name = "covirt-host" if text(capabilities, "version_name") == "covirt" else "vdsm"
    revision = text(capabilities, "software_revision")
    return Version(
        major=numbers[0],
        minor=numbers[1],
        build=numbers[2] if len(numbers) > 2 else 0,
        revision=0,
        full_version=f"{name}-{version}-{revision}" if revision else f"{name}-{version}",
    )


def _hardware(hardware: Document) -> HostHardware:
    return HostHardware(
        manufacturer=text(hardware, "systemManufacturer"),
        product_name=text(hardware, "systemProductName"),
        version=text(hardware, "systemVersion"),
        serial_number=text(hardware, "systemSerialNumber"),
        family=text(hardware, "systemFamily"),
        uuid=text(hardware, "systemUUID"),
    )


def _runtimes(capabilities: Document) -> Iterator[str]:
    """The usable ones, the default first."""
    runtimes = tables(capabilities, "containerRuntimes")
    usable = [name for name, runtime in runtimes.items() if flag(runtime, "usable")]
    yield from sorted(usable, key=lambda name: (not flag(runtimes[name], "default"), name))


def _architecture(machines: tuple[str, ...], cpu_flags: str) -> Architecture:
    for prefix, architecture in _MACHINES:
        if any(name == prefix or name.startswith(f"{prefix}-") for name in machines):
            return architecture
    # A host without QEMU: only these processors have this flag.
    return Architecture.X86_64 if "lm" in cpu_flags.split(",") else Architecture.UNDEFINED
