# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What hosts answer engines, shaped as Vdsm's own answers are: numbers that are texts and numbers that are not.

tests/system/engine compares the keys with a real covirt-host's.
"""

from typing import Any

from covirt.rpc.jsonrpc import Json

Words = dict[str, Json]


def capabilities(**changes: Json) -> Words:
    """Of a host with a NIC, the management network on it, and containers."""
    return {
        "version_name": "covirt",
        "software_version": "4.50",
        "software_revision": "1",
        "clusterLevels": ["4.6", "4.7", "4.8"],
        "supportedENGINEs": ["4.5"],
        "cpuCores": "8",
        "cpuSockets": "2",
        "cpuThreads": "16",
        "cpuSpeed": "2596.098",
        "cpuModel": "AMD EPYC",
        "cpuFlags": "fpu,lm,svm",
        "memSize": "24105",
        "reservedMem": "321",
        "guestOverhead": "65",
        "kvmEnabled": "true",
        "emulatedMachines": ["pc-q35-7.2", "pc-i440fx-7.2"],
        "operatingSystem": {"name": "Debian", "pretty_name": "Debian 12", "release": "", "version": "12.11"},
        "packages2": {
            "kernel": {"release": "1", "version": "6.1"},
            "libvirt": {"release": "4", "version": "9.0.0"},
        },
        "selinux": {"mode": "-1"},
        "boot_uuid": "5c5a3a0e-28f0-4d4c-8a30-a9f4d9a7c0de",
        "containers": True,
        "containerRuntimes": {
            "crun": {"version": "1.8", "usable": True, "default": True, "reason": ""},
            "runc": {"version": "1.1", "usable": True, "default": False, "reason": ""},
            "kata": {"version": "", "usable": False, "default": False, "reason": "it is not installed"},
        },
        "additionalFeatures": ["CONTAINERS"],
        "nics": {"eth0": {"hwaddr": "52:54:00:00:00:01", "mtu": 1500, "speed": 1000, "addr": "", "netmask": ""}},
        "bondings": {},
        "vlans": {},
        "bridges": {"ovirtmgmt": {"ports": ["eth0"], "addr": "192.0.2.11"}},
        "networks": {
            "ovirtmgmt": {
                "addr": "192.0.2.11",
                "netmask": "255.255.255.0",
                "gateway": "192.0.2.1",
                "bridged": True,
                "dhcpv4": False,
                "iface": "ovirtmgmt",
                "ports": ["eth0"],
                "southbound": "eth0",
            }
        },
        **changes,
    }


def hardware_info() -> Words:
    return {"systemManufacturer": "Range", "systemProductName": "Cooker", "systemUUID": "1-2-3"}


def statistics(**changes: Json) -> Words:
    return {
        "cpuUser": "12.50",
        "cpuSys": "2.50",
        "cpuIdle": "85.00",
        "cpuLoad": "1.24",
        "memFree": 20480,
        "memUsed": "15",
        "memShared": 0,
        "swapTotal": 1024,
        "swapFree": 1000,
        "bootTime": "1795333965",
        "vmCount": 0,
        "vmActive": 0,
        "network": {
            "eth0": {"name": "eth0", "state": "up", "rx": "806997125", "tx": "2398876", "rxErrors": "1",
                     "txErrors": "0", "rxDropped": "2", "txDropped": "0"},
        },
        **changes,
    }  # fmt: skip


def vm_stats(vm_id: str, status: str = "Up", **changes: Any) -> Words:
    """Of a guest of two processors that runs for a minute."""
    return {
        "vmId": vm_id,
        "vmName": "soup",
        "status": status,
        "statusTime": "2149736933",
        "elapsedTime": "60",
        "monitorResponse": "0",
        "pauseCode": "NOERR",
        "cpuUser": "50.00",
        "cpuSys": "1.00",
        "vcpuCount": "2",
        "memUsage": "25",
        "balloonInfo": {"balloon_cur": "65536", "balloon_max": "65536", "balloon_min": "0"},
        "guestFQDN": "soup.example.com",
        "guestIPs": "192.0.2.77",
        "guestOsInfo": {"distribution": "Stove OS", "version": "3", "kernel": "6.1.0"},
        "netIfaces": [{"name": "eth0", "hw": "56:6f:00:00:00:01", "inet": ["192.0.2.77"], "inet6": ["fe80::1"]}],
        "displayInfo": [{"type": "vnc", "port": "5900", "tlsPort": "-1", "ipAddress": "0"}],
        **changes,
    }


def down_stats(vm_id: str, *, code: int = 0, reason: int = 7, message: str = "User shut down") -> Words:
    return {"vmId": vm_id, "status": "Down", "exitCode": code, "exitReason": reason, "exitMessage": message}
