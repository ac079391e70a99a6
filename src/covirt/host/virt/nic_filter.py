# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The spoof filter of machines: libvirt's own network filter with the rules that a container's interface has.

libvirt loads it with the interface and takes it away with it, also for what is plugged in later, and loads it anew
when libvirtd starts: nothing of it is ours to keep.
"""

import logging
from typing import Any, Final

import libvirt
from lxml import etree

log = logging.getLogger(__name__)

FILTER: Final = "covirt-spoof"
# What oVirt's engine asks for by default. Where Vdsm's own definition is not, ours says no less.
_ENGINES: Final = "vdsm-no-mac-spoofing"
_UUID: Final = "9f1a2b8e-6c0d-4d0b-8d55-5b0a0d6c1f01"  # libvirt redefines a filter only under the same one

# As the rules of a container's filter: frames and ARP with the interface's own MAC address only, no VLAN tags (which
# could carry ARP past the rules after them), and nothing that only DHCP servers and routers say.
_XML: Final = f"""<filter name='{FILTER}' chain='root'>
  <uuid>{_UUID}</uuid>
  <rule action='drop' direction='out' priority='-500'><mac match='no' srcmacaddr='$MAC'/></rule>
  <rule action='drop' direction='out' priority='-490'><vlan/></rule>
  <rule action='drop' direction='out' priority='-490'><mac protocolid='0x88a8'/></rule>
  <rule action='drop' direction='out' priority='-480'><ip protocol='udp' srcportstart='67' srcportend='67'/></rule>
  <rule action='drop' direction='out' priority='-480'>
    <ipv6 protocol='udp' srcportstart='547' srcportend='547'/>
  </rule>
  <rule action='drop' direction='out' priority='-480'><ipv6 protocol='icmpv6' type='134'/></rule>
  <rule action='drop' direction='out' priority='-470'><arp match='no' arpsrcmacaddr='$MAC'/></rule>
</filter>"""
_ENGINES_XML: Final = f"<filter name='{_ENGINES}'><filterref filter='{FILTER}'/></filter>"


def define_filters(connection: Any) -> None:
    """Make sure that libvirt knows them; interfaces that run have the newest rules from then on.

    Without them no machine with an interface starts: what cannot be filtered does not run.
    """
    try:
        connection.nwfilterDefineXML(_XML)
        if _ENGINES not in {found.name() for found in connection.listAllNWFilters()}:
            connection.nwfilterDefineXML(_ENGINES_XML)
    except libvirt.libvirtError as error:
        log.error("libvirt takes no network filters, so machines have no interfaces reason=%s", error)


def filter_interfaces(root: etree._Element) -> None:
    """Give every interface in a bridge of a <domain> the filter, but where the engine chose one."""
    for interface in root.iterfind("devices/interface"):
        filter_interface(interface)


def filter_interface(interface: etree._Element) -> None:
    if interface.get("type") == "bridge" and interface.find("filterref") is None:
        etree.SubElement(interface, "filterref", filter=FILTER)
