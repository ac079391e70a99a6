# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The guest agent's channel in the XML of a running container: clients look for it before they ask the agent.

Every container has the agent, whether its definition names the channel or not. Where it does, the live XML tells the
state of that one; else one stands there that is left out again when the text is defined.
"""

from typing import Final

from lxml import etree

from covirt.common.dialect import AGENT_CHANNEL
from covirt.virtocid.driver.domain_xml.build import group, make, sort_children

_STAND_IN: Final = "agent0"


def show_agent(domain: etree._Element, *, connected: bool) -> None:
    """Tell in the XML of a run whether the agent answers."""
    devices = domain.find("devices")
    if devices is None:
        return
    targets = _targets(domain)
    if not targets:
        targets = [make("target", type_="virtio", name=AGENT_CHANNEL)]
        devices.append(group("channel", (targets[0], make("alias", name=_STAND_IN)), type="unix"))
        sort_children(devices)
    for target in targets:
        target.set("state", "connected" if connected else "disconnected")


def leave_agent_out(domain: etree._Element) -> None:
    """Take away what show_agent() tells of a run."""
    for target in _targets(domain):
        if "state" in target.attrib:
            del target.attrib["state"]
        channel = target.getparent()
        devices = None if channel is None else channel.getparent()
        alias = None if channel is None else channel.find("alias")
        if alias is not None and alias.get("name") == _STAND_IN and devices is not None and channel is not None:
            devices.remove(channel)


def _targets(domain: etree._Element) -> list[etree._Element]:
    return [target for target in domain.iterfind("devices/channel/target") if target.get("name") == AGENT_CHANNEL]
