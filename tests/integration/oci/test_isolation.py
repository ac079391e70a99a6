# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Break-out attempts from a real container with the defaults: each must be refused.

Where it is cheap, the same attempt is shown to succeed outside or with the one isolation loosened that refused it, so
that a test which cannot fail would be noticed.
"""

import ctypes
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covirt.common.process import run, spawn
from covirt.oci.bundle import RootLayer, write_config
from covirt.oci.capabilities import ALL_CAPABILITIES, DEFAULT_CAPABILITIES, capability_set
from covirt.oci.cgroup_layout import CgroupLayout
from covirt.oci.execution import ExecEnd, ExecRequest, ExecTarget, Executor
from covirt.oci.isolation_errors import NoSuchUser
from covirt.oci.monitor import ConmonMonitor, MonitorPaths
from covirt.oci.resources import Resources
from covirt.oci.runtime import RuntimeConfig, TerminalSize
from covirt.oci.runtimes.command_line import CommandLineRuntime
from covirt.oci.seccomp import load_profile
from covirt.oci.spec import Mount, build_spec
from covirt.oci.supervisor import PlainSupervisor
from covirt.oci.volume.views import Volume
from tests.integration.oci.boxes import IDMAP, Boxes, attempt_mounts, attempt_outside, pack_image
from tests.support.roots import new_directory

_MIB = 1 << 20
_HARMLESS_CONTROLLERS = ("rdma", "hugetlb", "memory", "cpu")


@pytest.fixture(
    scope="module",
    params=[pytest.param("runc", marks=pytest.mark.runc), pytest.param("crun", marks=pytest.mark.crun)],
)
def boxes(request: pytest.FixtureRequest) -> Iterator[Boxes]:
    with new_directory() as directory:
        yield Boxes(directory, pack_image(directory, _add_hostile_files), request.param)


def _add_hostile_files(rootfs: Path) -> None:
    os.mknod(rootfs / "disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    for name, mode in (("suid", 0o4755), ("plain", 0o755)):
        (rootfs / name).write_bytes(Path("/usr/bin/id").read_bytes())
        (rootfs / name).chmod(mode)


def _with(*capabilities: str) -> dict[str, Any]:
    chosen = capability_set(add=capabilities)
    return {"capabilities": chosen, "seccomp": load_profile(chosen)}


def test_mount_is_refused(boxes: Boxes) -> None:
    attempt = ("mount", "tmpfs", "/tmp", "tmpfs")
    assert boxes.attempt(*attempt).refused
    assert boxes.attempt(*attempt, **_with("SYS_ADMIN")).status == 0


@pytest.mark.parametrize("path", ["/proc/sys", "/sys", "/etc/hosts", "/sys/fs/cgroup/memory"])
def test_read_only_mounts_stay_read_only(boxes: Boxes, path: str) -> None:
    assert boxes.attempt("remount", path).refused


def test_read_only_volumes_stay_read_only(boxes: Boxes) -> None:
    with new_directory() as directory:
        volume = Volume(source=directory, destination="/data", read_only=True)
        assert boxes.attempt("remount", "/data", volumes=(volume,)).refused
        assert boxes.run("/bin/touch", "/data/made", volumes=(volume,)).status != 0
        writable = Volume(source=directory, destination="/data")
        assert boxes.run("/bin/touch", "/data/made", volumes=(writable,)).status == 0
        assert (directory / "made").stat().st_uid == 0


def test_the_files_in_etc_belong_to_the_host_even_for_sys_admin(boxes: Boxes) -> None:
    command = "mount -o remount,bind,rw /etc/hosts && echo more >> /etc/hosts"
    outcome = boxes.run("/bin/sh", "-c", command, **_with("SYS_ADMIN"))
    assert "Permission denied" in outcome.text, outcome


def test_device_nodes_cannot_be_made(boxes: Boxes) -> None:
    assert boxes.attempt("mknod", "/tmp/disk").refused
    assert boxes.attempt("mknod", "/tmp/disk", **_with(*ALL_CAPABILITIES)).refused


def test_device_nodes_of_the_image_are_dead(boxes: Boxes) -> None:
    outcome = boxes.attempt("open_device", "/disk")
    assert outcome.refused, outcome
    assert "EACCES" in outcome.text


def test_the_device_cgroup_refuses_what_the_file_mode_allows(boxes: Boxes) -> None:
    node = Mount(source="/dev/fuse", destination="/tmp/node", options=("bind",))
    assert attempt_outside("open_device", "/dev/fuse").status == 0
    assert boxes.attempt("open_device", "/tmp/node", mounts=(node,)).refused


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/kernel/profiling",
    ],
)
def test_kernel_settings_cannot_be_written(boxes: Boxes, path: str) -> None:
    assert boxes.attempt("write", path).refused


def test_settings_of_the_containers_own_network_can_be_loosened(boxes: Boxes) -> None:
    attempt = ("write", "/proc/sys/net/ipv4/ip_forward")
    assert boxes.attempt(*attempt, **_with("NET_ADMIN")).refused
    outcome = boxes.attempt(*attempt, readonly_paths=(), **_with("NET_ADMIN"))
    assert outcome.status == 0, outcome


def test_a_host_namespace_cannot_be_entered(boxes: Boxes) -> None:
    """Not even when its file is there: our own network namespace stands for the host's."""
    leak = Mount(source=f"/proc/{os.getpid()}/ns/net", destination="/tmp/net", options=("bind",))
    outcome = boxes.attempt("setns", "/tmp/net", mounts=(leak,))
    assert outcome.refused, outcome
    assert boxes.attempt("setns", "/tmp/net", mounts=(leak,), **_with(*ALL_CAPABILITIES)).refused
    assert attempt_outside("setns", f"/proc/{os.getpid()}/ns/net").status == 0


def test_processes_of_the_host_are_out_of_reach(boxes: Boxes) -> None:
    with spawn(["setpriv", f"--reuid={IDMAP.uid_first}", "--clear-groups", "sleep", "60"]) as victim:
        for attempt in ("kill", "ptrace"):
            assert attempt_outside(attempt, str(victim.pid)).status == 0
            assert boxes.attempt(attempt, str(victim.pid)).refused
    assert boxes.attempt("ptrace_child").status == 0


def test_keys_of_the_host_cannot_be_read(boxes: Boxes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    process_keyring = ctypes.c_long(-3)  # KEY_SPEC_SESSION_KEYRING
    add_key = {"x86_64": 248, "aarch64": 217}[os.uname().machine]
    serial = libc.syscall(add_key, b"user", b"covirt-test", b"secret", ctypes.c_long(6), process_keyring)
    if serial < 0:
        pytest.skip(f"this kernel refuses keys here: {os.strerror(ctypes.get_errno())}")
    try:
        assert "secret" in attempt_outside("read_key", str(serial)).text
        outcome = boxes.attempt("read_key", str(serial))
        assert outcome.refused, outcome
    finally:
        libc.syscall({"x86_64": 250, "aarch64": 219}[os.uname().machine], ctypes.c_long(3), ctypes.c_long(serial))


@pytest.mark.parametrize("attempt", ["load_module", "load_kernel", "reboot", "set_clock", "set_address"])
def test_the_kernel_is_not_the_containers(boxes: Boxes, attempt: str) -> None:
    outcome = boxes.attempt(attempt)
    assert outcome.refused, outcome
    assert "EPERM" in outcome.text


@pytest.mark.parametrize("attempt", ["raw_socket", "packet_socket"])
def test_raw_sockets_need_the_capability(boxes: Boxes, attempt: str) -> None:
    assert boxes.attempt(attempt).refused
    assert boxes.attempt(attempt, **_with("NET_RAW")).status == 0


def test_a_fork_bomb_meets_the_limit(boxes: Boxes) -> None:
    outcome = boxes.attempt("forks", "200", resources=Resources(pids_limit=20))
    assert outcome.refused, outcome
    assert "EAGAIN" in outcome.text
    assert boxes.attempt("forks", "200").text == "200 children\n"


def test_there_is_a_limit_of_processes_by_default(boxes: Boxes) -> None:
    outcome = boxes.attempt("forks", "2100")
    assert "EAGAIN" in outcome.text


def test_a_memory_bomb_is_killed(boxes: Boxes) -> None:
    bomb = ("allocate", "256")
    assert boxes.attempt(*bomb, resources=Resources(memory_limit_bytes=64 * _MIB)).status == 137
    assert boxes.attempt(*bomb, resources=Resources(memory_limit_bytes=512 * _MIB)).status == 0


def test_the_kernels_memory_is_masked(boxes: Boxes) -> None:
    for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts"):
        if os.path.exists(path):
            assert boxes.attempt("read", path).refused
    assert boxes.attempt("read", "/proc/interrupts", masked_paths=()).status == 0


def test_nothing_gains_privileges(boxes: Boxes) -> None:
    assert boxes.attempt("status", "NoNewPrivs").text == "1\n"
    assert boxes.attempt("status", "Seccomp").text == "2\n"
    default = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31))
    for field in ("CapEff", "CapPrm", "CapBnd"):
        assert int(boxes.attempt("status", field).text, 16) == default
    assert int(boxes.attempt("status", "CapInh").text, 16) == 0
    assert len(DEFAULT_CAPABILITIES) == default.bit_count()


def test_setuid_works_only_when_new_privileges_are_allowed(boxes: Boxes) -> None:
    def effective_id(program: str, **changes: Any) -> str:
        return boxes.run(program, "-u", user="web", mounts=attempt_mounts(), **changes).text.strip()

    assert effective_id("/plain") == "101"
    assert effective_id("/suid") == "101"
    assert effective_id("/suid", no_new_privileges=False) == "0"


def test_cgroups_cannot_be_escaped(boxes: Boxes) -> None:
    for controller in _HARMLESS_CONTROLLERS:
        assert boxes.attempt("release_agent", controller).refused
    listing = boxes.run("/bin/sh", "-c", "cat /proc/self/cgroup")
    assert all(line.endswith(":/") for line in listing.text.splitlines()), listing
    trees = [path for path in Path("/sys/fs/cgroup").iterdir() if (path / "cgroup.procs").exists()]
    for tree in trees or [Path("/sys/fs/cgroup")]:
        assert boxes.attempt("write", f"{tree}/cgroup.procs", "1").refused


def test_the_network_is_the_containers_own(boxes: Boxes) -> None:
    outcome = boxes.run("/bin/sh", "-c", "cat /proc/net/dev | tail -n +3 | cut -d: -f1")
    assert outcome.text.split() == ["lo"]


def test_root_inside_is_nobody_outside(boxes: Boxes) -> None:
    with new_directory() as directory:
        layer = RootLayer(directory=directory / "layer", discarded=False)
        outcome = boxes.run("/bin/sh", "-c", "touch /made && stat -c %u:%g /made && id -u", layer=layer)
        assert outcome.text.split() == ["0:0", "0"]
        made = (directory / "layer/upper/made").stat()
        assert (made.st_uid, made.st_gid) == (IDMAP.uid_first, IDMAP.gid_first)
        again = boxes.run("/bin/sh", "-c", "ls -d /made", layer=layer)
        assert again.text == "/made\n"


def test_users_of_the_host_cannot_pass_into_a_bundle(boxes: Boxes) -> None:
    def look(uid: int, gid: int, path: Path) -> int:
        identity = (f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
        return run(["setpriv", *identity, "stat", path], timeout_seconds=10, check=False).status

    with boxes.bundle() as (bundle, _):
        assert look(IDMAP.uid_first, IDMAP.gid_first, bundle.rootfs / "bin") == 0
        assert look(4711, 4711, bundle.rootfs) != 0
        assert look(4711, 4711, bundle.directory / "resolv.conf") != 0
        shared = next((boxes.run_dir / "images").iterdir())
        assert look(IDMAP.uid_first, IDMAP.gid_first, shared / "rootfs") != 0
        options = os.statvfs(shared).f_flag
        assert options & os.ST_NOSUID
        assert options & os.ST_RDONLY


def test_links_in_the_image_lead_nowhere(boxes: Boxes) -> None:
    """Mount points and user names are looked up in an image whose paths point at the host's files."""
    with new_directory() as directory:
        target = directory / "target"
        target.mkdir()
        (target / "passwd").write_text("web:x:0:0::/:/bin/sh\n")

        def point_outside(rootfs: Path) -> None:
            up = "../" * 20
            (rootfs / "etc/passwd").unlink()
            (rootfs / "etc/passwd").symlink_to(f"{up}{target}/passwd")
            (rootfs / "etc/hosts").symlink_to(f"{up}{target}/hosts")
            (rootfs / "etc/resolv.conf").symlink_to(f"/proc/1/root{target}/resolv.conf")
            (rootfs / "data").symlink_to(f"{up}{target}")

        (directory / "hostile").mkdir(mode=0o711)
        hostile = Boxes(directory / "hostile", pack_image(directory / "hostile", point_outside), boxes.runtime)
        with pytest.raises(NoSuchUser):
            hostile.run("/bin/true", user="web")
        volume = Volume(source=directory, destination="/data/inner")
        outcome = hostile.run("/bin/true", volumes=(volume,))
        assert sorted(path.name for path in target.iterdir()) == ["passwd"], outcome


def test_the_classic_way_out_of_a_chroot_is_closed(boxes: Boxes) -> None:
    marker = Path("/host-only")
    marker.write_text("the host's")
    try:
        assert boxes.attempt("chroot_out").refused
    finally:
        marker.unlink()


def test_the_hosts_null_device_stays_the_hosts(boxes: Boxes) -> None:
    boxes.run("/bin/sh", "-c", "chmod 0 /dev/null; chown 0 /dev/null; true")
    _exec_in_a_running_one(boxes)
    _create_with_a_terminal(boxes)
    after = os.stat("/dev/null")
    assert after.st_uid != IDMAP.uid_first
    assert stat.S_IMODE(after.st_mode) == 0o666


def _create_with_a_terminal(boxes: Boxes) -> None:
    """conmon gives the runtime /dev/null then."""
    runtime = CommandLineRuntime(
        RuntimeConfig(name=boxes.runtime, path=boxes.runtime), state_dir=boxes.directory / "terminal"
    )
    supervisor = PlainSupervisor("nulls", CgroupLayout.detect(), slice_name="covirt-null-test")
    with boxes.bundle() as (bundle, namespaces):
        cgroup = supervisor.prepare("nulltest")
        request = boxes.spec_request(bundle, namespaces, "/bin/sleep", "60")
        request = replace(request, terminal=True, cgroups_path=cgroup.container_path)
        write_config(bundle.directory, build_spec(request))
        directory = boxes.directory / "monitor"
        paths = MonitorPaths(directory=directory, bundle=bundle.directory, log=directory / "log")
        try:
            ConmonMonitor().create(
                runtime=runtime, container_id="nulltest", paths=paths, terminal=True, cgroup=cgroup
            )
        finally:
            runtime.delete("nulltest", force=True)
            supervisor.remove()


def _exec_in_a_running_one(boxes: Boxes) -> None:
    runtime = CommandLineRuntime(
        RuntimeConfig(name=boxes.runtime, path=boxes.runtime), state_dir=boxes.directory / "exec"
    )
    executor = Executor()
    with boxes.bundle() as (bundle, namespaces):
        write_config(bundle.directory, build_spec(boxes.spec_request(bundle, namespaces, "/bin/sleep", "60")))
        try:
            runtime.create("nulltest", bundle=bundle.directory, pid_file=boxes.directory / "pid")
            runtime.start("nulltest")
            target = ExecTarget(
                runtime=runtime, container_id="nulltest", bundle=bundle.directory, directory=boxes.directory / "notes"
            )
            for terminal in (None, TerminalSize()):
                execution = executor.start(target, ExecRequest(arguments=("/bin/true",), terminal=terminal))
                assert execution.wait(timeout_seconds=30) == ExecEnd(exit_code=0)
                execution.close()
        finally:
            executor.close()
            runtime.delete("nulltest", force=True)
