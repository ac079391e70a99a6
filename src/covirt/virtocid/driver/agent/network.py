# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The interfaces that the container sees, as the kernel tells them from outside."""

from typing import Final

from covirt.oci.interface_facts import InterfaceFacts, read_interfaces
from covirt.oci.isolation_errors import InterfaceFailed
from covirt.virtocid.driver.agent.arguments import Arguments
from covirt.virtocid.driver.agent.command import Call, Command, Commands, Json
from covirt.virtocid.driver.agent.errors import refused
from covirt.virtocid.driver.agent.texts import decoded


def interfaces(call: Call) -> tuple[InterfaceFacts, ...]:
    """Loopback too, as QEMU's agent does. Raises Refused."""
    try:
        return read_interfaces(call.run.network_namespace)
    except InterfaceFailed as error:
        raise refused(error) from error


def family(version: int) -> str:
    return f"ipv{version}"


def _get_interfaces(call: Call, _arguments: Arguments) -> Json:
    return [_described(each) for each in interfaces(call)]


def _described(interface: InterfaceFacts) -> Json:
    counters = interface.counters
    return {
        "name": decoded(interface.name),
        **({} if interface.mac is None else {"hardware-address": interface.mac}),
        "ip-addresses": [
            {"ip-address": each.address, "ip-address-type": family(each.version), "prefix": each.prefix}
            for each in interface.addresses
        ],
        "statistics": {
            "rx-bytes": counters.rx_bytes,
            "rx-packets": counters.rx_packets,
            "rx-errs": counters.rx_errors,
            "rx-dropped": counters.rx_drops,
            "tx-bytes": counters.tx_bytes,
            "tx-packets": counters.tx_packets,
            "tx-errs": counters.tx_errors,
            "tx-dropped": counters.tx_drops,
        },
    }


COMMANDS: Final[Commands] = {"guest-network-get-interfaces": Command(run=_get_interfaces)}
