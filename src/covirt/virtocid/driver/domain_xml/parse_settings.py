# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read <covirt:container>. It is our own word, so nothing in it may be unknown: a typing error must not loosen."""

import re
from collections.abc import Callable
from typing import Final

from covirt.common.dialect import COVIRT_NAMESPACE
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model_settings import (
    UNCONFINED,
    UNLIMITED,
    ContainerSettings,
    DnsSettings,
    InterfaceSettings,
    ResourceLimit,
    RootLayer,
)
from covirt.virtocid.driver.domain_xml.node import Node, Value
from covirt.virtocid.driver.domain_xml.parse_health import read_health
from covirt.virtocid.driver.domain_xml.parse_restart import read_restart
from covirt.virtocid.driver.domain_xml.parse_secrets import read_secrets
from covirt.virtocid.driver.domain_xml.parse_volumes import read_volumes
from covirt.virtocid.driver.domain_xml.signals import signal_name

CONTAINER_TAG: Final = f"{{{COVIRT_NAMESPACE}}}container"

# Linux 6.12, include/uapi/linux/capability.h
_CAPABILITIES: Final = (
    "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH "
    "FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN "
    "NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT "
    "SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG "
    "WAKE_ALARM"
)
CAPABILITIES: Final = frozenset(f"CAP_{name}" for name in _CAPABILITIES.split())
_RLIMIT_NAMES: Final = (
    "AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK"
)
_RLIMITS: Final = frozenset(_RLIMIT_NAMES.split())
# Sysctls that belong to a namespace the container has of its own; any other would change the host.
_SYSCTL: Final = re.compile(r"(net\.|fs\.mqueue\.)[a-z0-9_./-]+|kernel\.(shm[a-z_]+|msg[a-z_]+|sem|domainname)")


def _tag(name: str) -> str:
    return f"{{{COVIRT_NAMESPACE}}}{name}"


def read_settings(node: Node) -> ContainerSettings:
    stop_signal, stop_timeout = _stop(node)
    reaper = _attribute(node, "init", "reaper", values.yes_no)
    readonly, layer, root_disk = _root(node)
    volumes, discarded = read_volumes(node)
    added, dropped = _capabilities(node)
    settings = ContainerSettings(
        image=node.child_text(_tag("image"), values.container_image),
        runtime=node.child_text(_tag("runtime"), values.word),
        hostname=node.child_text(_tag("hostname"), values.host_name),
        stop_signal=stop_signal,
        stop_timeout_seconds=stop_timeout,
        pids_limit=_attribute(node, "processes", "limit", values.integer(1, 4_194_304)),
        reaper=bool(reaper),
        terminal=_attribute(node, "console", "terminal", values.yes_no),
        capabilities_add=added,
        capabilities_drop=dropped,
        seccomp=_attribute(node, "seccomp", "profile", _seccomp_profile),
        no_new_privileges=_attribute(node, "privileges", "new", values.yes_no) is not True,
        readonly_root=bool(readonly),
        root_layer=layer,
        root_disk=root_disk,
        volumes=volumes,
        discarded_volumes=discarded,
        secrets=read_secrets(node),
        rlimits=_rlimits(node),
        sysctls=_sysctls(node),
        shm_size_bytes=_shm(node),
        dns=_dns(node),
        restart=read_restart(node.child(_tag("restart"))),
        health=read_health(node.child(_tag("health"))),
        interfaces=_interfaces(node),
    )
    node.close()
    return settings


def _attribute(node: Node, tag: str, name: str, read: Callable[[str], Value]) -> Value | None:
    """The one attribute of a child that has nothing else."""
    child = node.child(_tag(tag))
    if child is None:
        return None
    value = child.required(name, read)
    child.close()
    return value


def _stop(node: Node) -> tuple[str | None, int | None]:
    child = node.child(_tag("stop"))
    if child is None:
        return None, None
    found = child.attribute("signal", signal_name), child.attribute("timeout", values.integer(0, 86_400))
    child.close()
    return found


def _root(node: Node) -> tuple[bool | None, RootLayer | None, str | None]:
    child = node.child(_tag("root"))
    if child is None:
        return None, None, None
    layer = child.attribute("layer", values.member(RootLayer))
    readonly = child.attribute("readonly", values.yes_no)
    disk = child.attribute("disk", values.word)
    child.close()
    if disk is not None and layer is RootLayer.DISCARDED:
        raise child.invalid("a root layer on a disk is kept there; leave layer='discarded' or the disk away")
    return readonly, layer, disk


def _seccomp_profile(text: str) -> str:
    return text if text == UNCONFINED else values.absolute_path(text)


def capability(text: str) -> str:
    """``net_admin`` -> ``CAP_NET_ADMIN``."""
    name = "CAP_" + text.strip().upper().removeprefix("CAP_")
    if name not in CAPABILITIES:
        raise ValueError(f"{text!r} is not a capability of Linux; write one such as NET_ADMIN")
    return name


def _capabilities(node: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
    child = node.child(_tag("capabilities"))
    if child is None:
        return (), ()
    added, dropped = _named(child, "add", capability), _named(child, "drop", capability)
    child.close()
    both = set(added) & set(dropped)
    if both:
        raise child.invalid(f"{', '.join(sorted(both))} is both added and dropped")
    return added, dropped


def _named(node: Node, tag: str, read: Callable[[str], str]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for child in node.children(_tag(tag)):
        names[child.required("name", read)] = None
        child.close()
    return tuple(names)


def _rlimits(node: Node) -> tuple[ResourceLimit, ...]:
    limits: dict[str, ResourceLimit] = {}
    for child in node.children(_tag("rlimit")):
        limit = ResourceLimit(
            name=child.required("name", _rlimit_name),
            soft=child.required("soft", _rlimit_value),
            hard=child.required("hard", _rlimit_value),
        )
        child.close()
        if limit.soft > limit.hard:
            raise child.invalid("the soft limit is above the hard limit")
        if limit.name in limits:
            raise child.invalid(f"{limit.name} is limited twice")
        limits[limit.name] = limit
    return tuple(limits.values())


def _rlimit_name(text: str) -> str:
    name = text.strip().upper().removeprefix("RLIMIT_")
    if name not in _RLIMITS:
        raise ValueError(f"{text!r} is not a resource limit; write one such as nofile")
    return f"RLIMIT_{name}"


def _rlimit_value(text: str) -> int:
    return UNLIMITED if text == "unlimited" else values.integer(0, 2**63 - 1)(text)


def _sysctls(node: Node) -> tuple[tuple[str, str], ...]:
    sysctls: dict[str, str] = {}
    for child in node.children(_tag("sysctl")):
        name, value = child.required("name", _sysctl_name), child.required("value", values.one_line)
        child.close()
        if name in sysctls:
            raise child.invalid(f"{name} is set twice")
        sysctls[name] = value
    return tuple(sysctls.items())


def _sysctl_name(text: str) -> str:
    if not _SYSCTL.fullmatch(text) or ".." in text:
        raise ValueError(
            f"{text!r} is not a sysctl of a container's own (net.*, fs.mqueue.*, kernel.shm*, msg*, sem)"
        )
    return text


def _shm(node: Node) -> int | None:
    child = node.child(_tag("shm"))
    if child is None:
        return None
    size_bytes = child.scaled(values.scaled_bytes, unit="bytes")
    child.close()
    if size_bytes == 0:
        raise child.invalid("a size of 0 would be no limit at all; leave the element away for the default")
    return size_bytes


def _dns(node: Node) -> DnsSettings:
    child = node.child(_tag("dns"))
    if child is None:
        return DnsSettings()
    dns = DnsSettings(
        nameservers=tuple(_single(item, "address", values.ip_address) for item in child.children(_tag("nameserver"))),
        search=tuple(_single(item, "domain", values.host_name) for item in child.children(_tag("search"))),
        options=tuple(_single(item, "name", _resolver_option) for item in child.children(_tag("option"))),
    )
    child.close()
    return dns


def _interfaces(node: Node) -> tuple[InterfaceSettings, ...]:
    found: dict[str | None, InterfaceSettings] = {}
    for child in node.children(_tag("interface")):
        item = InterfaceSettings(
            mac=child.attribute("mac", values.mac_address),
            dhcp=child.attribute("dhcp", values.yes_no),
            gateway=child.attribute("gateway", values.yes_no),
        )
        child.close()
        if item.dhcp is None and item.gateway is None:
            raise child.invalid("it says nothing; give dhcp='yes' or 'no', or gateway='no'")
        if item.mac in found:
            raise child.invalid(f"the interface {item.mac or 'without a mac'} is there twice")
        found[item.mac] = item
    return tuple(found.values())


def _single(node: Node, name: str, read: Callable[[str], str]) -> str:
    value = node.required(name, read)
    node.close()
    return value


def _resolver_option(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+(:[0-9]+)?", text):
        raise ValueError(f"{text!r} is not an option of resolv.conf such as ndots:2")
    return text
