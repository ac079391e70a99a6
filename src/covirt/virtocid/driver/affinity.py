# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""On which host CPUs a container may run, as libvirt's bit maps tell it."""

from typing import Final

from covirt.virtocid.driver import node
from covirt.virtocid.driver.domain_xml import values
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.errors import BadArgument

_LONGEST_BYTES: Final = 2048  # REMOTE_CPUMAP_MAX


def cpu_list(config: DomainConfig) -> str | None:
    """Where the whole container may run, in the form cgroups take: wherever one of its CPUs may be.

    Each is bound by its own pin, else by the domain's set; None when one of them is bound by nothing.
    """
    pins = {pin.vcpu: pin.cpuset for pin in config.cpu_tune.vcpu_pins}
    chosen = [pins.get(vcpu, config.cpuset) for vcpu in range(config.current_vcpus)]
    sets = [each for each in chosen if each is not None]
    if len(sets) < len(chosen):
        return None
    return cpu_text(frozenset[int]().union(*map(values.cpuset_members, sets)))


def cpu_text(cpus: frozenset[int]) -> str:
    """A list with ranges, as people and libvirt write it: ``0-3,6``."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def same_maps(bits: int, count: int, *, length_bytes: int) -> tuple[bytes, ...]:
    """One map for each of ``count`` virtual CPUs."""
    mask = _mask(length_bytes)
    return ((bits & mask).to_bytes(length_bytes, "little"),) * count


def cpu_maps(config: DomainConfig, count: int, *, length_bytes: int) -> tuple[bytes, ...]:
    """The host CPUs of the first virtual CPUs: each one's own pin, else the domain's, else all that are online."""
    mask = _mask(length_bytes)
    pins = {pin.vcpu: pin.cpuset for pin in config.cpu_tune.vcpu_pins}
    default = values.cpuset_bits(config.cpuset) if config.cpuset else sum(1 << cpu for cpu in node.online_cpus())
    bits = (values.cpuset_bits(pins[vcpu]) if vcpu in pins else default for vcpu in range(count))
    return tuple((each & mask).to_bytes(length_bytes, "little") for each in bits)


def _mask(length_bytes: int) -> int:
    if not 0 <= length_bytes <= _LONGEST_BYTES:
        raise BadArgument(what=f"a map of {length_bytes} bytes cannot hold CPUs")
    return (1 << 8 * length_bytes) - 1
