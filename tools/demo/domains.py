# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The domains and the network of the demo, as one hands them to virsh."""

from typing import Final

from tests.support.guest import TinyGuest

NETWORK: Final = "demo"
BRIDGE: Final = "demo0"
HOST_ADDRESS: Final = "10.77.0.1"

CONTAINER: Final = "web"
CONTAINER_ADDRESS: Final = "10.77.0.10"
GUEST: Final = "guest"
GUEST_ADDRESS: Final = "10.77.0.20"
GUEST_PAGE: Final = "hello from a virtual machine"
JOB: Final = "job"

_GUEST_MAC: Final = "52:54:00:77:00:20"


def network_xml() -> str:
    """A Linux bridge with an address and a DHCP server. The machine's packet filter is left alone (open)."""
    return f"""
<network>
  <name>{NETWORK}</name>
  <forward mode='open'/>
  <bridge name='{BRIDGE}' stp='off' delay='0'/>
  <ip address='{HOST_ADDRESS}' netmask='255.255.255.0'>
    <dhcp>
      <range start='10.77.0.100' end='10.77.0.199'/>
      <host mac='{_GUEST_MAC}' ip='{GUEST_ADDRESS}'/>
    </dhcp>
  </ip>
</network>
"""


def container_xml(image: str) -> str:
    return f"""
<domain type='oci'>
  <name>{CONTAINER}</name>
  {_image_xml(image)}
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type>exe</type></os>
  <devices>
    <interface type='network'>
      <source network='{NETWORK}'/>
      <ip address='{CONTAINER_ADDRESS}' prefix='24'/>
      <route address='0.0.0.0' prefix='0' gateway='{HOST_ADDRESS}'/>
    </interface>
    <console type='pty'/>
  </devices>
</domain>
"""


def guest_xml(guest: TinyGuest) -> str:
    return guest.domain_xml(GUEST, network=NETWORK, mac=_GUEST_MAC)


def job_xml(image: str, *, exit_code: int) -> str:
    """A container that ends by itself, and not well."""
    return f"""
<domain type='oci'>
  <name>{JOB}</name>
  {_image_xml(image)}
  <memory unit='MiB'>64</memory>
  <os>
    <type>exe</type>
    <init>/bin/sh</init><initarg>-c</initarg><initarg>exit {exit_code}</initarg>
  </os>
</domain>
"""


def _image_xml(image: str) -> str:
    return f"""<metadata>
    <covirt:container xmlns:covirt='https://covirt.org/xmlns/container/1.0'>
      <covirt:image>{image}</covirt:image>
    </covirt:container>
  </metadata>"""
