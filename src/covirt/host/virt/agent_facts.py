# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a guest's agent says, in the words of Vdsm's statistics. Nothing of it is trusted further than a text."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from covirt.hostapi.json import JsonValue

# libvirt's virIPAddrType.
_IPV4: Final = 0
_IPV6: Final = 1
_WINDOWS: Final = "mswindows"
# A guest may claim to have as many things as it likes.
_MOST_ITEMS: Final = 256
_LONGEST_TEXT: Final = 1024
_LOOPBACK: Final = ("127.", "::1")
_LINK_LOCAL: Final = ("fe80:", "169.254.")


def interface_facts(addresses: Mapping[str, Any]) -> dict[str, JsonValue]:
    """netIfaces and guestIPs, from virDomainInterfaceAddresses with the agent as source."""
    interfaces: list[JsonValue] = []
    reachable: list[str] = []
    for name, facts in list(addresses.items())[:_MOST_ITEMS]:
        found = [(item.get("type"), _text(item.get("addr"))) for item in (facts.get("addrs") or [])[:_MOST_ITEMS]]
        inet = [address for kind, address in found if kind == _IPV4 and address]
        inet6 = [address for kind, address in found if kind == _IPV6 and address]
        interfaces.append({"name": _text(name), "hw": _text(facts.get("hwaddr")), "inet": inet, "inet6": inet6})
        reachable += [one for one in (*inet, *inet6) if not one.startswith((*_LOOPBACK, *_LINK_LOCAL))]
    return {"netIfaces": interfaces, "guestIPs": " ".join(reachable)}


def guest_facts(info: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Names, operating system, users, time zone and file systems, from virDomainGetGuestInfo."""
    facts: dict[str, JsonValue] = {}
    if "hostname" in info:
        facts |= {"guestName": _text(info["hostname"]), "guestFQDN": _text(info["hostname"])}
    if "os.id" in info:
        facts |= _operating_system(info)
    if "timezone.offset" in info:
        zone = _text(info.get("timezone.name")) or "unknown"
        facts["guestTimezone"] = {"offset": _number(info["timezone.offset"]) // 60, "zone": zone}
    if "user.count" in info:
        facts["username"] = ", ".join(_users(info))
    if "fs.count" in info:
        facts["disksUsage"] = list(_file_systems(info))
    return facts


def cpu_facts(vcpus: Mapping[str, Any]) -> dict[str, JsonValue]:
    """guestCPUCount, from virDomainGetGuestVcpus; -1 is Vdsm's word for unknown."""
    online = vcpus.get("online")
    return {"guestCPUCount": _members(_text(online)) if online is not None else -1}


def _operating_system(info: Mapping[str, Any]) -> dict[str, JsonValue]:
    kernel = _text(info.get("os.kernel-release"))
    if info["os.id"] == _WINDOWS:
        name = _text(info.get("os.pretty-name") or info.get("os.name"))
        return {"guestOs": name, "guestOsInfo": {"type": "windows", "version": _text(info.get("os.version-id"))}}
    return {
        "guestOs": kernel,
        "guestOsInfo": {
            "type": "linux",
            "arch": _text(info.get("os.machine")),
            "kernel": kernel,
            "distribution": _text(info.get("os.name")),
            "version": _text(info.get("os.version-id") or info.get("os.version")),
            "codename": _text(info.get("os.variant")),
        },
        "appsList": [f"kernel-{kernel}"] if kernel else [],
    }


def _users(info: Mapping[str, Any]) -> Iterator[str]:
    for index in _indexes(info, "user.count"):
        name, domain = _text(info.get(f"user.{index}.name")), _text(info.get(f"user.{index}.domain"))
        yield f"{name}@{domain}" if domain else name


def _file_systems(info: Mapping[str, Any]) -> Iterator[JsonValue]:
    for index in _indexes(info, "fs.count"):
        total, used = info.get(f"fs.{index}.total-bytes"), info.get(f"fs.{index}.used-bytes")
        if total is None or used is None:
            continue
        yield {
            "path": _text(info.get(f"fs.{index}.mountpoint")),
            "fs": _text(info.get(f"fs.{index}.fstype")),
            "total": str(_number(total)),
            "used": str(_number(used)),
        }


def _indexes(info: Mapping[str, Any], name: str) -> range:
    return range(min(_number(info[name]), _MOST_ITEMS))


def _members(cpus: str) -> int:
    """How many numbers "0-3,6" has; -1 when it is nothing of the kind."""
    count = 0
    for part in cpus.split(",") if cpus else ():
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            return -1
        count += int(last) - int(first) + 1 if dash else 1
    return count


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(character for character in text[:_LONGEST_TEXT] if character.isprintable())
