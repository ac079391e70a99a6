# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What every engine has from its first start: small tables with oVirt's words, and its ids where they are known."""

import base64
import struct
import uuid
import zlib
from collections.abc import Mapping
from typing import Final

from covirt.engine.model.catalogue import Icon, OperatingSystem, SchedulingPolicy, SystemOption
from covirt.engine.model.cluster import Architecture, ClusterFeature, ClusterLevel, CpuType
from covirt.engine.model.network import NetworkFilter

_OURS: Final = uuid.UUID("6a1ba1c2-5bb4-4c83-9f3e-0d8a4b0f1a77")  # the space of the ids that we give away here

LEVELS: Final = ("4.7", "4.8")
CONTAINERS: Final = "containers"


def made_id(*words: str) -> str:
    """The same id for the same words in every installation."""
    return str(uuid.uuid5(_OURS, "/".join(words)))


CLUSTER_FEATURES: Final = tuple(
    ClusterFeature(
        id=made_id("feature", CONTAINERS, level),
        name=CONTAINERS,
        description="Containers beside virtual machines: hosts without a container runtime become NonOperational.",
        level=level,
    )
    for level in LEVELS
)

_CPU_NAMES: Final = (
    "Intel Nehalem Family",
    "Secure Intel Nehalem Family",
    "Intel Westmere Family",
    "Secure Intel Westmere Family",
    "Intel SandyBridge Family",
    "Secure Intel SandyBridge Family",
    "Intel IvyBridge Family",
    "Secure Intel IvyBridge Family",
    "Intel Haswell Family",
    "Secure Intel Haswell Family",
    "Intel Broadwell Family",
    "Secure Intel Broadwell Family",
    "Intel Skylake Client Family",
    "Secure Intel Skylake Client Family",
    "Intel Skylake Server Family",
    "Secure Intel Skylake Server Family",
    "Intel Cascadelake Server Family",
    "Secure Intel Cascadelake Server Family",
    "Intel Icelake Server Family",
    "Secure Intel Icelake Server Family",
    "AMD Opteron G4",
    "AMD Opteron G5",
    "AMD EPYC",
    "Secure AMD EPYC",
)
CLUSTER_LEVELS: Final = tuple(
    ClusterLevel(
        id=level,
        cpu_types=tuple(
            CpuType(name=name, level=number, architecture=Architecture.X86_64)
            for number, name in enumerate(_CPU_NAMES, start=2)
        ),
        feature_ids=tuple(feature.id for feature in CLUSTER_FEATURES if feature.level == level),
    )
    for level in LEVELS
)

# The default comes first; the ids are oVirt's.
SCHEDULING_POLICIES: Final = tuple(
    SchedulingPolicy(
        id=policy_id, name=name, description=description, properties=properties, default_policy=name == "none"
    )
    for policy_id, name, description, properties in (
        ("b4ed2332-a7ac-4d5f-9596-99a439cb2812", "none", "", ()),
        (
            "20d25257-b4bd-4589-92a6-c4c5c5d3fd1a",
            "evenly_distributed",
            "Hosts are used as evenly as their processors and memory allow.",
            (("HighUtilization", "80"), ("CpuOverCommitDurationMinutes", "2")),
        ),
        (
            "8d5d7bec-68de-4a67-b53e-0ac54686d579",
            "vm_evenly_distributed",
            "Hosts have as many guests as each other.",
            (("HighVmCount", "10"), ("MigrationThreshold", "5"), ("SpmVmGrace", "5")),
        ),
        (
            "5a2b0939-7d46-4b73-a469-e9c2c7fc6a53",
            "power_saving",
            "Guests run on few hosts.",
            (("HighUtilization", "80"), ("LowUtilization", "20"), ("CpuOverCommitDurationMinutes", "2")),
        ),
        (
            "7677771e-5eab-422e-83fa-dc04080d21b7",
            "cluster_maintenance",
            "Nothing starts but what is highly available.",
            (),
        ),
    )
)

NETWORK_FILTERS: Final = tuple(
    NetworkFilter(id=made_id("network filter", name), name=name)
    for name in (
        "vdsm-no-mac-spoofing",
        "allow-arp",
        "allow-dhcp",
        "allow-dhcp-server",
        "allow-incoming-ipv4",
        "allow-ipv4",
        "clean-traffic",
        "clean-traffic-gateway",
        "no-arp-ip-spoofing",
        "no-arp-mac-spoofing",
        "no-arp-spoofing",
        "no-ip-multicast",
        "no-ip-spoofing",
        "no-mac-broadcast",
        "no-mac-spoofing",
        "no-other-l2-traffic",
        "no-other-rarp-traffic",
        "qemu-announce-self",
        "qemu-announce-self-rarp",
    )
)

_SYSTEMS: Final[Mapping[int, tuple[str, str]]] = {
    0: ("other", "Other OS"),
    5: ("other_linux", "Linux"),
    35: ("other_linux_kernel_4", "Other Linux (kernel 4.x)"),
    36: ("other_linux_kernel_5", "Other Linux (kernel 5.x)"),
    18: ("rhel_6x64", "Red Hat Enterprise Linux 6.x x64"),
    24: ("rhel_7x64", "Red Hat Enterprise Linux 7.x x64"),
    30: ("rhel_8x64", "Red Hat Enterprise Linux 8.x x64"),
    37: ("rhel_9x64", "Red Hat Enterprise Linux 9.x x64"),
    38: ("rhel_10x64", "Red Hat Enterprise Linux 10.x x64"),
    33: ("rhcos_x64", "Red Hat Enterprise Linux CoreOS"),
    1193: ("sles_11", "SUSE Linux Enterprise Server 11+"),
    1252: ("ubuntu_14_04", "Ubuntu Trusty Tahr LTS+"),
    1256: ("ubuntu_18_04", "Ubuntu Bionic Beaver LTS+"),
    1300: ("debian_7", "Debian 7+"),
    1301: ("debian_9", "Debian 9+"),
    1500: ("freebsd", "FreeBSD 9.2"),
    1501: ("freebsdx64", "FreeBSD 9.2 x64"),
    27: ("windows_10x64", "Windows 10 x64"),
    34: ("windows_11", "Windows 11"),
    29: ("windows_2016x64", "Windows 2016 x64"),
    31: ("windows_2019x64", "Windows 2019 x64"),
    32: ("windows_2022", "Windows 2022"),
}


def _picture(width: int, height: int) -> str:
    """A PNG with a box in a box, in base64: what stands for a machine that brings no icon of its own."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            inner = width // 4 <= x < width * 3 // 4 and height // 4 <= y < height * 3 // 4
            rows += b"\xff\xff\xff" if inner else b"\x2b\x58\x9a"
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


SMALL_ICON: Final = Icon(id=made_id("icon", "small"), media_type="image/png", data=_picture(48, 32))
LARGE_ICON: Final = Icon(id=made_id("icon", "large"), media_type="image/png", data=_picture(150, 120))
ICONS: Final = (SMALL_ICON, LARGE_ICON)

OPERATING_SYSTEMS: Final = tuple(
    OperatingSystem(
        id=str(uuid.UUID(int=number)),
        name=name,
        description=description,
        small_icon_id=SMALL_ICON.id,
        large_icon_id=LARGE_ICON.id,
        tpm_support="unsupported" if name.startswith(("rhel_6", "sles", "freebsd")) else "supported",
    )
    for number, (name, description) in _SYSTEMS.items()
)

_IMAGE: Final = r"[a-z0-9][a-zA-Z0-9._:/@+-]{0,511}"
_PREDEFINED: Final = (
    "sap_agent=^(true|false)$;sndbuf=^[0-9]+$;vhost=^(([a-zA-Z0-9_]*):(true|false))(,(([a-zA-Z0-9_]*):(true|false)))*$;"
    "viodiskcache=^(none|writeback|writethrough)$;hugepages=^(1048576|2048)$;"
    # what makes a machine a container; its values are checked again, in full, when one is made and when it starts
    r"containerType=^[a-z][a-z0-9_-]{0,31}$;"
    rf"containerImage=^{_IMAGE}$;"
    r"volumeMap=^.{1,4096}$;"
    r"containerCommand=^.{1,4096}$;"
    r"containerEnvironment=^.{1,4096}$;"
    r"containerRestart=^(never|on-failure|always)$;"
    r"containerRootDisk=^.{1,255}$;"
    r"containerSecrets=^.{1,4096}$"
)


def _same(name: str, value: str) -> SystemOption:
    """An option with the same value for every level."""
    return SystemOption(name=name, values=tuple((value, level) for level in LEVELS))


def _general(name: str, value: str) -> SystemOption:
    return SystemOption(name=name, values=((value, "general"),))


SYSTEM_OPTIONS: Final = (
    _same("PredefinedVMProperties", _PREDEFINED),
    _same("UserDefinedVMProperties", ""),
    _same("CustomDeviceProperties", ""),
    _same("MaxNumOfVmCpus", "710"),
    _same("MaxNumOfVmSockets", "16"),
    _same("MaxNumOfCpuPerSocket", "254"),
    _same("MaxNumOfThreadsPerCpu", "8"),
    _same("VM64BitMaxMemorySizeInMB", "4194304"),
    _general("VmPriorityMaxValue", "100"),
    _general("DefaultGeneralTimeZone", "Etc/GMT"),
    _general("DefaultWindowsTimeZone", "GMT Standard Time"),
    _general("UserSessionTimeOutInterval", "30"),
)
