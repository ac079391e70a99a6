# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where runs are put with and without systemd; systemd's programs are scripts, the v2 tree is a directory."""

import errno
import logging
from pathlib import Path

import pytest

from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.cgroup_tree import CgroupTree, SliceResources, cpu_weight
from covirt.oci.resources import BlockIoLimit
from covirt.oci.supervisor import PlainSupervisor, ScopeNotStarted, SystemdSupervisor, slice_path
from tests.support.programs import fake_program, prepend_path

SCOPE = "machine.slice/machine-covirt.slice/covirt-abcdef-one.scope"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "programs"
    directory.mkdir()
    prepend_path(monkeypatch, directory)
    return directory


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    directory = tmp_path / "cgroup"
    directory.mkdir()
    return directory


def v2(tree: Path) -> CgroupLayout:
    return CgroupLayout(version=2, hierarchies={}, unified=str(tree))


def v1(tree: Path) -> CgroupLayout:
    return CgroupLayout(version=1, hierarchies={"pids": str(tree / "pids")}, unified=str(tree / "unified"))


def make_v2_group(path: Path) -> None:
    """The files that a kernel puts into a new cgroup."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "cgroup.procs").touch()
    (path / "cgroup.controllers").write_text("cpu memory pids\n")
    (path / "cgroup.subtree_control").write_text("")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("machine.slice", "/machine.slice"),
        ("machine-covirt.slice", "/machine.slice/machine-covirt.slice"),
        ("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice"),
    ],
)
def test_a_dash_in_a_slice_is_a_level(name: str, path: str) -> None:
    assert slice_path(name) == path


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (1024, 39), (262144, 10000), (0, 1), (10**9, 10000)])
def test_shares_become_a_weight(shares: int, weight: int) -> None:
    assert cpu_weight(shares) == weight


def test_a_scope_is_waited_for_and_its_program_moved(programs: Path, tree: Path) -> None:
    scope = tree / SCOPE
    # Makes what systemd and the kernel would make, says what systemd-run says, and becomes the program.
    fake_program(
        programs,
        "systemd-run",
        f"""
        echo "$@" > {tree}/arguments
        mkdir -p {scope}/supervisor
        touch {scope}/supervisor/cgroup.procs
        echo 'cpu memory pids' > {scope}/cgroup.controllers
        : > {scope}/cgroup.subtree_control
        echo 'Running scope as unit: covirt-abcdef-one.scope' >&2
        while [ "$1" != -- ]; do shift; done; shift
        exec "$@"
        """,
    )
    run = SystemdSupervisor("abcdef", v2(tree)).prepare("one")
    assert run.container_path == f"/{SCOPE}/container"
    with run.spawn(["sleep", "1000"], environment={}, directory=tree, pass_descriptors=()) as child:
        assert (scope / "supervisor/cgroup.procs").read_text() == str(child.pid)
        # Handed on only after the move: a group with processes of its own may not.
        assert (scope / "cgroup.subtree_control").read_text().startswith("+pids")  # the last one written
        child.stderr.close()
    arguments = (tree / "arguments").read_text()
    assert "--scope" in arguments
    assert "--unit=covirt-abcdef-one.scope" in arguments
    assert "--slice=machine-covirt.slice" in arguments
    assert "Delegate=yes" in arguments


def test_what_systemd_says_is_in_the_error(programs: Path, tree: Path) -> None:
    fake_program(programs, "systemd-run", "echo 'Failed to start transient scope unit: no room' >&2; exit 1")
    run = SystemdSupervisor("abcdef", v2(tree)).prepare("one")
    with pytest.raises(ScopeNotStarted, match="no room"):
        run.spawn(["sleep", "1000"], environment={}, directory=tree, pass_descriptors=())


def test_no_machine_manager_is_no_error(programs: Path, tree: Path) -> None:
    fake_program(programs, "busctl", "echo 'The name is not activatable' >&2; exit 1")
    SystemdSupervisor("abcdef", v2(tree)).adopt("one").register(leader_pid=1, uuid=bytes(16))


def test_a_machine_is_registered_with_its_uuid(programs: Path, tree: Path) -> None:
    fake_program(programs, "busctl", f'echo "$@" > {tree}/call')
    SystemdSupervisor("abcdef", v2(tree)).adopt("one").register(leader_pid=77, uuid=bytes(range(16)))
    call = (tree / "call").read_text()
    assert "RegisterMachine sayssus covirt-abcdef-one 16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 covirt" in call
    assert "container 77" in call


def test_limits_of_the_slice_reach_systemd(programs: Path, tree: Path) -> None:
    fake_program(programs, "systemctl", f'echo "$@" > {tree}/call')
    supervisor = SystemdSupervisor("abcdef", v2(tree))
    supervisor.limit_slice(
        SliceResources(memory_limit_bytes=1 << 30, cpu_quota_us=150_000, cpu_shares=2, pids_limit=9)
    )
    assert (tree / "call").read_text().split() == [
        *("set-property", "--runtime", "machine-covirt.slice"),
        *("MemoryMax=1073741824", "TasksMax=9", "CPUQuota=150%", "CPUWeight=1"),
        *("IOReadBandwidthMax=", "IOWriteBandwidthMax=", "IOReadIOPSMax=", "IOWriteIOPSMax="),
    ]


def test_disks_of_the_slice_reach_systemd(programs: Path, tree: Path) -> None:
    fake_program(programs, "systemctl", f'printf "%s\\n" "$@" > {tree}/call')
    disk = BlockIoLimit(major=8, minor=16, write_bytes_per_second=1000, read_operations_per_second=7)
    SystemdSupervisor("abcdef", v2(tree)).limit_slice(SliceResources(block_io_limits=(disk,)))
    assert (tree / "call").read_text().splitlines()[-2:] == [
        "IOWriteBandwidthMax=/dev/block/8:16 1000",
        "IOReadIOPSMax=/dev/block/8:16 7",
    ]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (1, ["CPUShares=1024", "BlockIOReadBandwidth=", "BlockIOWriteBandwidth="]),
        (2, ["CPUWeight=100", "IOReadBandwidthMax=", "IOWriteBandwidthMax=", "IOReadIOPSMax=", "IOWriteIOPSMax="]),
    ],
)
def test_what_is_not_configured_any_more_is_taken_back_from_systemd(
    programs: Path, tree: Path, version: int, expected: list[str]
) -> None:
    fake_program(programs, "systemctl", f'printf "%s\\n" "$@" > {tree}/call')
    layout = v2(tree) if version == 2 else v1(tree)
    SystemdSupervisor("abcdef", layout).limit_slice(SliceResources())
    assert (tree / "call").read_text().splitlines()[-len(expected) :] == expected


def test_a_limit_that_the_kernel_refuses_keeps_no_other_off(
    tree: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As v1 does with less memory than is in use."""
    written: list[tuple[str, str]] = []

    def write(path: str, text: str) -> None:
        if "memory" in path:
            raise OSError(errno.EBUSY, "Device or resource busy")
        written.append((Path(path).name, text))

    layout = CgroupLayout(
        version=1, hierarchies={"pids": str(tree / "pids"), "memory": str(tree / "memory")}, unified=None
    )
    monkeypatch.setattr("covirt.oci.cgroup_tree._write", write)
    CgroupTree(layout).limit("/slice", SliceResources(memory_limit_bytes=1, pids_limit=9))
    assert ("pids.max", "9") in written
    assert "memory.limit_in_bytes value=1: more is in use" in caplog.text


def test_operations_that_systemd_cannot_limit_are_told(
    programs: Path, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fake_program(programs, "systemctl", "exit 0")
    disk = BlockIoLimit(major=8, minor=16, write_bytes_per_second=1000, read_operations_per_second=7)
    SystemdSupervisor("abcdef", v1(tree)).limit_slice(SliceResources(block_io_limits=(disk,)))
    assert "device=8:16" in caplog.text


def test_only_runs_of_this_installation_are_left_over(tree: Path) -> None:
    for name in ("covirt-abcdef-one.scope", "covirt-zzzzzz-two.scope", "machine-qemu.scope"):
        make_v2_group(tree / "machine.slice/machine-covirt.slice" / name)
    assert SystemdSupervisor("abcdef", v2(tree)).leftovers() == ("one",)


def test_controllers_are_handed_down_to_the_leaves(tree: Path) -> None:
    for path in (tree, tree / "covirt-abcdef", tree / "covirt-abcdef/one"):
        make_v2_group(path)
    run = PlainSupervisor("abcdef", v2(tree)).prepare("one")
    assert run.supervisor_path == "/covirt-abcdef/one/supervisor"
    for path in (tree, tree / "covirt-abcdef", tree / "covirt-abcdef/one"):
        assert (path / "cgroup.subtree_control").read_text().startswith("+pids")
    assert (tree / "covirt-abcdef/one/supervisor").is_dir()


def test_the_slice_has_limits_on_v2(tree: Path) -> None:
    make_v2_group(tree / "covirt-abcdef")
    for name in ("memory.max", "cpu.max", "cpu.weight", "pids.max"):
        (tree / "covirt-abcdef" / name).touch()
    PlainSupervisor("abcdef", v2(tree)).limit_slice(SliceResources(memory_limit_bytes=4096, cpu_quota_us=50_000))
    read = {path.name: path.read_text() for path in (tree / "covirt-abcdef").iterdir()}
    assert read["memory.max"] == "4096"
    assert read["cpu.max"] == "50000 100000"
    assert read["cpu.weight"] == "100"
    assert read["pids.max"] == "max"


def test_a_disk_of_an_earlier_configuration_is_freed_on_v2(tree: Path) -> None:
    make_v2_group(tree / "covirt-abcdef")
    for name in ("memory.max", "cpu.max", "cpu.weight", "pids.max"):
        (tree / "covirt-abcdef" / name).touch()
    limits = tree / "covirt-abcdef/io.max"
    limits.write_text("8:16 rbps=max wbps=1000 riops=max wiops=max\n")
    supervisor = PlainSupervisor("abcdef", v2(tree))
    supervisor.limit_slice(SliceResources())
    assert limits.read_text().startswith("8:16 rbps=max wbps=max riops=max wiops=max")
    supervisor.limit_slice(
        SliceResources(block_io_limits=(BlockIoLimit(major=8, minor=16, read_bytes_per_second=5),))
    )
    assert limits.read_text().startswith("8:16 rbps=5 wbps=max riops=max wiops=max")


def test_a_limit_without_its_controller_is_told(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_v2_group(tree / "covirt-abcdef")
    with caplog.at_level(logging.WARNING):
        PlainSupervisor("abcdef", v2(tree)).limit_slice(SliceResources(memory_limit_bytes=4096))
    assert "memory.max" in caplog.text


def test_nothing_of_an_absent_place(tree: Path) -> None:
    run = PlainSupervisor("abcdef", v2(tree)).adopt("never")
    assert run.processes() == frozenset()
    run.remove()
    assert PlainSupervisor("abcdef", v2(tree)).leftovers() == ()


def test_what_a_runtime_made_in_the_v2_tree_beside_v1_goes_too(tree: Path) -> None:
    layout = v1(tree)
    for name in ("pids", "unified"):
        (tree / name / "covirt-abcdef/one/container").mkdir(parents=True)
    supervisor = PlainSupervisor("abcdef", layout)
    supervisor.adopt("one").remove()
    assert supervisor.leftovers() == ()
    supervisor.remove()
    assert not list((tree / "unified").iterdir())


def test_a_thread_cannot_move_alone_on_v2(tree: Path) -> None:
    with pytest.raises(ValueError, match="threaded"):
        CgroupTree(v2(tree)).call_inside("/x", lambda: None)
