# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which addresses a container has, by the three sources that libvirt knows."""

import ipaddress
from collections.abc import Iterable

from covirt.oci.interface_facts import AddressFacts, addresses_heard, read_interfaces
from covirt.virtocid.driver.leases import given
from covirt.virtocid.driver.run import Run
from covirt.wire.structs_domain import DomainInterface, DomainIpAddr

_V4, _V6 = 0, 1  # VIR_IP_ADDR_TYPE_IPV4, VIR_IP_ADDR_TYPE_IPV6


def by_lease(run: Run) -> tuple[DomainInterface, ...]:
    """What we gave it: addresses of the XML and of DHCP leases, by the interfaces' host ends."""
    found = []
    for interface, name in zip(run.config.interfaces, run.interface_names, strict=False):
        texts = [address.cidr for address in interface.addresses]
        lease = given(run, name).lease if run.config.asks_dhcp(interface) else None
        if lease is not None:
            texts.append(lease.cidr)
        parsed = [ipaddress.ip_interface(text) for text in dict.fromkeys(texts)]
        facts = [
            AddressFacts(version=each.version, address=str(each.ip), prefix=each.network.prefixlen) for each in parsed
        ]
        found.append(DomainInterface(name=name, hwaddr=interface.mac, addrs=_written(facts)))
    return tuple(found)


def by_agent(run: Run) -> tuple[DomainInterface, ...]:
    """What the kernel says of every interface inside, by its name there. Raises InterfaceFailed."""
    return tuple(
        DomainInterface(name=facts.name, hwaddr=facts.mac, addrs=_written(facts.addresses))
        for facts in read_interfaces(run.network_namespace)
    )


def by_arp(run: Run) -> tuple[DomainInterface, ...]:
    """What the host heard from the interfaces' MAC addresses; one not heard from is left out, as by libvirt."""
    found = []
    for interface, name, bridge in zip(run.config.interfaces, run.interface_names, run.bridges, strict=False):
        heard = addresses_heard(interface.mac or "", bridge)
        if heard:  # libvirt, too, gives a prefix of 0: ARP does not tell
            facts = [AddressFacts(version=4, address=address, prefix=0) for address in heard]
            found.append(DomainInterface(name=name, hwaddr=interface.mac, addrs=_written(facts)))
    return tuple(found)


def _written(addresses: Iterable[AddressFacts]) -> tuple[DomainIpAddr, ...]:
    return tuple(
        DomainIpAddr(type=_V4 if each.version == 4 else _V6, addr=each.address, prefix=each.prefix)
        for each in addresses
    )
