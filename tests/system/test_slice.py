# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What all containers together may use: the configured share of the host, for machines and agents keep the rest."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from covirt.common.process import run
from covirt.common.root import Root
from tests.support import cgroups
from tests.support.virtocid import Virtocid, serve_virtocid

_CONFIGURATION = """
[slice]
memory_percent = 50
cpu_percent = 50
pids_limit = 500
[slice.disks."{disk}"]
write_bytes_sec = 1048576
read_iops_sec = 100
[slice.disks."/dev/no-such-disk"]
write_iops_sec = 1
"""


@pytest.fixture(scope="module")
def disk(module_root: Root) -> Iterator[str]:
    """A loop device stands for a disk of the host."""
    backing = module_root.path / "disk"
    backing.write_bytes(bytes(1 << 20))
    device = run(["losetup", "--find", "--show", backing], timeout_seconds=60).stdout.decode().strip()
    yield device
    run(["losetup", "--detach", device], timeout_seconds=60)


@pytest.fixture(scope="module")
def virtocid_daemon(busybox_layout: Path, disk: str) -> Iterator[Virtocid]:
    with serve_virtocid(busybox_layout, configuration=_CONFIGURATION.format(disk=disk)) as running:
        yield running


def test_disks_are_limited_and_later_freed(virtocid: Virtocid, disk: str) -> None:
    facts = os.stat(disk).st_rdev
    device = f"{os.major(facts)}:{os.minor(facts)}"
    assert "path=/dev/no-such-disk" in virtocid.log
    if cgroups.hierarchies()[0].version == 2:
        places = [("io.max", "wbps=1048576"), ("io.max", "riops=100")]
    else:
        names = "blkio/{}/blkio.throttle.write_bps_device", "blkio/{}/blkio.throttle.read_iops_device"
        places = [(names[0], f"{device} 1048576"), (names[1], f"{device} 100")]
    for (_, expected), text in zip(places, limits_of(virtocid, [place for place, _ in places]), strict=True):
        assert device in text
        assert expected in text
    configuration = virtocid.root.config_dir / "virtocid.d/test.toml"
    before = configuration.read_text()
    configuration.write_text("")
    virtocid.stop()
    virtocid.start()
    assert not any(device in text for text in limits_of(virtocid, [place for place, _ in places]))
    configuration.write_text(before)
    virtocid.stop()


def test_a_share_is_left_to_the_host_without_configuration(busybox_layout: Path) -> None:
    v1, v2 = ("memory/{}/memory.limit_in_bytes", "pids/{}/pids.max"), ("memory.max", "pids.max")
    with serve_virtocid(busybox_layout) as plain:
        memory, pids = (int(text) for text in limits_of(plain, v2 if cgroups.hierarchies()[0].version == 2 else v1))
    assert 0 < memory <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 9 // 10
    assert pids == int(Path("/proc/sys/kernel/pid_max").read_text()) // 2


def test_slice_is_limited_and_later_freed(virtocid: Virtocid) -> None:
    virtocid.run("inside")
    if cgroups.hierarchies()[0].version == 2:
        names = ("memory.max", "cpu.max", "pids.max")
    else:
        names = ("memory/{}/memory.limit_in_bytes", "cpu/{}/cpu.cfs_quota_us", "pids/{}/pids.max")
    assert limits_of(virtocid, names)[2] == "500"
    bounded = limits_of(virtocid, names)
    (virtocid.root.config_dir / "virtocid.d/test.toml").write_text("")
    virtocid.stop()
    virtocid.start()
    free = limits_of(virtocid, names)
    assert all(one != other for one, other in zip(bounded, free, strict=True))
    assert virtocid.state("inside") == "running (booted)"


def limits_of(virtocid: Virtocid, names: Sequence[str]) -> list[str]:
    group = f"covirt-{virtocid.root.id}"
    places = [name.format(group) if "{}" in name else f"{group}/{name}" for name in names]
    return [(cgroups.CGROUP_MOUNT / place).read_text().strip() for place in places]


def test_a_lower_share_keeps_neither_the_daemon_nor_a_container_off(busybox_layout: Path) -> None:
    """cgroup v1 refuses a slice less than a container in it has, and a container more than its slice has."""
    with serve_virtocid(busybox_layout, configuration="[slice]\n") as daemon:
        daemon.run("before")
        (daemon.root.config_dir / "virtocid.d/test.toml").write_text("[slice]\ncpu_percent = 1\n")
        daemon.stop()
        daemon.start()
        try:
            assert daemon.state("before") == "running (booted)"
            daemon.virsh("destroy", "before")
            daemon.restart()
            daemon.run("next")
            daemon.virsh("setvcpus", "next", "1", "--live")
        finally:
            daemon.remove_domains()
