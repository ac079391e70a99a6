# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of the interfaces inside a namespace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.process import run
from covirt.oci.interface import VethRequest, plug, unplug
from covirt.oci.interface_facts import AddressFacts, addresses_heard, read_interfaces
from covirt.oci.isolation_errors import InterfaceFailed
from tests.integration.oci.netns import network_namespace
from tests.support.network import LinuxBridge

MAC = "52:54:00:aa:bb:01"
OWNER = "abcdef:one-1"


@pytest.fixture
def namespace(open_dir: Path) -> Iterator[Path]:
    with network_namespace(open_dir / "ns") as path:
        yield path


@pytest.fixture
def plugged(namespace: Path, linux_bridge: LinuxBridge) -> Iterator[Path]:
    addresses = (f"{linux_bridge.guest_address(5)}/24", "2001:db8::5/64")
    plug(
        VethRequest(
            bridge=linux_bridge.name, host_name="abcdef0", mac=MAC, owner=OWNER, mtu=1400, addresses=addresses
        ),
        namespace,
    )
    yield namespace
    unplug("abcdef0", owner=OWNER, mac=MAC)


def _inside(namespace: Path, *words: str | bytes) -> None:
    text = [word.decode(errors="surrogateescape") if isinstance(word, bytes) else word for word in words]
    run(["nsenter", f"--net={namespace}", *text], timeout_seconds=20, check=False)


def test_names_addresses_and_counters(plugged: Path, linux_bridge: LinuxBridge) -> None:
    _inside(plugged, "busybox", "ping", "-c1", "-W5", linux_bridge.address)
    loopback, link = read_interfaces(plugged)
    assert (loopback.name, loopback.mac, loopback.up) == ("lo", "00:00:00:00:00:00", True)
    assert AddressFacts(version=4, address="127.0.0.1", prefix=8) in loopback.addresses
    assert (link.name, link.mac, link.mtu, link.up) == ("eth0", MAC, 1400, True)
    assert {
        AddressFacts(version=4, address=linux_bridge.guest_address(5), prefix=24),
        AddressFacts(version=6, address="2001:db8::5", prefix=64),
    } <= set(link.addresses)
    assert link.counters.rx_packets > 0
    assert link.counters.tx_bytes > 0


def test_what_the_host_heard(plugged: Path, linux_bridge: LinuxBridge) -> None:
    assert addresses_heard(MAC, linux_bridge.name) == ()
    _inside(plugged, "busybox", "ping", "-c1", "-W5", linux_bridge.address)
    assert addresses_heard(MAC.upper(), linux_bridge.name) == (linux_bridge.guest_address(5),)
    assert addresses_heard(MAC, "another0") == ()


def test_a_name_that_is_no_text(namespace: Path) -> None:
    """Whoever may make interfaces inside may call them anything."""
    _inside(namespace, "ip", "link", "add", b"\xffodd", "type", "bridge")
    names = [link.name for link in read_interfaces(namespace)]
    assert len(names) == 2
    assert all(name.encode() for name in names)


def test_a_namespace_that_is_gone(open_dir: Path) -> None:
    with pytest.raises(InterfaceFailed):
        read_interfaces(open_dir / "network")
