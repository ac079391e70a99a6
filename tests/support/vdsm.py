# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Domains in the words of oVirt: what Vdsm defines first, and what its engine sends it to define then."""

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from covirt.common.dialect import OVIRT_CONTAINER_NAMESPACE, OVIRT_VM_NAMESPACE
from tests.support.virtocid import IMAGE, SERVICE

# The one metadata block Vdsm keeps its own facts in.
VM_BLOCK: Final = (
    '<ovirt-vm:clusterVersion>4.7</ovirt-vm:clusterVersion><ovirt-vm:launchPaused>false</ovirt-vm:launchPaused>'
    '<ovirt-vm:minGuaranteedMemoryMb type="int">64</ovirt-vm:minGuaranteedMemoryMb>'
    '<ovirt-vm:custom><ovirt-vm:containerType>docker</ovirt-vm:containerType></ovirt-vm:custom>'
    '<ovirt-vm:device mac_address="56:6f:e5:5d:00:01"/>'
)  # fmt: skip
DISPLAY_PASSWORD: Final = "a secret of the display"  # noqa: S105


def placeholder_xml(name: str, uuid: str) -> str:
    """Holds name and UUID; Vdsm defines it as soon as it is told to run something."""
    return (
        f'<domain type="qemu"><name>{name}</name><uuid>{uuid}</uuid><memory unit="KiB">65536</memory>'
        '<os><type arch="x86_64" machine="pc">hvm</type></os></domain>'
    )


def final_xml(name: str, uuid: str, *, bridge: str, command: Sequence[str] = SERVICE) -> str:
    """A whole virtual machine, of which the container is the image in one block of metadata.

    ``command`` is not oVirt's; without it the image's own runs.
    """
    words = "".join(f"<initarg>{escape(word)}</initarg>" for word in command[1:])
    init = f"<init>{escape(command[0])}</init>{words}" if command else ""
    return f"""<?xml version='1.0' encoding='UTF-8'?>
<domain xmlns:ovirt-tune="http://ovirt.org/vm/tune/1.0" xmlns:ovirt-vm="{OVIRT_VM_NAMESPACE}" type="kvm">
<name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory><currentMemory>65536</currentMemory>
<iothreads>1</iothreads><maxMemory slots="16">262144</maxMemory><vcpu current="1">16</vcpu>
<sysinfo type="smbios"><system><entry name="manufacturer">oVirt</entry></system></sysinfo>
<clock offset="variable" adjustment="0"><timer name="rtc" tickpolicy="catchup"/></clock>
<features><acpi/><vmcoreinfo state="on"/></features>
<cpu match="exact"><model>Cascadelake-Server</model><topology cores="1" threads="1" sockets="16"/>
<numa><cell id="0" cpus="0-15" memory="65536"/></numa></cpu>
<cputune/><on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot>
<pm><suspend-to-disk enabled="no"/><suspend-to-mem enabled="no"/></pm>
<os><type arch="x86_64" machine="pc-q35-rhel8.6.0">hvm</type>
<smbios mode="sysinfo"/><bios useserial="yes"/>{init}</os>
<seclabel type="dynamic" model="dac" relabel="no"/>
<metadata><ovirt-tune:qos/><ovirt-vm:vm>{VM_BLOCK}</ovirt-vm:vm>
<ovirtcnt:container xmlns:ovirtcnt="{OVIRT_CONTAINER_NAMESPACE}">
<ovirtcnt:runtime>docker</ovirtcnt:runtime><ovirtcnt:image>docker://{IMAGE}</ovirtcnt:image></ovirtcnt:container>
</metadata>
<devices>
<emulator>/usr/libexec/qemu-kvm</emulator>
<input type="tablet" bus="usb"/>
<channel type="unix"><target type="virtio" name="ovirt-guest-agent.0"/>
<source mode="bind" path="/var/lib/libvirt/qemu/channels/{uuid}.ovirt-guest-agent.0"/></channel>
<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/>
<source mode="bind" path="/var/lib/libvirt/qemu/channels/{uuid}.org.qemu.guest_agent.0"/></channel>
<channel type="spicevmc"><target type="virtio" name="com.redhat.spice.0"/></channel>
<controller type="pci" model="pcie-root-port" index="1"/><controller type="usb" model="qemu-xhci" ports="8"/>
<controller type="virtio-serial" index="0" ports="16"><alias name="ua-serial"/></controller>
<controller type="scsi" model="virtio-scsi" index="0"><driver iothread="1"/><alias name="ua-scsi"/></controller>
<video><model type="qxl" vram="32768" heads="1" ram="65536" vgamem="16384"/><alias name="ua-video"/></video>
<graphics type="spice" port="-1" autoport="yes" passwd="{DISPLAY_PASSWORD}" tlsPort="-1">
<channel name="main" mode="secure"/><listen type="network" network="vdsm-ovirtmgmt"/></graphics>
<graphics type="vnc" port="-1" autoport="yes" keymap="en-us">
<listen type="network" network="vdsm-ovirtmgmt"/></graphics>
<memballoon model="virtio"><stats period="5"/><alias name="ua-balloon"/></memballoon>
<rng model="virtio"><backend model="random">/dev/urandom</backend><alias name="ua-rng"/></rng>
<sound model="ich6"><alias name="ua-sound"/></sound><tpm model="tpm-crb"><backend type="emulator"/></tpm>
<watchdog model="i6300esb" action="none"/>
<interface type="bridge"><model type="virtio"/><link state="up"/><source bridge="{bridge}"/>
<driver queues="1" name="vhost"/><alias name="ua-nic"/>
<address bus="0x02" domain="0x0000" function="0x0" slot="0x00" type="pci"/>
<mac address="56:6f:e5:5d:00:01"/><mtu size="1500"/><filterref filter="vdsm-no-mac-spoofing"/><bandwidth/></interface>
<disk type="file" device="cdrom" snapshot="no"><driver name="qemu" type="raw" error_policy="report"/>
<source file="" startupPolicy="optional"><seclabel model="dac" relabel="no"/></source>
<target dev="sdc" bus="sata"/><readonly/><alias name="ua-cdrom"/>
<address bus="0" controller="0" unit="2" type="drive" target="0"/></disk>
</devices></domain>"""
