# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Questions that the kernel answers to anybody; what changes something is tried with the interfaces themselves."""

import errno
import ipaddress
import socket

import pytest

from covirt.oci.rtnetlink import Netlink

LOOPBACK = 1


def test_an_interface_is_described() -> None:
    with Netlink() as netlink:
        link = netlink.link(LOOPBACK)
    assert (link.index, link.name, link.kind, link.alias) == (LOOPBACK, "lo", None, None)
    assert link.address == "00:00:00:00:00:00"
    assert link.mtu > 1000


def test_an_interface_that_is_not_there() -> None:
    with Netlink() as netlink:
        for _ in range(2):  # the connection is of use after an error
            with pytest.raises(OSError, match=r".") as caught:
                netlink.link(2**30)
            assert caught.value.errno == errno.ENODEV
        assert netlink.link(LOOPBACK).name == "lo"


def test_a_list_of_one_kind() -> None:
    names = {name for _, name in socket.if_nameindex()}
    with Netlink() as netlink:
        bridges = netlink.links_of_kind("bridge")
        assert {link.name for link in bridges} <= names - {"lo"}
        assert all(link.kind == "bridge" for link in bridges)
        assert netlink.links_of_kind("veth-of-nobody") == []


@pytest.mark.root
def test_the_kernel_says_in_words_what_is_wrong() -> None:
    network, gateway = ipaddress.ip_network("198.51.100.0/24"), ipaddress.ip_address("203.0.113.1")
    with Netlink() as netlink, pytest.raises(OSError, match=r"gateway|unreachable") as caught:
        netlink.add_route(network, gateway, index=LOOPBACK)
    assert caught.value.errno in (errno.ENETUNREACH, errno.EINVAL)
