# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What stock clients write for machines that are not containers: kept, without effect, and not worth a log line.

By the tag of the element they stand in; attributes begin with ``@``. What would have limited or widened something
(``bandwidth``, ``hostdev``, bursts in ``iotune``) is left out on purpose, so that it is reported as unknown.
"""

from typing import Final

_DEVICE: Final = {"address", "acpi", "boot", "rom"}

HARMLESS: Final[dict[str, frozenset[str]]] = {
    "domain": frozenset(
        {
            "bootloader",
            "bootloader_args",
            "clock",
            "cpu",
            "defaultiothread",
            "genid",
            "iothreadids",
            "iothreads",
            "maxMemory",
            "memoryBacking",
            "on_lockfailure",
            "perf",
            "pm",
            "resource",
            "seclabel",
            "sysinfo",
            "vcpus",
        }
    ),
    "features": frozenset(
        {"acpi", "apic", "gic", "hap", "hyperv", "kvm", "pae", "pmu", "privnet", "pvspinlock", "smm", "vmport"}
    ),
    "os": frozenset(
        {"bios", "boot", "bootmenu", "cmdline", "firmware", "initrd", "kernel", "loader", "nvram", "smbios"}
    ),
    "type": frozenset({"@machine"}),
    "memory": frozenset({"@dumpCore", "@placement"}),
    "numatune": frozenset({"memnode"}),
    "cputune": frozenset({"iothread_period", "iothread_quota", "iothreadpin", "iothreadsched"}),
    "devices": frozenset(
        {
            "audio",
            "channel",
            "controller",
            "crypto",
            "emulator",
            "graphics",
            "hub",
            "input",
            "iommu",
            "memballoon",
            "panic",
            "parallel",
            "pstore",
            "rng",
            "serial",
            "smartcard",
            "sound",
            "tpm",
            "video",
            "vsock",
            "watchdog",
        }
    ),
    "disk": frozenset(
        {
            *_DEVICE,
            "@model",
            "@rawio",
            "@sgio",
            "@snapshot",
            "backingStore",
            "blockio",
            "geometry",
            "mirror",
            "product",
            "serial",
            "vendor",
            "wwn",
        }
    ),
    "interface": frozenset({*_DEVICE, "backend", "coalesce", "driver", "filterref", "tune"}),
    "filesystem": frozenset(
        {*_DEVICE, "@accessmode", "@dmode", "@fmode", "@model", "@multidevs", "binary", "driver"}
    ),
    "console": frozenset({*_DEVICE, "protocol"}),
    "driver": frozenset(
        {
            "@cache",
            "@copy_on_read",
            "@detect_zeroes",
            "@discard",
            "@discard_no_unref",
            "@error_policy",
            "@event_idx",
            "@io",
            "@ioeventfd",
            "@iommu",
            "@iothread",
            "@name",
            "@packed",
            "@queue_size",
            "@queues",
            "@rerror_policy",
        }
    ),
    "source": frozenset({"@index", "@portgroup", "@startupPolicy", "address", "privateData", "seclabel"}),
    "target": frozenset({"@managed", "@removable", "@rotation_rate", "@tray"}),
    "mac": frozenset({"@check", "@type"}),
}
