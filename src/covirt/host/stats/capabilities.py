# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Host.getCapabilities: what this host is. Asked rarely, and the slow parts of it once."""

import os
import platform
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Final

import psutil

from covirt import __version__
from covirt.common.errors import Error
from covirt.common.process import run
from covirt.host.services import FactSource
from covirt.host.stats.kernel_files import KernelFiles
from covirt.host.stats.processors import numa_facts, processor_facts
from covirt.hostapi.json import JsonValue

# What an engine wants to hear before it accepts a host: the Vdsm whose verbs these are.
_LIKE_VDSM: Final = "4.50"
_CLUSTER_LEVELS: Final = ("4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8")
_ENGINES: Final = ("4.2", "4.3", "4.4", "4.5")
_RESERVED_MIB: Final = "321"  # for the host itself, beside what each guest costs: Vdsm's figures
_GUEST_OVERHEAD_MIB: Final = "65"
# Debian's package or RPM's, and the name engines look for.
_PACKAGES: Final = {
    "libvirt": ("libvirt-daemon", "libvirt-daemon"),
    "qemu-kvm": ("qemu-system-x86", "qemu-kvm"),
    "spice-server": ("libspice-server1", "spice-server"),
}
_PROGRAM_SECONDS: Final = 10.0


class Capabilities:
    """Asks the kernel itself, and every other source for its share; later ones count more."""

    def __init__(
        self,
        sources: Iterable[FactSource] = (),
        *,
        files: KernelFiles | None = None,
        extensions: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._sources = tuple(sources)
        self._files = files or KernelFiles()
        self._extensions = extensions

    def answer(self) -> Mapping[str, JsonValue]:
        answer: dict[str, JsonValue] = {**self._fixed, **self._present()}
        for source in self._sources:
            answer.update(source.capabilities())
        return answer

    @cached_property
    def _fixed(self) -> Mapping[str, JsonValue]:
        """What does not change while this program runs."""
        return {
            "version_name": "covirt",
            "software_version": _LIKE_VDSM,
            "software_revision": __version__,
            "supportedENGINEs": list(_ENGINES),
            "clusterLevels": list(_CLUSTER_LEVELS),
            "vmTypes": ["kvm"],
            "kvmEnabled": "false",
            "emulatedMachines": [],
            "additionalFeatures": [],
            "containers": False,
            "covirtExtensions": sorted(self._extensions()),
            "operatingSystem": _operating_system(),
            "packages2": _packages(),
            "uuid": _hardware_id(self._files),
            "boot_uuid": self._files.text("proc/sys/kernel/random/boot_id"),
            "kernelArgs": self._files.text("proc/cmdline"),
            "realtimeKernel": "PREEMPT_RT" in platform.version(),
            "fipsEnabled": self._files.number("proc/sys/crypto/fips_enabled") == 1,
            "selinux": {"mode": self._files.text("sys/fs/selinux/enforce", "-1") or "-1"},
            "memSize": str(psutil.virtual_memory().total >> 20),
            "reservedMem": _RESERVED_MIB,
            "guestOverhead": _GUEST_OVERHEAD_MIB,
            "rngSources": ["random", *(["hwrng"] if (self._files.root / "dev/hwrng").exists() else [])],
            "tscFrequency": "",
            "tscScaling": "tsc_scale" in self._files.text("proc/cpuinfo"),
            "HBAInventory": {"FC": [], "iSCSI": []},
            "ISCSIInitiatorName": "",
            "hooks": {},
            "hostdevPassthrough": "false",
            "hostedEngineDeployed": False,
            "kdumpStatus": -1,
            "liveSnapshot": "true",
            "liveMerge": "true",
            "ovnConfigured": False,
            "vncEncrypted": False,
            "backupEnabled": False,
            "coldBackupEnabled": False,
            "zerocopy_migrations": False,
            "lastClientIface": "",
            "cd_change_pdiv": True,  # VM.changeCD takes a volume's ids, and engines need not make a path of them
        }

    def _present(self) -> Mapping[str, JsonValue]:
        return {
            **processor_facts(self._files),
            **numa_facts(self._files),
            "vdsmToCpusAffinity": sorted(os.sched_getaffinity(0)),
            "supportsIPv6": (self._files.root / "proc/net/if_inet6").exists(),
        }


def _operating_system() -> JsonValue:
    try:
        facts = platform.freedesktop_os_release()
    except OSError:
        return {"name": "unknown", "pretty_name": platform.platform(), "version": "", "release": ""}
    name = facts.get("ID", "linux")
    return {
        "name": name.capitalize(),
        "pretty_name": facts.get("PRETTY_NAME", name),
        "version": facts.get("VERSION_ID", ""),
        "release": "",
    }


def _hardware_id(files: KernelFiles) -> JsonValue:
    """The machine's own id; systemd's where its maker gave it none."""
    for path in ("sys/class/dmi/id/product_uuid", "etc/machine-id"):
        try:
            return str(uuid.UUID(files.text(path)))
        except ValueError:
            continue
    return None


def _packages() -> JsonValue:
    release, _, rest = platform.release().partition("-")
    found: dict[str, JsonValue] = {"kernel": {"version": release, "release": rest or "1"}}
    for name, (debian, rpm) in _PACKAGES.items():
        version = _version(["dpkg-query", "-W", "-f", "${Version}", debian]) or _version(
            ["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}", rpm]
        )
        if version:
            number, _, revision = (
                version.partition(":")[2].partition("-") if ":" in version else version.partition("-")
            )
            found[name] = {"version": number, "release": revision or "1"}
    return found


def _version(command: list[str]) -> str:
    try:
        return run(command, timeout_seconds=_PROGRAM_SECONDS).stdout.decode(errors="replace").strip()
    except Error:
        return ""
