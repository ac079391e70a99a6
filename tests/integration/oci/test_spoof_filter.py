# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The spoof filter against real frames: two containers on one bridge, the second sees what the first gets through."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from covirt.common.process import run
from covirt.oci.interface import VethRequest, plug, unplug
from covirt.oci.isolation_errors import InterfaceNameTaken, SpoofFilterFailed
from covirt.oci.spoof_filter import FilterEntry, SpoofFilter
from tests.integration.oci.netns import Port, arp, ethernet, ipv6, network_namespace, ports, udp
from tests.support.network import LinuxBridge

OWN, OTHER = "52:54:00:aa:00:01", "52:54:00:aa:00:02"
_VLAN = 0x8100
_IPV4, _IPV6 = 0x0800, 0x86DD
_EXPERIMENT = 0x88B5  # IEEE 802 local experimental


@dataclass
class Pair:
    """A sender with MAC OWN behind the port ``abcdef0``, and a watcher on the same bridge."""

    filter: SpoofFilter
    sender: Port
    watcher: Port
    address: str
    number: int = 0

    def passes(self, frame: bytes) -> bool:
        """Send the frame and then one that is always allowed; tell whether the first arrived before the second."""
        self.number += 1
        mark = ethernet(OWN, _EXPERIMENT, self.number.to_bytes(4, "big"))
        self.sender.send(frame)
        self.sender.send(mark)
        seen = self.watcher.frames_until(mark)
        tagged = frame[12:14] == _VLAN.to_bytes(2, "big")  # the kernel takes a VLAN tag off before we see the frame
        source, content = frame[6:12], frame[16:46] if tagged else frame[12:42]
        return any(each[6:12] == source and each[12:42] == content for each in seen[:-1])


@pytest.fixture
def pair(linux_bridge: LinuxBridge, open_dir: Path) -> Iterator[Pair]:
    spoof_filter = SpoofFilter("abcdef")
    with ExitStack() as stack:
        ports = []
        for number, mac in enumerate((OWN, OTHER)):
            namespace = stack.enter_context(network_namespace(open_dir / str(number)))
            name = f"abcdef{number}"
            plug(VethRequest(bridge=linux_bridge.name, host_name=name, mac=mac, owner="test"), namespace)
            stack.callback(unplug, name, owner="test", mac=mac)
            ports.append(stack.enter_context(Port(namespace, "eth0")))
        stack.callback(spoof_filter.remove_table)
        yield Pair(filter=spoof_filter, sender=ports[0], watcher=ports[1], address=linux_bridge.guest_address(5))


def test_without_a_filter_everything_passes(pair: Pair) -> None:
    assert pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))
    assert pair.passes(arp(OWN, sender_mac=OTHER, sender_ip="10.77.0.1"))


def test_only_the_own_mac_address_passes(pair: Pair) -> None:
    pair.filter.allow("abcdef0", OWN)
    assert pair.passes(ethernet(OWN, _EXPERIMENT, b"honest"))
    assert not pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))
    assert not pair.passes(ethernet("52:54:00:00:00:99", _EXPERIMENT, b"spoofed"))


def test_arp_with_another_sender_mac_is_dropped(pair: Pair) -> None:
    pair.filter.allow("abcdef0", OWN)
    assert pair.passes(arp(OWN, sender_mac=OWN, sender_ip="192.0.2.1"))
    assert not pair.passes(arp(OWN, sender_mac=OTHER, sender_ip="192.0.2.1"))


def test_arp_for_an_address_of_somebody_else_is_dropped_when_addresses_are_known(pair: Pair) -> None:
    pair.filter.allow("abcdef0", OWN, (f"{pair.address}/24", "192.0.2.8/24", "2001:db8::5/64"))
    for address in (pair.address, "192.0.2.8", "0.0.0.0"):  # noqa: S104 - an ARP probe
        assert pair.passes(arp(OWN, sender_mac=OWN, sender_ip=address)), address
    assert not pair.passes(arp(OWN, sender_mac=OWN, sender_ip="10.77.0.1"))


def test_nothing_is_claimed_while_the_known_addresses_are_none(pair: Pair) -> None:
    pair.filter.allow("abcdef0", OWN, known=True)
    assert pair.passes(arp(OWN, sender_mac=OWN, sender_ip="0.0.0.0"))  # noqa: S104 - an ARP probe
    assert not pair.passes(arp(OWN, sender_mac=OWN, sender_ip=pair.address))
    pair.filter.allow("abcdef0", OWN, (f"{pair.address}/24",), known=True)
    assert pair.passes(arp(OWN, sender_mac=OWN, sender_ip=pair.address))
    pair.filter.allow("abcdef0", OWN, known=True)
    assert not pair.passes(arp(OWN, sender_mac=OWN, sender_ip=pair.address))


def test_nobody_is_a_router_or_a_dhcp_server(pair: Pair) -> None:
    """Whoever answers DHCP, or advertises routes, is the gateway of all his neighbours."""
    advertisement = ethernet(OWN, _IPV6, ipv6(58, bytes([134, 0]) + bytes(14)))
    solicitation = ethernet(OWN, _IPV6, ipv6(58, bytes([133, 0]) + bytes(14)))
    for frame in (advertisement, ethernet(OWN, _IPV4, udp(67, 68)), ethernet(OWN, _IPV6, ipv6(17, ports(547, 546)))):
        assert pair.passes(frame)
    pair.filter.allow("abcdef0", OWN)
    for frame in (advertisement, ethernet(OWN, _IPV4, udp(67, 68)), ethernet(OWN, _IPV6, ipv6(17, ports(547, 546)))):
        assert not pair.passes(frame)
    for frame in (solicitation, ethernet(OWN, _IPV4, udp(68, 67)), ethernet(OWN, _IPV6, ipv6(17, ports(546, 547)))):
        assert pair.passes(frame)


def test_arp_inside_a_vlan_tag_does_not_slip_through(pair: Pair) -> None:
    assert pair.passes(arp(OWN, sender_mac=OTHER, sender_ip="10.77.0.1", kind=_VLAN))
    pair.filter.allow("abcdef0", OWN)
    assert not pair.passes(arp(OWN, sender_mac=OTHER, sender_ip="10.77.0.1", kind=_VLAN))


def test_other_ports_are_not_touched(pair: Pair) -> None:
    pair.filter.allow("abcdef1", OTHER)
    assert pair.passes(ethernet("52:54:00:00:00:99", _EXPERIMENT, b"free"))


def test_allow_replaces_and_remove_frees(pair: Pair) -> None:
    pair.filter.allow("abcdef0", OTHER, ("192.0.2.1",))
    pair.filter.allow("abcdef0", OWN)
    assert pair.passes(arp(OWN, sender_mac=OWN, sender_ip="192.0.2.77"))
    assert not pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))
    pair.filter.remove("abcdef0")
    pair.filter.remove("abcdef0")
    assert pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))


def test_an_entry_is_its_owner_s_alone(pair: Pair) -> None:
    pair.filter.allow("abcdef0", OWN, owner="one-1")
    with pytest.raises(InterfaceNameTaken, match="abcdef0"):
        pair.filter.allow("abcdef0", OTHER, owner="two-1")
    pair.filter.remove("abcdef0", owner="two-1")
    assert pair.passes(ethernet(OWN, _EXPERIMENT, b"honest"))
    assert not pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))
    pair.filter.remove("abcdef0", owner="one-1")
    assert pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))


def test_a_restarted_daemon_takes_the_filter_over(pair: Pair) -> None:
    pair.filter.allow("gone0", OTHER)
    successor = SpoofFilter("abcdef")
    successor.reconcile([FilterEntry(host_name="abcdef0", mac=OWN, addresses=(pair.address,))])
    assert pair.passes(ethernet(OWN, _EXPERIMENT, b"honest"))
    assert not pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))
    assert not pair.passes(arp(OWN, sender_mac=OWN, sender_ip="192.0.2.1"))
    listing = run(["nft", "list", "table", "bridge", successor.table], timeout_seconds=10).stdout
    assert b"gone0" not in listing
    successor.remove("abcdef0")
    assert pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))


def test_a_flushed_ruleset_is_put_back_with_the_next_change(pair: Pair) -> None:
    pair.filter.allow("abcdef0", OWN)
    run(["nft", "flush", "ruleset"], timeout_seconds=10)
    pair.filter.allow("abcdef1", OTHER)
    assert not pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))


@pytest.mark.parametrize(
    "words",
    [
        ("flush", "ruleset"),
        ("flush", "table", "bridge", "covirt-abcdef"),
        ("flush", "chain", "bridge", "covirt-abcdef", "from-container"),
    ],
)
def test_what_another_program_removed_is_restored(pair: Pair, words: tuple[str, ...]) -> None:
    assert not pair.filter.restore()
    pair.filter.allow("abcdef0", OWN)
    assert not pair.filter.restore()
    run(["nft", *words], timeout_seconds=10)
    assert pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))
    assert pair.filter.restore()
    assert not pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))
    assert not pair.filter.restore()


def test_two_roots_do_not_meet(pair: Pair) -> None:
    other = SpoofFilter("ghijkl")
    other.allow("abcdef1", OTHER)
    pair.filter.allow("abcdef0", OWN)
    other.remove_table()
    assert not pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))


def test_a_refused_entry_changes_nothing(pair: Pair) -> None:
    pair.filter.allow("abcdef0", OWN)
    with pytest.raises(SpoofFilterFailed, match="abcdef"):
        pair.filter.allow("abcdef1", "not a MAC")
    assert not pair.passes(ethernet(OTHER, _EXPERIMENT, b"spoofed"))
    pair.filter.allow("abcdef1", OTHER)
