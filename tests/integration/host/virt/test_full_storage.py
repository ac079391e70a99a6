# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A machine whose storage is full: its QEMU pauses it, an engine hears why, and nothing that it wrote is lost."""

import uuid
from pathlib import Path

import pytest

from covirt.common.process import run
from covirt.common.root import Root
from covirt.host.virt.volumes import VolumeRef
from tests.support.engine_xml import POOL, STORAGE
from tests.support.fake_volumes import FakeVolumes
from tests.support.host_vms import SECONDS, block, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.waiting import wait_until

pytestmark = pytest.mark.qemu

REF = VolumeRef(pool_id=POOL, domain_id=STORAGE, image_id=POOL, volume_id=STORAGE)
SIZE, CHUNK = 4 << 20, 64 * 512
ALL_CHUNKS = SIZE // CHUNK - 1  # but the first, where it boots from
# A boot sector that writes itself, with the 63 sectors of memory after it, all over its disk from sector 64 on.
BOOT_SECTOR = bytes.fromhex(
    "31c0 8ed8"  # xor ax, ax; mov ds, ax
    "be247c b443 b000 b280 cd13"  # again: write by the packet at 7c24
    "6683062c7c40"  # its sector += 64
    "66813e2c7c00200000 72e4"  # while it is below 8192: again
    "f4 ebfd 00"  # halt
    "1000 4000 007c0000 4000000000000000"  # the packet: 64 sectors from 0000:7c00 to sector 64
).ljust(510, b"\0") + b"\x55\xaa"  # fmt: skip


def machine() -> str:
    """As an engine has it: the disk's path is its place in a data center."""
    path = f"/rhev/data-center/{POOL}/{STORAGE}/images/{POOL}/{STORAGE}"
    return f"""<domain type='kvm'><name>full</name><uuid>{uuid.uuid4()}</uuid>
<memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os><metadata>{block()}</metadata>
<devices><disk type='file' device='disk'><driver name='qemu' type='raw' cache='writeback'/><source file='{path}'/>
<target dev='vda' bus='virtio'/></disk></devices></domain>"""


def test_a_full_storage_pauses_and_goes_on(root_dir: Root, libvirtd: Libvirtd, open_dir: Path) -> None:
    open_dir.chmod(0o777)
    small = open_dir / "small"
    small.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "small", small], timeout_seconds=10)
    try:
        disk = small / "disk"
        with disk.open("wb") as file:
            file.write(BOOT_SECTOR)
            file.truncate(SIZE)
        disk.chmod(0o666)
        volumes = FakeVolumes({REF: str(disk)})
        nowhere = f"oci+unix:///system?socket={open_dir / 'none'}"
        with serve_vms(root_dir, oci_uri=nowhere, qemu_uri=libvirtd.uri, volumes=volumes) as host:
            vm_id = host.create(machine())

            def pauses() -> int:
                return [event.get("pauseCode") for event in host.events(vm_id)].count("ENOSPC")

            def chunks() -> int:
                return disk.read_bytes()[CHUNK:].count(BOOT_SECTOR[:36])

            wait_until(lambda: pauses() == 1, timeout_seconds=SECONDS)
            assert host.stats(vm_id)["pauseCode"] == "ENOSPC"
            host.call("VM.cont", vmID=vm_id)  # an engine that tries too early
            wait_until(lambda: pauses() == 2, timeout_seconds=SECONDS)
            assert chunks() < ALL_CHUNKS
            run(["mount", "-o", "remount,size=8m", small], timeout_seconds=10)
            host.part.storage_loss.domain_health(STORAGE, ok=True)
            wait_until(lambda: chunks() == ALL_CHUNKS, timeout_seconds=SECONDS)
            assert (host.status(vm_id), host.stats(vm_id)["pauseCode"]) == ("Up", "NOERR")
        assert volumes.users == {}
    finally:
        run(["umount", small], timeout_seconds=10)
