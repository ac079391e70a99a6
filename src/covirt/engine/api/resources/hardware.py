# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The machine that a Vm, a template, an instance type or a snapshot describes."""

from covirt.engine.api.node import Value
from covirt.engine.api.resources.values import properties, reference
from covirt.engine.model.hardware import GuestAddress, GuestNic, Hardware, Initialization


def hardware_values(hardware: Hardware) -> dict[str, Value]:
    """All of it, in oVirt's words."""
    return {**_sizes(hardware), **_software(hardware), **_devices(hardware), **_policies(hardware)}


def _sizes(hardware: Hardware) -> dict[str, Value]:
    cpu = hardware.cpu
    return {
        "memory": hardware.memory_bytes,
        "memory_policy": {
            "guaranteed": hardware.memory_guaranteed_bytes,
            "max": hardware.memory_max_bytes,
            "ballooning": hardware.ballooning,
        },
        "cpu": {
            "architecture": "x86_64",
            "topology": {"sockets": cpu.sockets, "cores": cpu.cores, "threads": cpu.threads},
        },
        "cpu_shares": hardware.cpu_shares,
        "custom_cpu_model": hardware.custom_cpu_model or None,
        "custom_emulated_machine": hardware.custom_emulated_machine or None,
        "io": {"threads": hardware.io_threads},
    }


def _software(hardware: Hardware) -> dict[str, Value]:
    return {
        "os": {
            "type": hardware.os_type,
            "boot": {"devices": [str(device) for device in hardware.boot_devices]},
            "kernel": hardware.kernel or None,
            "initrd": hardware.initrd or None,
            "cmdline": hardware.kernel_command_line or None,
        },
        "bios": {"type": str(hardware.bios_type), "boot_menu": {"enabled": hardware.boot_menu}},
        "time_zone": {"name": hardware.time_zone or "Etc/GMT"},
        "type": str(hardware.type),
        "custom_properties": properties((each.name, each.value) for each in hardware.custom_properties),
        "initialization": _initialization(hardware.initialization) if hardware.initialization else None,
        "small_icon": reference("Icon", hardware.small_icon_id),
        "large_icon": reference("Icon", hardware.large_icon_id),
    }


def _devices(hardware: Hardware) -> dict[str, Value]:
    return {
        "sso": {"methods": []},  # Ansible's module for templates looks into it
        "display": {
            "type": str(hardware.display_type),
            "monitors": hardware.monitors,
            "copy_paste_enabled": hardware.copy_paste,
            "file_transfer_enabled": hardware.file_transfer,
            "allow_override": False,
            "smartcard_enabled": False,
        },
        "console": {"enabled": hardware.serial_console},
        "soundcard_enabled": hardware.soundcard,
        "tpm_enabled": hardware.tpm,
        "usb": {"enabled": hardware.usb, "type": "native" if hardware.usb else None},
        "virtio_scsi": {"enabled": hardware.virtio_scsi},
        "multi_queues_enabled": hardware.multi_queues,
        "rng_device": {"source": hardware.rng_source} if hardware.rng_source else None,
    }


def _policies(hardware: Hardware) -> dict[str, Value]:
    hosts: list[Value] = [reference("Host", host_id) for host_id in hardware.placement_host_ids]
    return {
        "high_availability": {"enabled": hardware.high_availability, "priority": hardware.priority},
        "stateless": hardware.stateless,
        "start_paused": hardware.start_paused,
        "delete_protected": hardware.delete_protected,
        "placement_policy": {"affinity": str(hardware.affinity), "hosts": hosts or None},
    }


def _initialization(value: Initialization) -> dict[str, Value]:
    """Without the password and the script, which may hold secrets: they are written by clients only."""
    return {
        "host_name": value.host_name or None,
        "user_name": value.user_name or None,
        "authorized_ssh_keys": value.authorized_ssh_keys or None,
        "timezone": value.time_zone or None,
        "dns_servers": value.dns_servers or None,
        "dns_search": value.dns_search or None,
        "regenerate_ssh_keys": value.regenerate_ssh_keys,
        "nic_configurations": [_guest_nic(nic) for nic in value.nics] or None,
    }


def _guest_nic(nic: GuestNic) -> dict[str, Value]:
    return {
        "name": nic.name,
        "on_boot": True,
        "boot_protocol": str(nic.v4.protocol),
        "ip": _guest_address(nic.v4, "v4"),
        "ipv6_boot_protocol": str(nic.v6.protocol),
        "ipv6": _guest_address(nic.v6, "v6"),
    }


def _guest_address(value: GuestAddress, version: str) -> dict[str, Value] | None:
    if not value.address:
        return None
    return {
        "address": value.address,
        "netmask": value.netmask or None,
        "gateway": value.gateway or None,
        "version": version,
    }
