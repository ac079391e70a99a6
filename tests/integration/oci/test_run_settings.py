# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a request asks for arrives in the container: user, files, limits, reaper, in runc and in crun."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.oci.bundle import RootLayer
from covirt.oci.limits import Rlimit
from covirt.oci.resources import BlockIoLimit, Resources
from covirt.oci.volume.disks import Disk
from tests.integration.oci.boxes import Boxes, pack_image
from tests.support.roots import new_directory

_MIB = 1 << 20


@pytest.fixture(
    scope="module",
    params=[pytest.param("runc", marks=pytest.mark.runc), pytest.param("crun", marks=pytest.mark.crun)],
)
def boxes(request: pytest.FixtureRequest) -> Iterator[Boxes]:
    with new_directory() as directory:
        yield Boxes(directory, pack_image(directory), request.param)


def test_user_groups_directory_and_environment(boxes: Boxes) -> None:
    outcome = boxes.run(
        "/bin/sh",
        "-c",
        "id -u; id -G; pwd; echo $COLOUR $HOME; hostname",
        user="web",
        working_directory="/www",
        environment=(("COLOUR", "blue"),),
        hostname="shop",
    )
    assert outcome.text.splitlines() == ["101", "102 103", "/www", "blue /www", "shop"]


def test_the_files_in_etc(boxes: Boxes) -> None:
    outcome = boxes.run("/bin/cat", "/etc/resolv.conf", "/etc/hostname")
    assert outcome.text.splitlines() == ["nameserver 192.0.2.53", "box"]
    assert "localhost" in boxes.run("/bin/cat", "/etc/hosts").text
    assert boxes.run("/bin/sh", "-c", "echo 192.0.2.1 mine >> /etc/hosts").status != 0


def test_limits(boxes: Boxes) -> None:
    limits = (Rlimit(name="nofile", soft=100, hard=200), Rlimit(name="core", soft=0, hard=0))
    outcome = boxes.run("/bin/sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -Hc", rlimits=limits)
    assert outcome.text.split() == ["100", "200", "0"]
    size = boxes.run("/bin/sh", "-c", "df -k /dev/shm | tail -n 1", shm_size_bytes=8 * _MIB)
    assert size.text.split()[1] == "8192"
    score = boxes.run("/bin/cat", "/proc/self/oom_score_adj", oom_score_adj=500)
    assert score.text == "500\n"


def test_a_read_only_root(boxes: Boxes) -> None:
    assert boxes.run("/bin/touch", "/made").status == 0
    assert boxes.run("/bin/touch", "/made", readonly_root=True).status != 0
    assert boxes.run("/bin/touch", "/dev/shm/made", readonly_root=True).status == 0


_ORPHAN = """
busybox mkfifo /tmp/end
(
    sh -c 'busybox usleep 100000 &'
    while grep -q '(busybox) [RS]' /proc/[0-9]*/stat; do sleep 0.05; done
    sleep 1
    grep -h '(busybox) Z' /proc/[0-9]*/stat
    echo end > /tmp/end
) &
exec cat /tmp/end
"""


def test_orphans_are_reaped_on_request(boxes: Boxes) -> None:
    """The container's program is a cat, which waits for no child: an orphan that ended stays a zombie."""
    assert "(busybox) Z" in boxes.run("/bin/sh", "-c", _ORPHAN).text
    assert boxes.run("/bin/sh", "-c", _ORPHAN, reaper=True).text == "end\n"


def test_the_exit_status_is_the_programs(boxes: Boxes) -> None:
    for reaper in (False, True):
        assert boxes.run("/bin/sh", "-c", "exit 42", reaper=reaper).status == 42


def test_anyone_may_ping_without_raw_sockets(boxes: Boxes) -> None:
    outcome = boxes.run("/bin/cat", "/proc/sys/net/ipv4/ping_group_range")
    assert outcome.text.split() == ["0", "0"]
    changed = boxes.run("/bin/cat", "/proc/sys/net/ipv4/ip_forward", sysctls=(("net.ipv4.ip_forward", "1"),))
    assert changed.text == "1\n"


def test_a_limit_of_processes_can_be_taken_away(boxes: Boxes) -> None:
    outcome = boxes.run("/bin/true", resources=Resources(pids_limit=None))
    assert outcome.status == 0, outcome


def test_a_disk_is_limited(boxes: Boxes) -> None:
    """The container reads its own cgroup: with either version, the line names the device and the rate."""
    disk = next(entry for entry in sorted(Path("/sys/block").iterdir()) if (entry / "dev").exists())
    major, minor = map(int, (disk / "dev").read_text().split(":"))
    limit = BlockIoLimit(major=major, minor=minor, read_bytes_per_second=5 * _MIB, write_operations_per_second=70)
    outcome = boxes.run(
        "/bin/sh",
        "-c",
        "cd /sys/fs/cgroup && cat blkio/blkio.throttle.read_bps_device blkio/blkio.throttle.write_iops_device"
        " 2>/dev/null || cat io.max",
        resources=Resources(block_io_limits=(limit,)),
    )
    assert outcome.status == 0, outcome
    assert f"{major}:{minor}" in outcome.text
    assert str(5 * _MIB) in outcome.text
    assert "70" in outcome.text


def test_a_root_layer_on_a_disk_is_kept_there_and_limited_by_it(boxes: Boxes) -> None:
    """On the disk the files have the image's ids, so that a run with other ids, on another host, finds its own."""
    path = boxes.directory / f"root-{boxes.runtime}.raw"
    with path.open("wb") as stream:
        stream.truncate(16 * _MIB)
    layer = RootLayer(disk=Disk(path=path), discarded=False)
    change = "rm -r /www && mkdir /www && echo mine > /www/mine && chown -R 101:102 /www"
    first = boxes.run("/bin/sh", "-c", f"{change}; dd if=/dev/zero of=/big bs=1M", layer=layer)
    assert "No space left" in first.text
    again = boxes.run("/bin/sh", "-c", "rm /big && ls -ln /www && cat /www/mine", layer=layer)
    assert again.status == 0
    assert "101      102" in again.text
    assert again.text.splitlines()[-1] == "mine"
    with boxes.disks.hold(Disk(path=path)) as top:
        assert (top / "layer/upper/www/mine").stat().st_uid == 101
