# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine's machine becomes one that this host can run."""

import pytest
from lxml import etree

from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.machine_xml import MachineHost, adapt_machine
from covirt.host.virt.nic_filter import filter_interfaces

CPU = (
    '<cpu match="exact"><model>Cascadelake-Server</model><feature name="x" policy="require"/>'
    '<topology cores="1" threads="1" sockets="16"/><numa><cell id="0" cpus="0-15" memory="65536"/></numa></cpu>'
)


def adapted(devices: str = "", *, kind: str = "kvm", kvm: bool = False, label: str | None = None) -> etree._Element:
    root = read_xml(f"<domain type='{kind}'>{CPU}<devices>{devices}</devices></domain>")
    host = MachineHost(kvm_works=kvm, display_address="192.0.2.1", closed_password="closed", storage_label=label)  # noqa: S106
    adapt_machine(root, host)
    once = write_xml(root)
    adapt_machine(root, host)
    assert write_xml(root) == once
    return root


def device(xml: str) -> etree._Element:
    found = adapted(xml).find("devices")
    assert found is not None
    return found[0]


def test_without_kvm_it_is_emulated() -> None:
    root = adapted()
    cpu = root.find("cpu")
    assert cpu is not None
    assert (root.get("type"), cpu.get("mode"), [child.tag for child in cpu]) == (
        "qemu",
        "maximum",
        ["topology", "numa"],
    )


@pytest.mark.parametrize(("kind", "kvm"), [("kvm", True), ("qemu", True), ("qemu", False)])
def test_otherwise_it_is_as_it_was(kind: str, kvm: bool) -> None:
    root = adapted(kind=kind, kvm=kvm)
    assert (root.get("type"), root.findtext("cpu/model")) == (kind, "Cascadelake-Server")


@pytest.mark.parametrize("path", ["/usr/libexec/qemu-kvm", "/bin/sh", ""])
def test_the_emulator_is_the_hosts_matter(path: str) -> None:
    assert adapted(f"<emulator>{path}</emulator>").find("devices/emulator") is None


@pytest.mark.parametrize("more", ["", " listen='0.0.0.0'", " passwd='open'"])
def test_a_display_is_closed_at_first(more: str) -> None:
    graphics = device(f"<graphics type='vnc' port='-1'{more}><listen type='network' network='vdsm-x'/></graphics>")
    assert [listen.get("address") for listen in graphics.findall("listen")] == ["192.0.2.1"]
    assert graphics.get("listen") is None
    assert (graphics.get("passwd"), graphics.get("passwdValidTo")) == ("closed", "1970-01-01T00:00:01")


def test_the_consoles_socket_becomes_a_terminal() -> None:
    console = device(
        "<console type='unix'><source path='/run/x' mode='bind'/><target type='serial' port='0'/></console>"
    )
    assert (console.get("type"), [child.tag for child in console]) == ("pty", ["target"])


def test_sockets_of_channels_are_libvirts_matter() -> None:
    channel = device(
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/>"
        "<source mode='bind' path='/var/lib/libvirt/qemu/channels/a'/></channel>"
    )
    assert [child.tag for child in channel] == ["target"]
    assert len(device("<channel type='unix'><source mode='bind' path='/run/x'/></channel>")) == 1


def test_errors_of_disks_pause() -> None:
    assert write_xml(device("<disk><driver type='raw'/></disk>")).count('error_policy="stop"') == 1
    assert "report" in write_xml(device("<disk><driver type='raw' error_policy='report'/></disk>"))
    assert "error_policy" not in write_xml(device("<disk device='cdrom'><driver type='raw'/></disk>"))


def test_qemu_runs_with_the_storages_group() -> None:
    root = adapted(label="+64055:+36")
    assert [label.findtext("label") for label in root.findall("seclabel")] == ["+64055:+36"]


def test_interfaces_in_bridges_have_a_filter_and_an_engines_choice_stays() -> None:
    root = etree.fromstring(
        "<domain type='qemu'><devices><interface type='bridge'/><interface type='user'/>"
        "<interface type='bridge'><filterref filter='clean-traffic'/></interface></devices></domain>"
    )
    filter_interfaces(root)
    filter_interfaces(root)
    found = [[one.get("filter") for one in nic.findall("filterref")] for nic in root.iter("interface")]
    assert found == [["covirt-spoof"], [], ["clean-traffic"]]
