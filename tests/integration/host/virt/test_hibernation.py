# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A machine goes on where it was, after its state was kept in a volume and nothing of it ran."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.root import Root
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.errors import Code
from tests.support.engine_xml import POOL, STORAGE
from tests.support.fake_volumes import FakeVolumes
from tests.support.guest import build_guest
from tests.support.host_vms import HostVms, machine_xml, serve_vms
from tests.support.libvirtd import Libvirtd
from tests.support.waiting import wait_until

pytestmark = pytest.mark.qemu

_STATE = VolumeRef(pool_id=POOL, domain_id=STORAGE, image_id=POOL, volume_id=STORAGE)
_HANDLE = ",".join((STORAGE, POOL, POOL, STORAGE, POOL, STORAGE))
_COUNTS = b"""#!/bin/busybox sh
echo BEGUN
n=0
while true; do n=$((n+1)); echo "count $n"; sleep 1; done
"""


class Kept:
    """A machine that counts, and the volume that its state goes to."""

    def __init__(self, host: HostVms, directory: Path) -> None:
        directory.chmod(0o777)
        self.host = host
        self.log = directory / "console"
        self.state = directory / "state"
        self.state.write_bytes(b"")
        self.state.chmod(0o660)
        host.volumes.paths[_STATE] = str(self.state)
        guest = build_guest(directory, start=_COUNTS)
        self.xml = machine_xml(guest, f"counts-{uuid.uuid4().hex[:6]}", log=self.log)
        self.vm_id = host.run(self.xml)
        self.wait_for(2)

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def counts(self) -> list[int]:
        return [int(number) for number in re.findall(r"count ([0-9]+)", self.said)]

    def wait_for(self, count: int) -> None:
        wait_until(lambda: count in self.counts, timeout_seconds=120, what=f"count {count}")

    def save(self) -> None:
        self.host.call("VM.hibernate", vmID=self.vm_id, hibernateVolHandle=_HANDLE)
        self.host.wait_for(self.vm_id, "Down")

    def begin_again(self) -> None:
        self.host.call("VM.create", vmID="", vmParams={"xml": self.xml, "hiberVolHandle": _HANDLE})


@pytest.fixture
def kept(root_dir: Root, libvirtd: Libvirtd, open_dir: Path) -> Iterator[Kept]:
    volumes = FakeVolumes({})
    with serve_vms(root_dir, oci_uri="oci+unix:///none", qemu_uri=libvirtd.uri, volumes=volumes) as host:
        yield Kept(host, open_dir)


def test_it_goes_on_where_it_was(kept: Kept, libvirtd: Libvirtd) -> None:
    host, vm_id = kept.host, kept.vm_id
    kept.save()
    assert "BEGUN" in kept.said
    last = max(kept.counts)
    stats = host.stats(vm_id)
    assert (stats["exitCode"], stats["exitReason"]) == (0, 5)
    assert host.statuses(vm_id)[-2:] == ["Saving State", "Down"]
    assert host.volumes.users == {}
    assert kept.state.stat().st_size > 1 << 20
    host.call("VM.destroy", vmID=vm_id)
    assert vm_id not in libvirtd.virsh("list", "--all", "--uuid").stdout.decode()

    kept.begin_again()
    host.wait_for(vm_id, "Up")
    kept.wait_for(last + 2)  # libvirt begins the file of its console anew
    assert "BEGUN" not in kept.said
    assert kept.counts[0] in (last, last + 1)
    assert host.statuses(vm_id)[-3:] == ["Restoring state", "Paused", "Powering up"]
    assert host.volumes.users == {}
    assert "passwdValidTo" not in libvirtd.virsh("dumpxml", vm_id).stdout.decode()


def test_what_is_no_state_starts_nothing(kept: Kept) -> None:
    host, vm_id = kept.host, kept.vm_id
    host.call("VM.destroy", vmID=vm_id)
    kept.state.write_bytes(b"nonsense" * 1000)
    kept.begin_again()
    host.wait_for(vm_id, "Down")
    assert host.stats(vm_id)["exitReason"] == 3
    assert host.volumes.users == {}
    assert kept.state.read_bytes() == b"nonsense" * 1000


def test_a_save_that_fails_lets_it_go_on(kept: Kept) -> None:
    host, vm_id = kept.host, kept.vm_id
    host.volumes.paths[_STATE] = str(kept.state.parent / "nowhere" / "state")
    host.call("VM.hibernate", vmID=vm_id, hibernateVolHandle=_HANDLE)
    wait_until(lambda: host.volumes.users == {} and host.status(vm_id) == "Up", what="its end")
    assert "Saving State" in host.statuses(vm_id)
    kept.wait_for(max(kept.counts) + 2)
    assert host.refusal("VM.hibernate", vmID=vm_id, hibernateVolHandle="a,b").code == Code.INVALID_PARAMETER
    assert host.refusal("VM.hibernate", vmID=str(uuid.uuid4()), hibernateVolHandle=_HANDLE).code == Code.NO_SUCH_VM
