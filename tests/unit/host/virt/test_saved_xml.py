# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The XML beside a kept state lies where others write: it gets no more of the host than an engine's."""

import pytest
from lxml import etree

from covirt.host.virt.host_reach import BeyondTheGuest, HostReach
from covirt.host.virt.saved_xml import without_last_run

_DISK, _PAYLOAD = "/rhev/data-center/mnt/x/images/y/z", "/run/covirt/host/payload/a.iso"
# As libvirt 9 keeps it, but for what is nobody's file.
_SAVED = f"""<domain type='kvm' id='3'><name>web</name><uuid>6b4c7e0f-2c1b-4c6e-8f0e-111111111111</uuid>
<resource><partition>/machine</partition></resource>
<os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type><boot dev='hd'/></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='{_DISK}' index='2'><seclabel model='dac' relabel='no'/></source>
<backingStore type='file' index='3'><format type='raw'/><source file='/rhev/base'/><backingStore/></backingStore>
<target dev='vda' bus='virtio'/><alias name='virtio-disk0'/>
<address type='pci' domain='0x0000' bus='0x00' slot='0x04' function='0x0'/></disk>
<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{_PAYLOAD}' index='1'/>
<target dev='hdc' bus='ide'/><readonly/></disk>
<controller type='pci' index='0' model='pci-root'/>
<serial type='pty'><source path='/dev/pts/1'/><target type='isa-serial' port='0'/></serial>
<console type='pty' tty='/dev/pts/1'><source path='/dev/pts/1'/><target type='serial' port='0'/></console>
<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/target/domain-3-web/org.qemu'/>
<target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<graphics type='vnc' port='5900' autoport='yes' listen='127.0.0.1'/><memballoon model='virtio'/></devices>
<seclabel type='static' model='dac' relabel='yes'><label>+0:+0</label></seclabel>
<seclabel type='dynamic' model='apparmor' relabel='yes'><label>libvirt-6b4c</label></seclabel></domain>"""


def _fit(xml: str, *prepared: str) -> etree._Element:
    root = etree.fromstring(xml)
    without_last_run(root, prepared=prepared)
    HostReach().check(root, prepared=prepared)
    return root


def test_what_libvirt_keeps_is_fine() -> None:
    root = _fit(_SAVED, _DISK)
    assert root.findall("seclabel") == []  # a label of the file's could make QEMU root
    assert [source.get("file") for source in root.iterfind("devices/disk/source")] == [_DISK]  # no lost disc
    assert root.find("devices/disk/address") is not None
    assert len(_fit(_SAVED, _DISK, _PAYLOAD).findall("devices/disk/source")) == 2


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        (_DISK, "/etc/shadow"),
        ("<memballoon model='virtio'/>", "<hostdev mode='subsystem' type='usb'/>"),
        ("<memballoon model='virtio'/>", "<serial type='file'><log file='/etc/cron.d/x'/></serial>"),
        (
            "<memballoon model='virtio'/>",
            "<filesystem type='mount'><source dir='/'/><target dir='all'/></filesystem>",
        ),
        ("<boot dev='hd'/>", "<kernel>/etc/shadow</kernel>"),
        ("<devices>", "<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'/><devices>"),
        (
            "<target dev='vda' bus='virtio'/>",
            "<target dev='vda' bus='virtio'/><mirror type='file' file='/etc/shadow'><source file='/etc/x'/></mirror>",
        ),
    ],
)
def test_what_somebody_has_written_there_is_refused(what: str, instead: str) -> None:
    assert what in _SAVED
    with pytest.raises(BeyondTheGuest):
        _fit(_SAVED.replace(what, instead, 1), _DISK)
