# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A guest is suspended and goes on, through the API, on a real covirt-host with real storage."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from covirt.engine.model.host import HostStatus
from tests.support.guest import build_guest
from tests.support.libvirtd import Libvirtd
from tests.support.storage_site import Site, new_site
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.qemu]

# It counts in memory, and its disk shows how far it is.
_COUNTS = b"""#!/bin/busybox sh
n=0
while true; do n=$((n+1)); printf 'count %08d\\n' $n | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null; sleep 1; done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    site: Site
    vm_id: str
    volume: Path
    libvirtd: Libvirtd

    @property
    def count(self) -> int:
        with self.volume.open("rb") as file:
            words = file.read(15).split()
        return int(words[1]) if len(words) == 2 and words[1].isdigit() else 0

    @property
    def on_host(self) -> bool:
        return self.vm_id in self.libvirtd.virsh("list", "--all", "--uuid").stdout.decode()

    def act(self, action: str, status: int = 200) -> Any:
        return self.site.api.post(f"vms/{self.vm_id}/{action}", {}, status)

    def wait_for(self, count: int) -> None:
        wait_until(lambda: self.count >= count, timeout_seconds=120, what=f"count {count}")

    @property
    def status(self) -> str:
        return str(self.site.api.get(f"vms/{self.vm_id}")["status"])


@pytest.fixture
def guest(libvirtd: Libvirtd, open_dir: Path) -> Iterator[Guest]:
    open_dir.chmod(0o777)
    tiny = build_guest(open_dir, start=_COUNTS)
    with new_site(f'[virt]\nqemu_uri = "{libvirtd.uri}"\nsample_seconds = 1\nhost_files = ["/"]\n') as site:
        domain_id = site.new_domain("data")
        site.api.put(f"storagedomains/{domain_id}", {"critical_space_action_blocker": "0"})
        with site.store.write() as session:
            facts = session.hosts.get(site.hosts.host_id).facts
            able = replace(
                facts, status=HostStatus.UP, cpu_threads=4, memory_bytes=8 << 30, memory_free_bytes=8 << 30
            )
            session.hosts.update_facts(site.hosts.host_id, able)
        kernel = {
            "kernel": str(tiny.kernel),
            "initrd": str(tiny.initramfs),
            "cmdline": "console=ttyS0 quiet panic=-1",
        }
        place = {"cluster": {"name": "Default"}, "template": {"name": "Blank"}}
        vm_id = site.api.post("vms", {"name": "counts", "memory": 96 << 20, "os": kernel, **place})["id"]
        disk = {"name": "d", "format": "raw", "provisioned_size": 1 << 20}
        disk["storage_domains"] = {"storage_domain": [{"id": domain_id}]}
        attached = {"interface": "virtio", "active": True, "disk": disk}
        disk_id = site.api.post(f"vms/{vm_id}/diskattachments", attached)["id"]
        found = site.api.get(f"disks/{disk_id}")
        volume = site.covirt_host.root.path / "data" / domain_id / "images" / disk_id / found["image_id"]
        made = Guest(site=site, vm_id=vm_id, volume=volume, libvirtd=libvirtd)
        yield made
        with site.covirt_host.client() as client:
            if made.on_host:
                client.call("VM.destroy", {"vmID": vm_id})


def test_it_goes_on_where_it_was(guest: Guest) -> None:
    guest.act("start")
    guest.wait_for(3)
    guest.act("suspend")
    last = guest.count
    assert guest.status == "suspended"
    assert not guest.on_host
    assert len(guest.site.api.get("disks")["disk"]) == 3

    guest.act("start")
    guest.wait_for(last + 2)
    assert guest.status in ("up", "powering_up", "paused")
    assert len(guest.site.api.get("disks")["disk"]) == 1
    guest.act("stop")
    assert guest.status == "down"
    assert all(job.endswith(": finished") for job in guest.site.jobs)
