# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Small pieces around the XML: generated addresses, signals, live names."""

import pytest
from lxml import etree

from covirt.virtocid.driver.domain_xml import LiveState, format_domain, parse_domain
from covirt.virtocid.driver.domain_xml.complete import complete_definition
from covirt.virtocid.driver.domain_xml.signals import signal_name, signal_number
from covirt.virtocid.driver.domain_xml.values import mac_address
from tests.unit.virtocid.driver.domain_xml.test_refusals import domain, interface


def test_missing_addresses_are_generated_and_distinct() -> None:
    config = complete_definition(parse_domain(domain(devices=interface("") * 20)), macs_in_use={"52:54:00:00:00:01"})
    macs = [item.mac for item in config.interfaces]
    assert len(set(macs)) == 20
    for mac in macs:
        assert mac is not None
        assert mac_address(mac) == mac
        assert mac.startswith("52:54:00:")


def test_given_addresses_stay() -> None:
    xml = domain(devices=interface("<mac address='52:54:00:AB:00:01'/>"))
    assert complete_definition(parse_domain(xml)).interfaces[0].mac == "52:54:00:ab:00:01"


def test_generated_names_do_not_outlive_their_run() -> None:
    config = parse_domain(domain(devices=interface("") + interface("<target dev='cvabcdefx'/>")))
    live = format_domain(config, live=LiveState(domain_id=1, interface_names=("cvabcdef0", "cvabcdefx")), secure=True)
    again = complete_definition(parse_domain(live), generated_name_prefix="cvabcdef")
    assert [item.target for item in again.interfaces] == [None, "cvabcdefx"]


def test_uuids_are_made_when_absent() -> None:
    first, second = parse_domain(domain()), parse_domain(domain())
    assert first.uuid != second.uuid


@pytest.mark.parametrize(
    ("text", "number", "name"),
    [
        ("SIGTERM", 15, "SIGTERM"),
        ("term", 15, "SIGTERM"),
        (" 9 ", 9, "SIGKILL"),
        ("SIGRTMIN+3", 37, "SIGRTMIN+3"),
        ("rtmin", 34, "SIGRTMIN"),
        ("RTMAX-1", 63, "SIGRTMIN+29"),
        ("64", 64, "SIGRTMAX"),
        ("33", 33, "33"),
    ],
)
def test_signals(text: str, number: int, name: str) -> None:
    assert signal_number(text) == number
    assert signal_name(text) == name
    assert signal_number(name) == number


@pytest.mark.parametrize("text", ["", "SIG", "65", "-1", "SIGRTMAX+1", "SIGRTMIN-1", "SIGSIGTERM", "TERM 15"])
def test_no_signals(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        signal_number(text)


CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'{}/>{}</channel>"


@pytest.mark.parametrize(
    "own", ["", CHANNEL.format("", ""), CHANNEL.format(" state='disconnected'", "<alias name='x'/>")]
)
def test_the_agent_is_shown_while_it_runs(own: str) -> None:
    config = parse_domain(domain(devices=own))
    for connected, state in ((True, "connected"), (False, "disconnected")):
        text = format_domain(config, live=LiveState(domain_id=1, agent_connected=connected), secure=True)
        root = etree.fromstring(text)
        assert root.xpath("devices/channel/target/@state") == [state]
        assert parse_domain(text) == config
    assert "state=" not in format_domain(config, secure=True)
    assert format_domain(config, secure=True).count("<channel") == (1 if own else 0)
