# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a DHCP server may say, and what becomes of it."""

import contextlib
import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.common.dhcp_lease import BadLease, Lease, last_event, lease_of

_HOOK = b"#!/usr/bin/cat /proc/self/environ\n"
GOOD = {"interface": "eth0", "ip": "192.0.2.15", "subnet": "255.255.255.0", "lease": "120", "serverid": "192.0.2.1"}


def record(**variables: str) -> bytes:
    return b"".join(f"{name}={value}\0".encode() for name, value in variables.items()) + _HOOK


def lease(**changes: str) -> Lease:
    found = lease_of(GOOD | changes)
    assert found is not None
    return found


def test_the_newest_complete_record_counts() -> None:
    first, second = record(interface="eth0", ip="192.0.2.1"), record(interface="eth0", ip="192.0.2.2")
    assert last_event(b"") is None
    assert last_event(first + second) == {"interface": "eth0", "ip": "192.0.2.2"}
    for cut in range(1, len(second)):
        event = last_event(first + second[:-cut])
        assert event is not None
        assert event["ip"] == "192.0.2.1"


def test_the_rest_of_a_record_that_was_cut_is_none() -> None:
    """The file is emptied when it has grown long, perhaps in the middle of a record."""
    whole = record(interface="eth0", ip="192.0.2.1")
    assert last_event(_HOOK) is None
    assert last_event(whole + _HOOK) == {"interface": "eth0", "ip": "192.0.2.1"}


def test_what_a_server_sends_stays_in_its_variable() -> None:
    hostile = "x\n#!/usr/bin/cat /proc/self/environ\ninterface=eth0\nip=192.0.2.66"
    event = last_event(record(interface="eth0", ip="192.0.2.1", domain=hostile))
    assert event == {"interface": "eth0", "ip": "192.0.2.1", "domain": hostile}


@given(st.binary(max_size=300))
def test_no_file_is_too_odd(data: bytes) -> None:
    event = last_event(data + _HOOK)
    if event is not None:
        with contextlib.suppress(BadLease):
            lease_of(event)


@given(
    st.dictionaries(st.sampled_from([*GOOD, "router", "dns", "search", "domain", "staticroutes", "mtu"]), st.text())
)
def test_no_answer_is_too_odd(changes: dict[str, str]) -> None:
    try:
        found = lease_of(GOOD | changes)
    except BadLease:
        return
    assert found is None or Lease.from_record(json.loads(json.dumps(asdict(found)))) == found


def test_events_without_a_lease() -> None:
    assert lease_of({"interface": "eth0"}) is None  # deconfig, leasefail
    assert lease_of({"interface": "eth0", "ip": "192.0.2.15", "message": "go away"}) is None  # nak


def test_a_plain_lease() -> None:
    found = lease(router="192.0.2.1 192.0.2.2", dns="192.0.2.53 192.0.2.54 192.0.2.55 192.0.2.56", domain="a.example")
    assert found == Lease(
        address="192.0.2.15",
        prefix=24,
        routes=(("0.0.0.0/0", "192.0.2.1"),),
        nameservers=("192.0.2.53", "192.0.2.54", "192.0.2.55"),
        search=("a.example",),
        server="192.0.2.1",
    )
    assert found.seconds == 120
    assert found.cidr == "192.0.2.15/24"


def test_a_renewal_changes_nothing() -> None:
    assert lease(lease="120") == lease(lease="86400") == replace(lease(), seconds=None)


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "x", "", "::1"])  # noqa: S104
def test_addresses_that_no_host_can_have(address: str) -> None:
    with pytest.raises(BadLease):
        lease(ip=address)


@pytest.mark.parametrize("mask", ["0.0.0.0", "255.0.255.0", "x", ""])  # noqa: S104
def test_netmasks_that_are_none(mask: str) -> None:
    with pytest.raises(BadLease):
        lease(subnet=mask)


def test_classless_routes_take_the_place_of_the_router() -> None:
    found = lease(router="192.0.2.1", staticroutes="198.51.100.0/24 192.0.2.9 203.0.113.0/24 0.0.0.0")
    assert found.routes == (("198.51.100.0/24", "192.0.2.9"), ("203.0.113.0/24", None))


def test_routes_that_are_none_are_left_out() -> None:
    assert lease(staticroutes="198.51.100.1/24 192.0.2.9 x 192.0.2.9 10.0.0.0/8 127.0.0.1 10.0.0.0/8").routes == ()
    assert lease(router="127.0.0.1 x").routes == ()


def test_names_that_are_none_are_left_out() -> None:
    assert lease(search="a.example b\nnameserver -x ;rm", domain="c.example").search == (
        "a.example",
        "b",
        "nameserver",
    )
    assert lease(domain="$(reboot)").search == ()
    assert lease(dns="127.0.0.53 192.0.2.53 192.0.2.53").nameservers == ("192.0.2.53",)


@pytest.mark.parametrize(("text", "mtu"), [("1400", 1400), ("68", None), ("99999", None), ("-1", None), ("x", None)])
def test_mtu(text: str, mtu: int | None) -> None:
    assert lease(mtu=text).mtu == mtu
