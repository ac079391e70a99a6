# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of limits as functions from one configuration to the next. Pure: what the host allows is asked elsewhere.

Each raises BadArgument for what the configuration at hand does not allow: the running and the stored one are judged
each by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Final

from covirt.virtocid.driver.affinity import cpu_text
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model import BlockIoDevice, DiskDevice, DomainConfig, VcpuPin
from covirt.virtocid.driver.domain_xml.model_tuning import BINDING_MODES
from covirt.virtocid.driver.domain_xml.parse import MAX_VCPUS, MIN_MEMORY_KIB
from covirt.virtocid.driver.domain_xml.parse_tuning import DISK_RATES, NUMA_MODES, excluding
from covirt.virtocid.driver.errors import BadArgument, NoSuchDisk, NotSupported

Change = Callable[[DomainConfig], DomainConfig]

UNLIMITED_KIB: Final = 9007199254740991  # VIR_DOMAIN_MEMORY_PARAM_UNLIMITED
_SHARES: Final = (2, 262144)  # beyond these the kernel takes the nearest, and so do we
_PERIOD_US: Final = (1000, 1_000_000)
_QUOTA_US: Final = (1000, 17_592_186_044_415)  # as libvirt bounds it
_WEIGHT: Final = (10, 1000)
_PIDS: Final = (1, 4_194_304)
_RATE: Final = 2**63 - 1

# The parameters of blkiotune that list devices, and the field of each device that they set.
DEVICE_PARAMETERS: Final[Mapping[str, str]] = {
    "device_weight": "weight",
    "device_read_iops_sec": "read_operations_per_second",
    "device_write_iops_sec": "write_operations_per_second",
    "device_read_bytes_sec": "read_bytes_per_second",
    "device_write_bytes_sec": "write_bytes_per_second",
}


def memory(kib: int) -> Change:
    """What may be used: <currentMemory>."""

    def change(config: DomainConfig) -> DomainConfig:
        if kib > config.memory_kib:
            raise BadArgument(what=f"cannot set memory higher than max memory, which is {config.memory_kib} KiB")
        _require_enough(kib)
        return replace(config, current_memory_kib=kib)

    return change


def maximum_memory(kib: int) -> Change:
    """<memory>; what may be used is lowered to it."""

    def change(config: DomainConfig) -> DomainConfig:
        _require_enough(kib)
        return replace(config, memory_kib=kib, current_memory_kib=min(kib, config.current_memory_kib))

    return change


def _require_enough(kib: int) -> None:
    if kib < MIN_MEMORY_KIB:
        raise BadArgument(what=f"{kib} KiB is too little memory; a container needs at least {MIN_MEMORY_KIB} KiB")


def vcpus(count: int) -> Change:
    def change(config: DomainConfig) -> DomainConfig:
        if not 1 <= count <= config.vcpus:
            what = f"a number of {count} CPUs is not between 1 and the maximum, {config.vcpus}"
            raise BadArgument(what=f"{what}, which virsh setvcpus --maximum --config raises for the next start")
        return replace(config, current_vcpus=count)

    return change


def maximum_vcpus(count: int) -> Change:
    def change(config: DomainConfig) -> DomainConfig:
        if not 1 <= count <= MAX_VCPUS:
            raise BadArgument(what=f"a number of {count} CPUs is not between 1 and {MAX_VCPUS}")
        return replace(config, vcpus=count, current_vcpus=min(count, config.current_vcpus))

    return change


def vcpu_state(chosen: frozenset[int], *, online: bool) -> Change:
    """Switch single CPUs on or off. They are all alike and no more than a number, so the last ones go and come."""

    def change(config: DomainConfig) -> DomainConfig:
        present = frozenset(range(config.current_vcpus))
        wanted = present | chosen if online else present - chosen
        if not chosen or max(chosen) >= config.vcpus:
            raise BadArgument(what=f"there are the CPUs 0 to {config.vcpus - 1}")
        if not wanted or wanted != frozenset(range(len(wanted))):
            raise BadArgument(
                what=f"CPUs {cpu_text(wanted) or 'none'} would be left; those of a container are only counted, so "
                "they begin at 0 and have no gap"
            )
        return replace(config, current_vcpus=len(wanted))

    return change


def pin(vcpu: int, cpus: frozenset[int], *, everywhere: frozenset[int]) -> Change:
    """Bind a CPU to host CPUs; to all of ``everywhere``, the pin is taken away."""

    def change(config: DomainConfig) -> DomainConfig:
        if vcpu >= config.vcpus:
            raise BadArgument(what=f"there is no CPU {vcpu}: they are 0 to {config.vcpus - 1}")
        if not cpus:
            raise BadArgument(what="an empty list of CPUs to pin to")
        pins = {each.vcpu: each for each in config.cpu_tune.vcpu_pins}
        if cpus >= everywhere:
            pins.pop(vcpu, None)
        else:
            pins[vcpu] = VcpuPin(vcpu=vcpu, cpuset=cpu_text(cpus))
        ordered = tuple(pins[number] for number in sorted(pins))
        return replace(config, cpu_tune=replace(config.cpu_tune, vcpu_pins=ordered))

    return change


def scheduler(given: Mapping[str, int]) -> Change:
    """``cpu_shares``, ``vcpu_period``, ``vcpu_quota``, ``global_period``, ``global_quota``, and ours, ``pids_limit``.

    0 goes back to the default; a negative quota is none.
    """
    tune: dict[str, Any] = {}
    for name, field in (
        ("vcpu_period", "period_us"), ("global_period", "global_period_us"),
        ("vcpu_quota", "quota_us"), ("global_quota", "global_quota_us"),
    ):  # fmt: skip
        if name in given:
            value = max(-1, given[name])
            if value > 0:
                _require_within(name, value, _PERIOD_US if name.endswith("period") else _QUOTA_US)
            tune[field] = value or None
    if "cpu_shares" in given:
        shares = given["cpu_shares"]
        tune["shares"] = max(_SHARES[0], min(shares, _SHARES[1])) if shares else None
    pids = given.get("pids_limit")
    if pids:
        _require_within("pids_limit", pids, _PIDS)

    def change(config: DomainConfig) -> DomainConfig:
        config = replace(config, cpu_tune=replace(config.cpu_tune, **tune))
        if pids is None:
            return config
        return replace(config, settings=replace(config.settings, pids_limit=pids or None))

    return change


def memory_tune(given: Mapping[str, int]) -> Change:
    """``hard_limit``, ``soft_limit`` and ``swap_hard_limit`` in KiB."""
    limits: dict[str, Any] = {f"{name}_kib": None if kib >= UNLIMITED_KIB else kib for name, kib in given.items()}

    def change(config: DomainConfig) -> DomainConfig:
        tune = replace(config.memory_tune, **limits)
        hard, swap = tune.hard_limit_kib, tune.swap_hard_limit_kib
        if hard is not None and hard < MIN_MEMORY_KIB:
            _require_enough(hard)
        if hard is not None and swap is not None and hard > swap:
            raise BadArgument(
                what="memory hard_limit tunable value must be lower than or equal to swap_hard_limit, which counts "
                "memory and swap together"
            )
        return replace(config, memory_tune=tune)

    return change


def block_io(given: Mapping[str, int | str]) -> Change:
    """``weight``, and lists "/dev/sda,100,/dev/sdb,200" of devices; 0 takes a value away."""
    weight = int(given["weight"]) if "weight" in given else None
    if weight:
        _require_within("weight", weight, _WEIGHT)
    lists = {
        field: _device_list(name, str(given[name])) for name, field in DEVICE_PARAMETERS.items() if name in given
    }

    def change(config: DomainConfig) -> DomainConfig:
        devices = {device.path: device for device in config.block_io.devices}
        for field, numbers in lists.items():
            for path, number in numbers.items():
                device = devices.get(path, BlockIoDevice(path=path))
                devices[path] = replace(device, **{field: number or None})  # type: ignore[arg-type]  # none is the path
        kept = tuple(device for device in devices.values() if _says_something(device))
        tune = replace(config.block_io, devices=kept)
        return replace(config, block_io=tune if weight is None else replace(tune, weight=weight or None))

    return change


def _device_list(name: str, text: str) -> dict[str, int]:
    words = text.split(",") if text else []
    numbers: dict[str, int] = {}
    for path, number in zip(words[::2], [*words[1::2], ""], strict=False):
        try:
            values.absolute_path(path)
            numbers[path] = values.integer(0, _RATE)(number)
        except ValueError as error:
            raise BadArgument(what=f"{name} is a list such as /dev/sda,100: {error}") from error
        if name == "device_weight" and numbers[path]:
            _require_within(name, numbers[path], _WEIGHT)
    return numbers


def _says_something(device: BlockIoDevice) -> bool:
    return any(getattr(device, field.name) is not None for field in fields(device) if field.name != "path")


def disk_io(target: str, given: Mapping[str, int]) -> Change:
    """<iotune> of a disk, by the names in DISK_RATES. As in libvirt, whoever says one of the limits of bytes, or of
    operations, says all three of them; 0 is none.
    """
    for name, rate in given.items():
        _require_within(name, rate, (0, _RATE))
    rates: dict[str, Any] = {}
    for kind in ("bytes_sec", "iops_sec"):
        if any(name.endswith(kind) for name in given):
            rates |= {field: given.get(name) or None for name, field in DISK_RATES.items() if name.endswith(kind)}
    word = excluding(rates)
    if word is not None:
        raise BadArgument(what=f"total and read/write of {word} cannot be set at the same time")

    def change(config: DomainConfig) -> DomainConfig:
        disk = next((each for each in config.disks if target in (each.target, each.source)), None)
        if disk is None:
            raise NoSuchDisk(name=config.name, path=target)
        if disk.device is DiskDevice.CDROM:
            raise NotSupported(
                what=f"a limit of the disk '{target}'", reason="it is the image, which many containers share"
            )
        tuned = replace(disk, io_tune=replace(disk.io_tune, **rates))
        return replace(config, disks=tuple(tuned if each is disk else each for each in config.disks))

    return change


def numa(given: Mapping[str, int | str]) -> Change:
    """``numa_nodeset`` and ``numa_mode``, a number of virDomainNumatuneMemMode.

    Raises NotSupported for a mode that only the process itself could follow.
    """
    mode, nodes = given.get("numa_mode"), given.get("numa_nodeset")
    name = None
    if isinstance(mode, int):
        if not 0 <= mode < len(NUMA_MODES):
            raise BadArgument(what=f"there is no numa_mode {mode}")
        name = NUMA_MODES[mode]
        if name not in BINDING_MODES:
            raise NotSupported(
                what=f"NUMA mode '{name}'", reason="a cgroup binds memory to nodes (strict), it does not prefer any"
            )
    if isinstance(nodes, str) and nodes:
        try:
            values.cpuset(nodes)
        except ValueError as error:
            raise BadArgument(what=f"numa_nodeset: {error}") from error

    def change(config: DomainConfig) -> DomainConfig:
        tune = config.numa_tune
        if tune.mode not in BINDING_MODES and name is None:
            raise BadArgument(what=f"mode '{tune.mode}' binds no memory; set the mode strict too")
        if name is not None:
            tune = replace(tune, mode=name)
        return replace(config, numa_tune=tune if nodes is None else replace(tune, nodeset=str(nodes) or None))

    return change


def _require_within(name: str, value: int, bounds: tuple[int, int]) -> None:
    if not bounds[0] <= value <= bounds[1]:
        raise BadArgument(what=f"value of '{name}' is out of range [{bounds[0]}, {bounds[1]}]")
