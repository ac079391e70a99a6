# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Domain configurations of every shape, for property tests."""

from typing import Any

from hypothesis import strategies as st

from covirt.virtocid.driver.domain_xml import model
from covirt.virtocid.driver.domain_xml.kept import Kept
from covirt.virtocid.driver.domain_xml.model_health import (
    CommandCheck,
    HealthSettings,
    HttpCheck,
    NoCheck,
    OnUnhealthy,
    TcpCheck,
)
from covirt.virtocid.driver.domain_xml.model_restart import RestartPolicy, RestartSettings
from covirt.virtocid.driver.domain_xml.model_secrets import GivenSecret
from covirt.virtocid.driver.domain_xml.parse_settings import CAPABILITIES
from covirt.virtocid.driver.domain_xml.parse_tuning import NUMA_MODES

_XML_CHARACTERS = st.characters(
    blacklist_categories=("Cs", "Cc", "Cn"), blacklist_characters="\ufffe\uffff", whitelist_characters="\t\n\r"
)
TEXTS = st.text(_XML_CHARACTERS, max_size=30)
WORDS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,12}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z0-9äßЖ_-]([A-Za-z0-9äßЖ_. -]{0,20}[A-Za-z0-9])?", fullmatch=True)
_PATH_PARTS = st.from_regex(r"[a-z0-9 ü&<'\"_-]{1,8}", fullmatch=True)
PATHS = st.lists(_PATH_PARTS, max_size=4).map(lambda parts: "/" + "/".join(parts))
_INNER_PATHS = PATHS.filter(lambda path: path != "/")  # an image there would be another one than the settings'
SIZES = st.integers(0, 2**52)
CPUSETS = st.sampled_from(["0", "0-3", "0-7,^2,9", "1,3,5"])


def _optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _tuples(strategy: st.SearchStrategy[Any], size: int = 3, by: Any = None) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=size, unique_by=by).map(tuple)


def _macs(first: int) -> str:
    return "52:54:00:" + ":".join(f"{(first >> shift) & 255:02x}" for shift in (16, 8, 0))


MACS = st.integers(0, 2**24 - 1).map(_macs)
KEPT = st.builds(
    Kept,
    attributes=st.sampled_from([(), (("later", "1"),), (("other", "a<b"), ("zeta", "2"))]),
    elements=_tuples(
        st.sampled_from(
            [
                "<unheard/>",
                '<of xmlns="urn:x">text</of>',
                '<words><more a="1"/>mixed<more/></words>',
                "<unheard>again</unheard>",
            ]
        )
    ),
    children=st.just(()),
)


@st.composite
def secrets(draw: st.DrawFn) -> GivenSecret:
    named: dict[str, Any] = {"usage": draw(WORDS)} if draw(st.booleans()) else {"uuid": draw(st.uuids(version=4))}
    if draw(st.booleans()):
        return GivenSecret(environment=f"SECRET_{draw(WORDS)}", **named)
    ids = st.integers(0, 2**32 - 2)
    mode = draw(st.integers(0, 0o777))
    return GivenSecret(path=f"/run/secrets/{draw(WORDS)}", mode=mode, uid=draw(ids), gid=draw(ids), **named)


@st.composite
def addresses(draw: st.DrawFn) -> model.InterfaceAddress:
    if draw(st.booleans()):
        address = draw(st.ip_addresses(v=4, network="10.0.0.0/8").map(str))
        return model.InterfaceAddress(
            family=model.Family.IPV4,
            address=address,
            prefix=draw(_optional(st.integers(0, 32))),
            peer=draw(_optional(st.ip_addresses(v=4).map(str))),
        )
    address = draw(st.ip_addresses(v=6, network="2001:db8::/32").map(str))
    return model.InterfaceAddress(
        family=model.Family.IPV6, address=address, prefix=draw(_optional(st.integers(0, 128)))
    )


@st.composite
def routes(draw: st.DrawFn) -> model.Route:
    family = draw(st.sampled_from(model.Family))
    any_address = st.ip_addresses(v=4) if family is model.Family.IPV4 else st.ip_addresses(v=6)
    return model.Route(
        family=family,
        address=draw(any_address.map(str)),
        gateway=draw(any_address.map(str)),
        prefix=draw(_optional(st.integers(0, 32))),
        metric=draw(_optional(st.integers(1, 2**32 - 1))),
    )


INTERFACES = st.builds(
    model.Interface,
    type=st.sampled_from(model.InterfaceType),
    source=st.sampled_from(["br0", "ovirtmgmt", "virbr0"]),
    mac=_optional(MACS),
    target=_optional(st.from_regex(r"[a-z]{1,8}[0-9]{1,7}", fullmatch=True)),
    model=_optional(WORDS),
    addresses=_tuples(addresses()),
    routes=_tuples(routes()),
    link_up=st.booleans(),
    guest_name=_optional(st.from_regex(r"[a-z]{1,8}[0-9]{1,7}", fullmatch=True)),
    mtu=_optional(st.integers(68, 65535)),
    filter_off=st.booleans(),
    alias=_optional(WORDS.map("ua-{}".format)),
    kept=KEPT,
)
DISK_MOUNTS = st.builds(
    model.DiskMount, target=_INNER_PATHS, subpath=_optional(st.sampled_from(["shop", "a b/c", "x/y/z"]))
)
DISKS = st.builds(
    model.Disk,
    device=st.just(model.DiskDevice.DISK),
    type=st.sampled_from(["file", "block"]).map(model.DiskType),
    source=PATHS,
    target=WORDS,
    bus=_optional(WORDS),
    format=st.sampled_from([None, "raw"]),
    readonly=st.booleans(),
    shareable=st.booleans(),
    io_tune=st.builds(
        model.DiskIoTune,
        total_bytes=_optional(st.integers(1, 2**40)),
        read_operations=_optional(st.integers(1, 2**40)),
        write_operations=_optional(st.integers(1, 2**40)),
    ),
    mount=_optional(DISK_MOUNTS),
    alias=_optional(WORDS.map("ua-{}".format)),
    kept=KEPT,
)
FILESYSTEMS = (
    st.builds(
        model.Filesystem,
        type=st.sampled_from(["mount", "bind", "file", "block"]).map(model.FilesystemType),
        source=PATHS,
        target=_INNER_PATHS,
        readonly=st.booleans(),
        alias=_optional(WORDS.map("ua-{}".format)),
        kept=KEPT,
    )
    | st.builds(
        model.Filesystem,
        type=st.just(model.FilesystemType.MOUNT),
        source=PATHS,
        target=_INNER_PATHS,
        access=_optional(st.sampled_from(model.AccessMode)),
    )
    | st.builds(
        model.Filesystem,
        type=st.just(model.FilesystemType.RAM),
        source=st.none(),
        target=_INNER_PATHS,
        readonly=st.booleans(),
        size_bytes=SIZES,
    )
)
CONSOLES = st.builds(
    model.Console,
    target_type=st.sampled_from(["lxc", "virtio", "serial"]),
    target_port=st.integers(0, 9),
    alias=_optional(WORDS.map("ua-{}".format)),
    kept=KEPT,
)
LIMITS = st.builds(
    lambda name, numbers: model.ResourceLimit(name=f"RLIMIT_{name}", soft=min(numbers), hard=max(numbers)),
    st.sampled_from(["NOFILE", "NPROC", "CORE", "MEMLOCK"]),
    st.tuples(*[st.integers(0, 2**63 - 1) | st.just(model.UNLIMITED)] * 2),
)
RESTARTS = st.builds(
    RestartSettings,
    policy=st.sampled_from(RestartPolicy),
    delay_seconds=st.integers(100, 60_000).map(lambda value: value / 1000),
    max_delay_seconds=st.integers(60, 86_400).map(float),
    attempts=_optional(st.integers(1, 1000)),
    reset_after_seconds=st.integers(0, 86_400_000).map(lambda value: value / 1000),
)
PORTS = st.integers(1, 65535)
ADDRESSES = st.ip_addresses().map(str)
CHECKS = (
    st.builds(CommandCheck, arguments=st.lists(TEXTS.filter(str.strip), min_size=1, max_size=3).map(tuple))
    | st.builds(CommandCheck, arguments=st.tuples(TEXTS.filter(str.strip)), in_shell=st.just(True))
    | st.builds(
        HttpCheck,
        port=PORTS,
        path=st.sampled_from(["/", "/health?full=1"]),
        host=st.sampled_from(["localhost", "shop.example.org:80"]),
        address=ADDRESSES,
        status=st.tuples(st.integers(100, 300), st.integers(300, 599)),
    )
    | st.builds(TcpCheck, port=PORTS, address=ADDRESSES)
    | st.builds(NoCheck)
)
MILLISECONDS = st.integers(100, 86_400_000).map(lambda value: value / 1000)
HEALTH = st.builds(
    HealthSettings,
    check=_optional(CHECKS),
    interval_seconds=_optional(MILLISECONDS),
    timeout_seconds=_optional(MILLISECONDS),
    start_period_seconds=_optional(MILLISECONDS),
    start_interval_seconds=_optional(MILLISECONDS),
    retries=_optional(st.integers(1, 1000)),
    on_unhealthy=st.sampled_from(OnUnhealthy),
)
SETTINGS = st.builds(
    model.ContainerSettings,
    image=_optional(st.sampled_from(["web", "busybox-1.36", "/srv/images/web.raw"])),
    runtime=_optional(WORDS),
    hostname=st.sampled_from([None, "host-1", "host.example"]),
    stop_signal=st.sampled_from([None, "SIGTERM", "SIGRTMIN+3", "SIGRTMIN", "SIGRTMAX", "33"]),
    stop_timeout_seconds=_optional(st.integers(0, 86_400)),
    pids_limit=_optional(st.integers(1, 4_194_304)),
    reaper=st.booleans(),
    terminal=_optional(st.booleans()),
    capabilities_add=_tuples(st.sampled_from(sorted(CAPABILITIES)[:20]), by=str),
    capabilities_drop=_tuples(st.sampled_from(sorted(CAPABILITIES)[20:]), by=str),
    seccomp=st.sampled_from([None, "unconfined", "/etc/profile.json"]),
    no_new_privileges=st.booleans(),
    readonly_root=st.booleans(),
    root_layer=st.sampled_from([None, model.RootLayer.KEPT]),
    root_disk=_optional(WORDS),
    volumes=_tuples(st.builds(model.VolumeMapping, disk=WORDS, mount=DISK_MOUNTS), by=lambda item: item.disk),
    discarded_volumes=_tuples(
        st.builds(model.DiscardedVolume, target=_INNER_PATHS, size_bytes=_optional(st.integers(1, 2**50)))
    ),
    secrets=_tuples(secrets(), by=lambda each: each.path or each.environment),
    rlimits=_tuples(LIMITS, by=lambda limit: limit.name),
    sysctls=_tuples(st.sampled_from([("net.ipv4.ip_forward", "1"), ("kernel.shmmax", " 5 ")]), by=str),
    shm_size_bytes=_optional(st.integers(1, 2**50)),
    dns=st.builds(
        model.DnsSettings,
        nameservers=_tuples(st.ip_addresses().map(str)),
        search=_tuples(st.sampled_from(["example.org", "lan"])),
        options=_tuples(st.sampled_from(["ndots:2", "rotate"])),
    ),
    restart=_optional(RESTARTS),
    health=_optional(HEALTH),
    interfaces=_tuples(
        st.builds(
            model.InterfaceSettings,
            mac=_optional(MACS),
            dhcp=_optional(st.booleans()),
            gateway=_optional(st.booleans()),
        ).filter(lambda item: item.dhcp is not None or item.gateway is not None),
        by=lambda item: item.mac,
    ),
)
METADATA = _tuples(
    st.integers(0, 5).map(
        lambda number: model.MetadataElement(
            uri=f"urn:n{number}", xml=f'<n:e xmlns:n="urn:n{number}"><n:a>x</n:a> <b c="1"/> mixed</n:e>'
        )
    ),
    by=lambda element: element.uri,
)
QUOTAS = _optional(st.integers(1000, 10**9) | st.just(-1))
PERIODS = _optional(st.integers(1000, 1_000_000))
CPU_TUNES = st.builds(
    model.CpuTune,
    shares=_optional(st.integers(2, 262144)),
    period_us=PERIODS,
    quota_us=QUOTAS,
    global_period_us=PERIODS,
    global_quota_us=QUOTAS,
    vcpu_pins=_tuples(st.builds(model.VcpuPin, vcpu=st.integers(0, 9), cpuset=CPUSETS), by=lambda pin: pin.vcpu),
    emulator_pin=_optional(CPUSETS),
    kept=KEPT,
)
MEMORY_TUNES = st.builds(
    model.MemoryTune,
    hard_limit_kib=_optional(SIZES),
    soft_limit_kib=_optional(SIZES),
    swap_hard_limit_kib=_optional(SIZES),
)
BLOCK_IO = st.builds(
    model.BlockIoTune,
    weight=_optional(st.integers(10, 1000)),
    devices=_tuples(
        st.builds(
            model.BlockIoDevice,
            path=PATHS,
            weight=_optional(st.integers(10, 1000)),
            read_bytes_per_second=_optional(SIZES),
            write_operations_per_second=_optional(SIZES),
        )
    ),
)
NUMA_TUNES = st.builds(model.NumaTune, mode=_optional(st.sampled_from(NUMA_MODES)), nodeset=_optional(CPUSETS))
ID_MAPS = st.integers(1, 2**31).map(
    lambda first: model.DomainIdMap(
        uid=(model.IdRange(start=0, target=first, count=65536),),
        gid=(
            model.IdRange(start=0, target=first, count=1000),
            model.IdRange(start=1000, target=first + 70000, count=7),
        ),
    )
)
PROCESSES = st.builds(
    model.ProcessConfig,
    init=_optional(PATHS),
    arguments=_tuples(TEXTS),
    environment=_tuples(st.tuples(WORDS, TEXTS), by=lambda pair: pair[0]),
    directory=_optional(PATHS),
    user=_optional(WORDS),
    group=_optional(WORDS),
)


@st.composite
def configurations(draw: st.DrawFn) -> model.DomainConfig:
    """A configuration that is valid as a whole."""
    memory_kib, vcpus = draw(st.integers(6144, 2**40)), draw(st.integers(1, 64))
    unique: Any = {
        "filesystems": draw(_tuples(FILESYSTEMS, by=lambda item: item.target)),
        "disks": draw(_tuples(DISKS, by=lambda item: item.target)),
        "consoles": draw(_tuples(CONSOLES, by=lambda item: item.target_port)),
        "interfaces": draw(
            st.lists(
                INTERFACES,
                max_size=3,
                unique_by=(
                    lambda item: item.mac or id(item),
                    lambda item: item.target or id(item),
                    lambda item: item.guest_name or id(item),
                ),
            ).map(tuple)
        ),
    }
    return model.DomainConfig(
        name=draw(NAMES),
        uuid=draw(st.uuids().filter(lambda value: len(set(value.bytes)) > 1)),
        title=draw(_optional(st.just("A title"))),
        description=draw(_optional(TEXTS.filter(bool))),
        architecture=draw(st.sampled_from([None, "x86_64", "aarch64"])),
        memory_kib=memory_kib,
        current_memory_kib=draw(st.integers(6144, memory_kib)),
        vcpus=vcpus,
        current_vcpus=draw(st.integers(1, vcpus)),
        cpuset=draw(_optional(CPUSETS)),
        cpu_tune=draw(CPU_TUNES),
        memory_tune=draw(MEMORY_TUNES),
        block_io=draw(BLOCK_IO),
        numa_tune=draw(NUMA_TUNES),
        idmap=draw(_optional(ID_MAPS)),
        process=draw(PROCESSES),
        on_poweroff=draw(st.sampled_from(["destroy", "restart"])),
        on_crash=draw(st.sampled_from(["destroy", "restart", "preserve"])),
        metadata=draw(METADATA),
        settings=draw(SETTINGS),
        kept=draw(KEPT),
        **unique,
    )
