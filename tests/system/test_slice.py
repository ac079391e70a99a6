# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What all containers together may use: the configured share of the host, for machines and agents keep the rest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import cgroups
from tests.support.virtocid import Virtocid, serve_virtocid

_CONFIGURATION = """
[slice]
memory_percent = 50
cpu_percent = 50
pids_limit = 500
"""


@pytest.fixture(scope="module")
def virtocid_daemon(busybox_layout: Path) -> Iterator[Virtocid]:
    with serve_virtocid(busybox_layout, configuration=_CONFIGURATION) as running:
        yield running


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


def limits_of(virtocid: Virtocid, names: tuple[str, ...]) -> list[str]:
    group = f"covirt-{virtocid.root.id}"
    places = [name.format(group) if "{}" in name else f"{group}/{name}" for name in names]
    return [(cgroups.CGROUP_MOUNT / place).read_text().strip() for place in places]
