# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits written to files as kernels have them: v1 and v2, in an order they take, and back when one is not taken."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.cgroup_limits import CgroupGone, CgroupLimits, LimitNotTaken, MemoryInUse, NoSuchLimit
from covirt.oci.limit_settings import Setting
from covirt.oci.resources import BlockIoLimit, Resources
from tests.support.limit_trees import PLACE, read_files, v1_tree, v2_tree

MIB = 1024 * 1024
NONE = Resources(pids_limit=None)
SOME = Resources(
    memory_limit_bytes=64 * MIB,
    memory_reservation_bytes=32 * MIB,
    memory_swap_limit_bytes=96 * MIB,
    cpu_shares=512,
    cpu_quota_us=20_000,
    cpu_period_us=50_000,
    cpuset="1-2",
    memory_nodes="0",
    pids_limit=7,
    block_io_weight=505,
    block_io_limits=(BlockIoLimit(major=8, minor=0, read_bytes_per_second=1000),),
)


@pytest.fixture
def v1(tmp_path: Path) -> CgroupLayout:
    return v1_tree(tmp_path)


@pytest.fixture
def v2(tmp_path: Path) -> CgroupLayout:
    return v2_tree(tmp_path)


@contextmanager
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of files in the order in which they are opened for writing."""
    names: list[str] = []
    real = os.open

    def watch(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_WRONLY:
            names.append(os.path.basename(path))
        return real(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", watch)
        yield names


def test_v1(v1: CgroupLayout) -> None:
    limits = CgroupLimits(v1)
    limits.change(PLACE, NONE, SOME)
    files = read_files(v1)
    assert files["memory.limit_in_bytes"] == str(64 * MIB)
    assert files["memory.memsw.limit_in_bytes"] == str(96 * MIB)
    assert files["memory.soft_limit_in_bytes"] == str(32 * MIB)
    assert (files["cpu.shares"], files["cpu.cfs_quota_us"], files["cpu.cfs_period_us"]) == ("512", "20000", "50000")
    assert (files["cpuset.cpus"], files["cpuset.mems"], files["cpuset.memory_migrate"]) == ("1,2", "0", "0")
    assert (files["pids.max"], files["blkio.bfq.weight"]) == ("7", "505")
    assert files["blkio.throttle.read_bps_device"] == "8:0 1000"
    assert limits.read(PLACE) == replace(SOME, cpuset="0-3")  # nobody keeps the effective ones up to date here
    limits.change(PLACE, SOME, NONE)
    files = read_files(v1)
    assert (files["memory.limit_in_bytes"], files["memory.memsw.limit_in_bytes"]) == ("-1", "-1")
    assert (files["cpu.shares"], files["cpu.cfs_quota_us"], files["cpu.cfs_period_us"]) == ("1024", "-1", "100000")
    assert files["cpuset.cpus"] == "0,1,2,3"  # the parent's
    assert (files["pids.max"], files["blkio.bfq.weight"]) == ("max", "100")
    assert files["blkio.throttle.read_bps_device"] == "8:0 0"


def test_v2(v2: CgroupLayout) -> None:
    limits = CgroupLimits(v2)
    limits.change(PLACE, NONE, SOME)
    files = read_files(v2)
    assert (files["memory.max"], files["memory.swap.max"]) == (str(64 * MIB), str(32 * MIB))
    assert (files["memory.low"], files["memory.high"]) == (str(32 * MIB), "max")
    assert (files["cpu.weight"], files["cpu.max"]) == ("20", "20000 50000")
    assert (files["cpuset.cpus"], files["cpuset.mems"], files["pids.max"]) == ("1,2", "0", "7")
    assert (files["io.weight"], files["io.max"]) == ("5000", "8:0 rbps=1000")
    assert limits.read(PLACE, SOME) == replace(SOME, cpuset="0-3")
    limits.change(PLACE, SOME, NONE)
    files = read_files(v2)
    assert (files["memory.max"], files["memory.swap.max"], files["memory.low"]) == ("max", "max", "0")
    assert (files["cpu.weight"], files["cpu.max"]) == ("100", "max 100000")
    assert (files["cpuset.cpus"], files["cpuset.mems"], files["pids.max"]) == ("", "", "max")
    assert files["io.max"] == "8:0 rbps=max"


def test_only_what_differs_is_written(v1: CgroupLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else may have set the rest by hand."""
    with written(monkeypatch) as names:
        CgroupLimits(v1).change(PLACE, SOME, replace(SOME, cpu_shares=3))
    assert names == ["cpu.shares"]


@pytest.mark.parametrize(
    ("limit_mib", "both_mib", "first"),
    [
        (128, 128, "memory.memsw.limit_in_bytes"),
        (32, 32, "memory.limit_in_bytes"),
        (80, 80, "memory.limit_in_bytes"),
        (32, 256, "memory.memsw.limit_in_bytes"),
    ],
)
def test_v1_memory_never_exceeds_memory_and_swap(
    v1: CgroupLayout, monkeypatch: pytest.MonkeyPatch, limit_mib: int, both_mib: int, first: str
) -> None:
    limits = CgroupLimits(v1)
    limits.change(PLACE, NONE, SOME)
    new = replace(SOME, memory_limit_bytes=limit_mib * MIB, memory_swap_limit_bytes=both_mib * MIB)
    with written(monkeypatch) as names:
        limits.change(PLACE, SOME, new)
    assert [names[0], len(names)] == [first, 2]


def test_v1_quota_is_away_while_the_period_changes(v1: CgroupLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short period with the old quota may be more than the parent's share, which the kernel refuses."""
    limits = CgroupLimits(v1)
    with written(monkeypatch) as names:
        limits.change(PLACE, NONE, replace(NONE, cpu_period_us=5000, cpu_quota_us=2000))
    assert names == ["cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_quota_us"]


def test_v2_memory_that_is_in_use_is_left_alone(v2: CgroupLayout, tmp_path: Path) -> None:
    """v2 would kill for it at once."""
    limits = CgroupLimits(v2)
    limits.change(PLACE, NONE, SOME)
    (tmp_path / PLACE.lstrip("/") / "memory.current").write_text(f"{48 * MIB}\n")
    before = read_files(v2)
    new = replace(SOME, memory_limit_bytes=16 * MIB, pids_limit=9)
    with pytest.raises(MemoryInUse, match=r"uses 49152 KiB .* new limit of 16384 KiB"):
        limits.change(PLACE, SOME, new)
    assert read_files(v2) == before


def test_v2_asks_for_memory_back_before_it_limits(
    v2: CgroupLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = CgroupLimits(v2)
    limits.change(PLACE, NONE, SOME)
    current = tmp_path / PLACE.lstrip("/") / "memory.current"
    current.write_text(f"{48 * MIB}\n")
    real = CgroupLimits._write

    def reclaim(self: CgroupLimits, path: str, setting: Setting) -> None:
        real(self, path, setting)
        if setting.file == "memory.high" and setting.value is not None:
            assert read_files(v2)["memory.high"] == str(16 * MIB)
            current.write_text(f"{8 * MIB}\n")

    monkeypatch.setattr(CgroupLimits, "_write", reclaim)
    limits.change(PLACE, SOME, replace(SOME, memory_limit_bytes=16 * MIB))
    files = read_files(v2)
    assert (files["memory.max"], files["memory.high"]) == (str(16 * MIB), "max")


@pytest.mark.parametrize("file", ["pids/x/container/pids.max", "blkio/x/container/blkio.throttle.read_bps_device"])
def test_a_limit_that_is_not_taken_takes_none_of_the_others(v1: CgroupLayout, tmp_path: Path, file: str) -> None:
    (tmp_path / file).unlink()
    (tmp_path / file).mkdir()  # cannot be written
    before = read_files(v1)
    with pytest.raises(LimitNotTaken, match="Is a directory"):
        CgroupLimits(v1).change(PLACE, NONE, SOME)
    now = read_files(v1)
    assert {name: now[name] for name in ("cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us")} == {
        name: before[name] for name in ("cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us")
    }
    assert CgroupLimits(v1).read(PLACE).memory_limit_bytes is None


def test_what_the_kernel_makes_something_else_of_is_a_failure(v1: CgroupLayout, tmp_path: Path) -> None:
    shares = tmp_path / "cpu/x/container/cpu.shares"
    shares.unlink()
    shares.symlink_to("/dev/null")  # takes it, and has not got it
    with pytest.raises(LimitNotTaken, match=r"512 for cpu\.shares"):
        CgroupLimits(v1).change(PLACE, NONE, replace(NONE, cpu_shares=512))


def test_a_controller_that_is_not_there_is_named(v1: CgroupLayout) -> None:
    hierarchies = {name: mount for name, mount in v1.hierarchies.items() if name != "pids"}
    limits = CgroupLimits(replace(v1, hierarchies=hierarchies))
    with pytest.raises(NoSuchLimit, match=r"pids\.max"):
        limits.change(PLACE, NONE, replace(NONE, pids_limit=5))
    limits.change(PLACE, NONE, replace(NONE, cpu_shares=5))


def test_a_kernel_that_does_not_count_swap_limits_none(v1: CgroupLayout, tmp_path: Path) -> None:
    (tmp_path / "memory/x/container/memory.memsw.limit_in_bytes").unlink()
    CgroupLimits(v1).change(PLACE, NONE, SOME)
    assert read_files(v1)["memory.limit_in_bytes"] == str(64 * MIB)


def test_weights_need_a_kernel_that_weighs(v1: CgroupLayout, tmp_path: Path) -> None:
    (tmp_path / "blkio/x/container/blkio.bfq.weight").unlink()
    limits = CgroupLimits(v1)
    with pytest.raises(NoSuchLimit, match="weight"):
        limits.change(PLACE, NONE, replace(NONE, block_io_weight=200))
    assert limits.read(PLACE).block_io_weight is None


def test_a_change_that_was_cut_off_is_put_back_whole(v2: CgroupLayout) -> None:
    limits = CgroupLimits(v2)
    limits.change(
        PLACE, NONE, replace(SOME, block_io_limits=(BlockIoLimit(major=9, minor=1, write_bytes_per_second=5),))
    )
    directory = Path(f"{v2.unified}{PLACE}")
    (directory / "memory.high").write_text("4096\n")
    limits.restore(PLACE, replace(NONE, memory_limit_bytes=MIB))
    files = read_files(v2)
    assert (files["memory.max"], files["memory.high"], files["pids.max"]) == (str(MIB), "max", "max")
    assert files["io.max"] == "9:1 wbps=max"


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (1024, 39), (1024, 100), (262144, 10000)])
def test_shares_of_v2(v2: CgroupLayout, shares: int, weight: int) -> None:
    """Two ways are in use to make weights of shares."""
    Path(f"{v2.unified}{PLACE}/cpu.weight").write_text(f"{weight}\n")
    assert CgroupLimits(v2).read(PLACE, Resources(cpu_shares=shares)).cpu_shares == shares


def test_default_shares_of_v2(v2: CgroupLayout) -> None:
    assert CgroupLimits(v2).read(PLACE).cpu_shares == 1024
    Path(f"{v2.unified}{PLACE}/cpu.weight").write_text("20\n")
    assert CgroupLimits(v2).read(PLACE).cpu_shares == 501


def test_a_container_that_has_just_ended(v1: CgroupLayout) -> None:
    limits = CgroupLimits(v1)
    with pytest.raises(CgroupGone, match="just ended"):
        limits.change("/x/gone", NONE, replace(NONE, cpu_shares=5))
    limits.restore("/x/gone", SOME)


def test_reading_what_is_not_there() -> None:
    nowhere = CgroupLimits(CgroupLayout(version=1, hierarchies={}, unified=None))
    assert nowhere.read(PLACE) == replace(NONE)
    assert nowhere.memory_limit_bytes(PLACE) is None
