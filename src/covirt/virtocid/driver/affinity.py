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
    """Where the whole container may run, in the form cgroups take: the union of its pins, else the domain's set."""
    chosen = [pin.cpuset for pin in config.cpu_tune.vcpu_pins] or ([config.cpuset] if config.cpuset else [])
    allowed = frozenset[int]().union(*map(values.cpuset_members, chosen))
    return ",".join(str(cpu) for cpu in sorted(allowed)) or None


def cpu_maps(config: DomainConfig, count: int, *, length_bytes: int) -> tuple[bytes, ...]:
    """The host CPUs of the first virtual CPUs: each one's own pin, else the domain's, else all that are online."""
    if not 0 <= length_bytes <= _LONGEST_BYTES:
        raise BadArgument(what=f"a map of {length_bytes} bytes cannot hold CPUs")
    mask = (1 << 8 * length_bytes) - 1
    pins = {pin.vcpu: pin.cpuset for pin in config.cpu_tune.vcpu_pins}
    default = values.cpuset_bits(config.cpuset) if config.cpuset else sum(1 << cpu for cpu in node.online_cpus())
    bits = (values.cpuset_bits(pins[vcpu]) if vcpu in pins else default for vcpu in range(count))
    return tuple((each & mask).to_bytes(length_bytes, "little") for each in bits)
