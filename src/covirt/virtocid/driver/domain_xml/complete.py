# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a definition gets that its author left away, and loses that belonged to an earlier run."""

import secrets
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from covirt.virtocid.driver.domain_xml.model import DomainConfig, Interface

# The prefix of QEMU and libvirt: locally administered, so no vendor's card has it, and known to all our clients.
_MAC_PREFIX: Final = "52:54:00"


def complete_definition(
    config: DomainConfig, *, macs_in_use: Collection[str] = (), generated_name_prefix: str | None = None
) -> DomainConfig:
    """Give every interface a MAC address, and drop target names a run generated (the prefix and a number).

    The latter come back in when somebody defines what ``virsh dumpxml`` printed of a running domain.
    """
    macs = {*macs_in_use, *(interface.mac for interface in config.interfaces if interface.mac)}
    interfaces = []
    for interface in config.interfaces:
        mac = interface.mac or generate_mac(macs)
        macs.add(mac)
        interfaces.append(replace(interface, mac=mac, target=_own_name(interface, generated_name_prefix)))
    return replace(config, interfaces=tuple(interfaces))


def _own_name(interface: Interface, generated_prefix: str | None) -> str | None:
    if generated_prefix and interface.target and interface.target.startswith(generated_prefix):
        return None if interface.target.removeprefix(generated_prefix).isdigit() else interface.target
    return interface.target


def generate_mac(taken: Collection[str]) -> str:
    """A random unicast MAC address that is not among those taken."""
    while True:
        mac = ":".join((_MAC_PREFIX, *(f"{octet:02x}" for octet in secrets.token_bytes(3))))
        if mac not in taken:
            return mac
