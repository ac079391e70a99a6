# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Mount tables of the four kinds of host, taken from real ones."""

from pathlib import Path

from covirt.oci.cgroup_layout import CgroupLayout

PURE = ["27 21 0:23 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot"]
HYBRID = [
    "24 21 0:21 / /sys/fs/cgroup ro,nosuid shared:8 - tmpfs tmpfs ro,size=4096k,nr_inodes=1024,mode=755",
    "25 24 0:22 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate",
    "26 24 0:23 / /sys/fs/cgroup/systemd rw,nosuid shared:10 - cgroup cgroup rw,xattr,name=systemd",
    "27 24 0:24 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:11 - cgroup cgroup rw,cpu,cpuacct",
    "28 24 0:25 / /sys/fs/cgroup/memory rw,nosuid shared:12 - cgroup cgroup rw,memory",
    # a container's own view, bind-mounted somewhere
    "99 1 0:25 /box /var/box/sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
]


def test_v2_alone() -> None:
    layout = CgroupLayout.parse(PURE)
    assert layout.version == 2
    assert layout.unified == "/sys/fs/cgroup"
    assert layout.mount_points() == ("/sys/fs/cgroup",)


def test_v1_with_v2_beside_it() -> None:
    layout = CgroupLayout.parse(HYBRID)
    assert layout.version == 1
    assert layout.unified == "/sys/fs/cgroup/unified"
    assert layout.hierarchies["cpuacct"] == "/sys/fs/cgroup/cpu,cpuacct"
    assert layout.hierarchies["memory"] == "/sys/fs/cgroup/memory"
    assert layout.controllers() == {"cpu", "cpuacct", "memory"}


def test_trees_with_two_controllers_count_once() -> None:
    layout = CgroupLayout.parse(HYBRID)
    assert sorted(layout.mount_points()) == [
        "/sys/fs/cgroup/cpu,cpuacct",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/systemd",
    ]


def test_v1_alone() -> None:
    layout = CgroupLayout.parse([line for line in HYBRID if "cgroup2" not in line])
    assert layout.version == 1
    assert layout.unified is None
    assert layout.unified_controllers() == frozenset()


def test_no_cgroups_at_all() -> None:
    layout = CgroupLayout.parse(["1 0 8:1 / / rw - ext4 /dev/sda1 rw"])
    assert layout.version == 1
    assert layout.mount_points() == ()


def test_controllers_of_the_v2_tree(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    layout = CgroupLayout(version=2, hierarchies={}, unified=str(tmp_path))
    assert layout.controllers() == {"cpu", "memory", "pids"}
