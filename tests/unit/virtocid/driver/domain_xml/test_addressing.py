# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How interfaces get their addresses, as <covirt:interface> says it."""

import pytest

from covirt.virtocid.driver.domain_xml import parse_domain
from covirt.virtocid.driver.domain_xml.errors import InvalidXml
from tests.support.virtocid import bridge_device, domain_xml

FIRST, SECOND = "52:54:00:00:00:01", "52:54:00:00:00:02"
_DEVICES = bridge_device("br0", more=f"<mac address='{FIRST}'/>")
_DEVICES += bridge_device("br0", "192.0.2.2/24", more=f"<mac address='{SECOND}'/>")


@pytest.mark.parametrize(
    ("settings", "asks"),
    [
        ("", [True, False]),
        ("<covirt:interface dhcp='no'/>", [False, False]),
        ("<covirt:interface dhcp='yes'/>", [True, True]),
        (f"<covirt:interface mac='{SECOND}' dhcp='yes'/>", [True, True]),
        (f"<covirt:interface dhcp='no'/><covirt:interface mac='{FIRST}' dhcp='yes'/>", [True, False]),
        (f"<covirt:interface dhcp='no'/><covirt:interface mac='{FIRST}' gateway='no'/>", [False, False]),
    ],
)
def test_who_asks(settings: str, asks: list[bool]) -> None:
    config = parse_domain(domain_xml("one", settings=settings, devices=_DEVICES))
    assert [config.asks_dhcp(interface) for interface in config.interfaces] == asks


@pytest.mark.parametrize(
    ("settings", "takes"),
    [
        ("", [True, True]),
        ("<covirt:interface gateway='no'/>", [False, False]),
        (f"<covirt:interface mac='{SECOND.upper()}' gateway='no'/>", [True, False]),
        (f"<covirt:interface gateway='no'/><covirt:interface mac='{FIRST}' gateway='yes'/>", [True, False]),
    ],
)
def test_whose_gateway_is_taken(settings: str, takes: list[bool]) -> None:
    config = parse_domain(domain_xml("one", settings=settings, devices=_DEVICES))
    assert [config.takes_gateway(interface) for interface in config.interfaces] == takes


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (f"<covirt:interface mac='{FIRST}'/>", "says nothing"),
        ("<covirt:interface dhcp='maybe'/>", "dhcp"),
        ("<covirt:interface mac='x' dhcp='no'/>", "mac"),
        ("<covirt:interface dhcp='no' metric='1'/>", "metric"),
        ("<covirt:interface dhcp='no'/><covirt:interface gateway='no'/>", "twice"),
    ],
)
def test_what_is_refused(settings: str, complaint: str) -> None:
    with pytest.raises(InvalidXml, match=complaint):
        parse_domain(domain_xml("one", settings=settings, devices=_DEVICES))
