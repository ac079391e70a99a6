# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like to be added or changed: sizes, custom properties, and what containers need."""

from collections.abc import Sequence
from typing import Final

from covirt.engine.commands.vms.errors import BadSize
from covirt.engine.model.catalogue import SystemOption
from covirt.engine.model.cluster import Cluster
from covirt.engine.model.hardware import Hardware, VmKind
from covirt.engine.store.query import ListQuery
from covirt.engine.store.seed_data import CONTAINERS
from covirt.engine.store.session import Session
from covirt.engine.vms.container_settings import Property, container_settings, is_container, stray_properties
from covirt.engine.vms.custom_properties import OPTIONS, check_properties, known_properties
from covirt.engine.vms.errors import BadContainer, ContainersAreOff, NoSuchRuntime, NotForThisKind

NO_CLOUD_INIT: Final = "it has no cloud-init; give it containerEnvironment, or secrets"
_MIB: Final = 1 << 20
_LIMITS: Final = {
    "MaxNumOfVmCpus": 710,
    "MaxNumOfVmSockets": 16,
    "MaxNumOfCpuPerSocket": 254,
    "MaxNumOfThreadsPerCpu": 8,
    "VM64BitMaxMemorySizeInMB": 4194304,
}


def kind_of(hardware: Hardware) -> VmKind:
    """Of a new machine."""
    return VmKind.CONTAINER if is_container(hardware.custom_properties) else VmKind.VIRTUAL_MACHINE


def check_hardware(session: Session, hardware: Hardware, cluster: Cluster, kind: VmKind, *, action: str) -> None:
    """Raises BadSize, what custom properties are refused with, and of a container ContainersAreOff, NoSuchRuntime and
    NotForThisKind."""
    level = str(cluster.version)
    _check_sizes(session, hardware, level, action)
    options = [option for name in OPTIONS if (option := session.system_options.find(name=name))]
    check_properties(hardware.custom_properties, known_properties(options, level=level), action=action)
    if kind is VmKind.CONTAINER:
        _check_container(session, hardware, cluster, action)
    elif stray := stray_properties(hardware.custom_properties):
        reason = f"it says nothing to a virtual machine; a container has {Property.TYPE}, too"
        raise BadContainer(action=action, property=stray[0], reason=reason)


def _check_container(session: Session, hardware: Hardware, cluster: Cluster, action: str) -> None:
    for given, what in (
        (hardware.initialization, NO_CLOUD_INIT),
        (hardware.kernel or hardware.initrd or hardware.kernel_command_line, "it has the kernel of its host"),
        (hardware.tpm, "it has no TPM"),
        (hardware.soundcard, "it has no sound card"),
    ):
        if given:
            raise NotForThisKind(action=action, name="It", kind="container", reason=what)
    settings = container_settings(hardware.custom_properties, action=action)
    require_containers(session, cluster, action=action)
    if settings.runtime is None:
        return
    hosts = session.hosts.list(ListQuery(where={"cluster_id": cluster.id}))
    known = sorted({runtime for host in hosts for runtime in host.facts.container_runtimes})
    if settings.runtime not in known:
        told = ", ".join(known) or "none"
        raise NoSuchRuntime(action=action, runtime=settings.runtime, cluster=cluster.name, known=told)


def require_containers(session: Session, cluster: Cluster, *, action: str) -> None:
    """Raises ContainersAreOff."""
    features = session.cluster_features.by_ids(cluster.features)
    if not any(feature.name == CONTAINERS for feature in features.values()):
        raise ContainersAreOff(action=action, cluster=cluster.name)


def _check_sizes(session: Session, hardware: Hardware, level: str, action: str) -> None:
    limits = {
        name: _limit(session.system_options.find(name=name), level, default) for name, default in _LIMITS.items()
    }
    cpu = hardware.cpu
    memory, guaranteed = hardware.memory_bytes // _MIB, hardware.memory_guaranteed_bytes // _MIB
    largest = hardware.memory_max_bytes // _MIB
    complaints: Sequence[tuple[bool, str]] = (
        (min(cpu.sockets, cpu.cores, cpu.threads) < 1, "It needs at least one CPU socket, core and thread."),
        (cpu.total > limits["MaxNumOfVmCpus"], "Maximum number of CPUs exceeded."),
        (cpu.sockets > limits["MaxNumOfVmSockets"], "Maximum number of sockets exceeded."),
        (cpu.cores > limits["MaxNumOfCpuPerSocket"], "Maximum number of CPUs per socket exceeded."),
        (cpu.threads > limits["MaxNumOfThreadsPerCpu"], "Maximum number of threads per cpu exceeded."),
        (memory < 1, "Its memory must be 1 MB at least."),
        (
            memory > limits["VM64BitMaxMemorySizeInMB"],
            "Memory size exceeds supported limit for given cluster version.",
        ),
        (guaranteed < 0, f"Physical Memory Guaranteed cannot be negative ({guaranteed}MB)."),
        (guaranteed > memory, "Physical Memory Guaranteed cannot exceed Memory Size."),
        (memory > largest, f"Memory size ({memory}MB) cannot exceed maximum memory size ({largest}MB)."),
    )
    for wrong, reason in complaints:
        if wrong:
            raise BadSize(action=action, reason=reason)


def _limit(option: SystemOption | None, level: str, default: int) -> int:
    values = {version: value for value, version in option.values} if option else {}
    text = values.get(level, "")
    return int(text) if text.isdecimal() else default
