# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A guest reads the files that its engine has sent along, and nobody else does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from covirt.common.root import Root
from tests.support.engine_xml import DRIVE, payload_facts
from tests.support.guest import build_guest
from tests.support.host_vms import HostVms, block, machine_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.roots import new_root
from tests.support.waiting import wait_until

pytestmark = pytest.mark.qemu

_VALUE = "correct-horse"
_FILES = {"openstack/latest/meta_data.json": b'{"hostname": "web"}', "openstack/latest/user_data": _VALUE.encode()}
# What cloud-init does: it looks for a disc of this name, and reads what is on it.
_READS = b"""#!/bin/busybox sh
mount -t iso9660 -o ro /dev/sr0 /tmp
dd if=/dev/sr0 bs=8 skip=4101 count=1 2>/dev/null
cd /tmp && find . -type f | sort
cat openstack/latest/user_data
echo; echo READ-ALL
"""
_MODULES = ("ata_piix", "sr_mod", "isofs")


@pytest.fixture(scope="module")
def root() -> Iterator[Root]:
    with new_root() as made:
        yield made


@pytest.fixture(scope="module")
def host(root: Root, libvirtd: Libvirtd) -> Iterator[HostVms]:
    with serve_vms(root, oci_uri="oci+unix:///none", qemu_uri=libvirtd.uri) as running:
        yield running


def _with_files(xml: str) -> str:
    root = etree.fromstring(xml)
    devices, metadata = root.find("devices"), root.find("metadata")
    assert devices is not None
    assert metadata is not None
    devices.append(etree.fromstring(DRIVE))
    metadata[:] = [etree.fromstring(block(devices=payload_facts(_FILES)))]
    return etree.tostring(root, encoding="unicode")


def test_a_guest_reads_them_and_nobody_else(host: HostVms, root: Root, libvirtd: Libvirtd, open_dir: Path) -> None:
    log = open_dir / "console"
    open_dir.chmod(0o777)
    guest = build_guest(open_dir, start=_READS, modules=_MODULES)
    answer = host.call("VM.create", vmID="", vmParams={"xml": _with_files(machine_xml(guest, "first", log=log))})
    vm_id = answer["vmId"]
    assert _VALUE not in str(answer)
    host.wait_for(vm_id, "Up")
    wait_until(lambda: b"READ-ALL" in log.read_bytes(), timeout_seconds=90)
    said = log.read_text(errors="replace")
    assert "config-2" in said
    assert all(f"./{name}" in said for name in _FILES)
    assert _VALUE in said
    coded = payload_facts({"x": _VALUE.encode()}).partition('path="x">')[2][:12]
    seen = [
        libvirtd.virsh("dumpxml", "--security-info", vm_id).stdout.decode(),
        str([host.call("VM.getStats", vmID=vm_id), host.call("Host.getVMList"), host.events(vm_id)]),
        *(path.read_text() for path in root.path.rglob("*.json")),
    ]
    assert all(_VALUE not in text and coded not in text for text in seen)
    (disc,) = (root.run_dir / "host/payload").iterdir()
    assert disc.name == f"{vm_id}.iso"
    assert disc.stat().st_mode & 0o077 == 0
    host.call("VM.destroy", vmID=vm_id)
    assert not disc.exists()


def test_a_failed_start_leaves_no_disc(host: HostVms, root: Root, open_dir: Path) -> None:
    guest = build_guest(open_dir)
    xml = _with_files(machine_xml(guest, "never")).replace("vmlinuz", "nothing")
    vm_id = host.create(xml)
    wait_until(lambda: host.status(vm_id) == "Down")
    assert list((root.run_dir / "host/payload").iterdir()) == []
    host.call("VM.destroy", vmID=vm_id)
