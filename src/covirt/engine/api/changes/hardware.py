# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The machine that a body describes, beside what it was: everything that covirt has, and a refusal of the rest."""

from dataclasses import replace
from typing import Any, Final

from covirt.engine.api.changes.bodies import NotOffered, has, refuse_set, told, told_word
from covirt.engine.api.changes.initialization import changed_initialization
from covirt.engine.api.errors import BadValue
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, items, referred, referred_object
from covirt.engine.model.hardware import BootDevice, CpuTopology, CustomProperty, Hardware
from covirt.engine.store.session import Session
from covirt.engine.vault.vault import Vault

# What oVirt has and covirt's hosts do not: the field, and what is asked for by it.
_ABSENT: Final = {
    "cpu_pinning_policy": "pinning of CPUs",
    "custom_compatibility_version": "compatibility levels of single machines",
    "domain": "domains of directories",
    "external_host_provider": "external host providers",
    "floppies": "floppy drives",
    "host_devices": "devices of hosts in machines",
    "lease": "leases of machines",
    "mediated_devices": "mediated devices",
    "migration_downtime": "live migration",
    "payloads": "payloads",
    "quota": "quotas",
    "serial_number": "serial numbers of one's own",
    "stateless": "machines that forget their disks when they stop",
    "use_latest_template_version": "machines that follow their template",
    "virtio_scsi_multi_queues": "several queues of virtio-scsi",
    "watchdogs": "watchdogs",
}
_ABSENT_BELOW: Final = {
    "cpu.cpu_tune.vcpu_pins": "pinning of CPUs",
    "cpu.mode": "modes of CPUs",
    "display.smartcard_enabled": "smart cards",
    "high_availability.enabled": "machines that are started again elsewhere",
    "os.custom_kernel_cmdline": "parameters added to a guest's kernel",
    "rng_device.rate": "limits of random numbers",
}
_DEFAULT_WORDS: Final = {"cpu_pinning_policy": "none"}
_LARGEST: Final = 2**62


def changed_hardware(session: Session, vault: Vault, base: Hardware, body: Body) -> Hardware:
    """Raises NotOffered for what covirt has not, BadValue, NoSuchObject. ``vault``: for what is secret in it."""
    _refuse(body)
    return replace(
        base,
        **_memory(base, body),
        **_processor(base, body),
        **_software(base, body),
        **_devices(base, body),
        **_policies(session, base, body),
        **_first_settings(vault, base, body),
    )


def _first_settings(vault: Vault, base: Hardware, body: Body) -> dict[str, Any]:
    if not has(body, "initialization"):
        return {}
    return {"initialization": changed_initialization(vault, base.initialization, body["initialization"])}


def sized_like(session: Session, base: Hardware, body: Body) -> tuple[str | None, Hardware]:
    """The instance type that a body names, with the sizes that it gives. Raises NoSuchObject."""
    kind = referred(session.instance_types, body, "instance_type")
    if kind is None:
        return None, base
    sizes = kind.hardware
    return kind.id, replace(
        base,
        memory_bytes=sizes.memory_bytes,
        memory_guaranteed_bytes=sizes.memory_guaranteed_bytes,
        memory_max_bytes=sizes.memory_max_bytes,
        cpu=sizes.cpu,
    )


def _refuse(body: Body) -> None:
    asked: Body = {name: value for name, value in body.items() if value != _DEFAULT_WORDS.get(name)}
    refuse_set(asked, **_ABSENT)
    for path, what in _ABSENT_BELOW.items():
        if at(body, path):
            raise NotOffered(field=path, what=what)
    if at(body, "storage_error_resume_behaviour") not in (None, "auto_resume"):
        raise NotOffered(field="storage_error_resume_behaviour", what="other behaviour after a storage error")


def _memory(base: Hardware, body: Body) -> dict[str, Any]:
    """As with oVirt, what is not told follows the memory that is: guaranteed not above it, at most four times it."""
    memory = _number(body, "memory", base.memory_bytes)
    guaranteed = _number(body, "memory_policy.guaranteed", min(base.memory_guaranteed_bytes, memory))
    if memory != base.memory_bytes and not has(body, "memory_policy.guaranteed"):
        guaranteed = memory
    largest = _number(body, "memory_policy.max", base.memory_max_bytes)
    if not has(body, "memory_policy.max") and memory != base.memory_bytes:
        largest = 4 * memory
    return {
        "memory_bytes": memory,
        "memory_guaranteed_bytes": guaranteed,
        "memory_max_bytes": largest,
        "ballooning": told(body, "memory_policy.ballooning", base.ballooning),
    }


def _processor(base: Hardware, body: Body) -> dict[str, Any]:
    cpu = CpuTopology(
        sockets=_number(body, "cpu.topology.sockets", base.cpu.sockets),
        cores=_number(body, "cpu.topology.cores", base.cpu.cores),
        threads=_number(body, "cpu.topology.threads", base.cpu.threads),
    )
    return {
        "cpu": cpu,
        "cpu_shares": _number(body, "cpu_shares", base.cpu_shares),
        "custom_cpu_model": told(body, "custom_cpu_model", base.custom_cpu_model),
        "custom_emulated_machine": told(body, "custom_emulated_machine", base.custom_emulated_machine),
        "io_threads": _number(body, "io.threads", base.io_threads),
    }


def _software(base: Hardware, body: Body) -> dict[str, Any]:
    return {
        "os_type": told(body, "os.type", base.os_type),
        "boot_devices": boot_devices(body, "os.boot.devices", base.boot_devices),
        "kernel": told(body, "os.kernel", base.kernel),
        "initrd": told(body, "os.initrd", base.initrd),
        "kernel_command_line": told(body, "os.cmdline", base.kernel_command_line),
        "bios_type": told_word(body, "bios.type", base.bios_type),
        "boot_menu": told(body, "bios.boot_menu.enabled", base.boot_menu),
        "type": told_word(body, "type", base.type),
        "time_zone": told(body, "time_zone.name", base.time_zone),
        "custom_properties": _properties(base, body),
    }


def _devices(base: Hardware, body: Body) -> dict[str, Any]:
    flags = {
        "copy_paste": "display.copy_paste_enabled",
        "file_transfer": "display.file_transfer_enabled",
        "soundcard": "soundcard_enabled",
        "tpm": "tpm_enabled",
        "usb": "usb.enabled",
        "virtio_scsi": "virtio_scsi.enabled",
        "multi_queues": "multi_queues_enabled",
        "serial_console": "console.enabled",
    }
    return {
        **{name: told(body, path, getattr(base, name)) for name, path in flags.items()},
        "display_type": told_word(body, "display.type", base.display_type),
        "monitors": _number(body, "display.monitors", base.monitors),
        "rng_source": told(body, "rng_device.source", base.rng_source),
    }


def _policies(session: Session, base: Hardware, body: Body) -> dict[str, Any]:
    found: dict[str, Any] = {
        "priority": _number(body, "high_availability.priority", base.priority),
        "affinity": told_word(body, "placement_policy.affinity", base.affinity),
        "start_paused": told(body, "start_paused", base.start_paused),
        "delete_protected": told(body, "delete_protected", base.delete_protected),
        "placement_host_ids": placement(session, body, base.placement_host_ids),
    }
    for name in ("small_icon", "large_icon"):
        icon = referred(session.icons, body, name)
        if icon is not None:
            found[f"{name}_id"] = icon.id
    return found


def placement(session: Session, body: Body, default: tuple[str, ...]) -> tuple[str, ...]:
    """The only hosts that it may run on. Raises NoSuchObject."""
    hosts = items(body, "placement_policy.hosts")
    if hosts is None:
        return default
    return tuple(referred_object(session.hosts, host, "host").id for host in hosts)


def boot_devices(body: Body, path: str, default: tuple[BootDevice, ...]) -> tuple[BootDevice, ...]:
    words = at(body, path)
    return tuple(BootDevice(str(word)) for word in words) if isinstance(words, list) else default


def _properties(base: Hardware, body: Body) -> tuple[CustomProperty, ...]:
    """An element replaces them all, and an empty one takes them all away."""
    given = items(body, "custom_properties")
    if given is None:
        return base.custom_properties
    return tuple(CustomProperty(name=str(each.get("name", "")), value=str(each.get("value", ""))) for each in given)


def _number(body: Body, path: str, default: int) -> int:
    value = at(body, path)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise BadValue(text=str(value)[:40], kind="number", name=path, hint="")
    return value
