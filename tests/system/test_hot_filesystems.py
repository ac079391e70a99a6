# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""File systems that come and go while a container runs, also while it does what it can against it."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import libvirt
import pytest

from covirt.common.process import run
from covirt.common.process_identity import ProcessIdentity, process_start_time
from covirt.oci.hot_mount import container_mounts
from tests.support.hotplug import (
    OBEDIENT,
    attach,
    container_pid,
    detach,
    inside,
    mounts_inside,
    refusal,
    root_of,
    targets,
)
from tests.support.listener import listening
from tests.support.roots import new_directory
from tests.support.traces import traces_of_runs
from tests.support.virtocid import Virtocid, domain_xml, serve_virtocid
from tests.support.waiting import wait_until
from tests.system.test_virsh_lifecycle import each_runtime

RAM = "<filesystem type='ram'><source usage='1' units='MiB'/><target dir='{}'/></filesystem>"


@pytest.fixture(scope="module")
def shown() -> Iterator[Path]:
    """A directory of the host that containers may be shown, for writing."""
    with new_directory() as directory:
        (directory / "data/inner").mkdir(parents=True)
        (directory / "data/hello").write_text("from the host\n")
        yield directory / "data"


@pytest.fixture(scope="module")
def virtocid_daemon(busybox_layout: Path, shown: Path) -> Iterator[Virtocid]:
    configuration = f'[container]\nallowed_directories = ["{shown}:rw"]\n'
    with serve_virtocid(busybox_layout, configuration=configuration) as running:
        yield running


def directory(source: Path, target: str, *, more: str = "") -> str:
    return f"<filesystem type='mount'><source dir='{source}'/><target dir='{target}'/>{more}</filesystem>"


def run_file(virtocid: Virtocid) -> Path:
    return virtocid.root.run_dir / "virtocid/runs" / virtocid.tell("domuuid", "web") / "run.json"


@each_runtime
def test_directory(virtocid: Virtocid, shown: Path, runtime: str) -> None:
    virtocid.run("web", OBEDIENT, runtime=runtime)
    before = traces_of_runs(virtocid.root)
    with listening(virtocid) as listener:
        attach(virtocid, directory(shown, "/srv/data"))
        assert listener.line() == "device-added web fs0"
        assert inside(
            virtocid, "cat /srv/data/hello; echo back > /srv/data/answer; stat -c %u /srv/data/answer /srv"
        ) == ("from the host\n0\n0")
        assert (shown / "answer").read_text() == "back\n"
        assert (shown / "answer").stat().st_uid == 0
        detach(virtocid, directory(shown, "/srv/data"))
        assert listener.line() == "device-removed web fs0"
    assert "/srv/data" not in targets(virtocid)
    assert inside(virtocid, "ls -d /srv").endswith("No such file or directory")  # it was made, and is empty
    assert traces_of_runs(virtocid.root) == before


@each_runtime
def test_memory(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("web", OBEDIENT, runtime=runtime)
    attach(virtocid, RAM.format("/scratch"))
    size = "df -k /scratch | tail -1 | tr -s ' ' | cut -d' ' -f2"
    said = inside(virtocid, f"stat -c '%u %a' /scratch; {size}; dd if=/dev/zero of=/scratch/a bs=64k count=32")
    assert said.splitlines()[:2] == ["0 1777", "1024"]
    assert "No space left" in said
    detach(virtocid, RAM.format("/scratch"))
    assert "/scratch" not in targets(virtocid)


@each_runtime
def test_mounts_of_a_container_are_its_own(virtocid: Virtocid, shown: Path, runtime: str) -> None:
    """What the host mounts below it is not seen inside, and the container can neither change nor unmount it."""
    virtocid.run("web", OBEDIENT, runtime=runtime)
    attach(virtocid, directory(shown, "/data"))
    mount = next(entry for entry in mounts_inside(virtocid) if entry["target"] == "/data")
    assert {"nosuid", "nodev"} <= set(mount["options"].split(","))
    assert mount["propagation"] == "private"
    run(["mount", "-t", "tmpfs", "host-only", shown / "inner"], timeout_seconds=10)
    try:
        assert not any(target.startswith("/data/") for target in targets(virtocid))
    finally:
        run(["umount", shown / "inner"], timeout_seconds=10)
    assert inside(virtocid, "umount /data; mount -o remount,suid /data; echo $?").splitlines()[-1] != "0"
    assert "/data" in targets(virtocid)
    assert "/srv/nothing" not in targets(virtocid)


@each_runtime
def test_read_only(virtocid: Virtocid, shown: Path, runtime: str) -> None:
    virtocid.run("web", OBEDIENT, runtime=runtime)
    attach(virtocid, directory(shown, "/data", more="<readonly/>"))
    assert "Read-only file system" in inside(virtocid, "touch /data/never")
    assert not (shown / "never").exists()


def test_busy_one_stays(virtocid: Virtocid, shown: Path) -> None:
    virtocid.run("web", OBEDIENT)
    attach(virtocid, directory(shown, "/data"))
    inside(virtocid, "cd /data; sleep 1000 > /dev/null 2>&1 &")
    before = virtocid.tell("dumpxml", "web")
    with listening(virtocid) as listener:
        text = refusal(virtocid, "detach-device", directory(shown, "/data"), "--live")
        assert listener.line() == "device-removal-failed web fs0"
        assert "filesystem at '/data' of domain 'web' is in use" in text
        assert "(sleep) has its working directory there" in text
        with virtocid.connect() as connection, pytest.raises(libvirt.libvirtError) as caught:
            connection.lookupByName("web").detachDevice(directory(shown, "/data"))
        assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_FAILED
        assert listener.line() == "device-removal-failed web fs0"
        assert virtocid.tell("dumpxml", "web") == before
        assert "/data" in targets(virtocid)
        inside(virtocid, "killall sleep")
        wait_until(lambda: "sleep" not in inside(virtocid, "ps | grep 'slee[p] 1000'"))
        detach(virtocid, directory(shown, "/data"))
        assert listener.line() == "device-removed web fs0"


def test_open_file_is_told(virtocid: Virtocid) -> None:
    virtocid.run("web", OBEDIENT)
    attach(virtocid, RAM.format("/scratch"))
    inside(virtocid, "sleep 1000 > /scratch/log 2>&1 &")
    assert "(sleep) has a file open there" in refusal(virtocid, "detach-device", RAM.format("/scratch"))


@each_runtime
def test_what_was_there_from_the_start(virtocid: Virtocid, shown: Path, runtime: str) -> None:
    devices = directory(shown, "/data") + RAM.format("/scratch") + directory(shown / "inner", "/more")
    virtocid.run("web", OBEDIENT, runtime=runtime, devices=f"<console/>{devices}")
    before = traces_of_runs(virtocid.root)
    virtocid.virsh("detach-device-alias", "web", "fs1")
    detach(virtocid, directory(shown, "/data"))
    assert targets(virtocid) & {"/data", "/scratch", "/more"} == {"/more"}
    gone = set(before) - set(traces_of_runs(virtocid.root))
    assert len(gone) == 1 and "mount" in gone.pop()  # noqa: PT018 - the view of /data
    attach(virtocid, directory(shown, "/data"))
    assert inside(virtocid, "cat /data/hello") == "from the host"
    assert "<alias name='fs3'/>" in virtocid.tell("dumpxml", "web")


def test_in_both_and_after_a_restart_of_the_domain(virtocid: Virtocid, shown: Path) -> None:
    virtocid.run("web", OBEDIENT)
    attach(virtocid, directory(shown, "/data"), "--persistent")
    assert inside(virtocid, "cat /data/hello") == "from the host"
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")
    assert inside(virtocid, "cat /data/hello") == "from the host"
    detach(virtocid, directory(shown, "/data"), "--config")
    assert "/data" in targets(virtocid)
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")
    assert "/data" not in targets(virtocid)


def test_transient_and_paused(virtocid: Virtocid, shown: Path) -> None:
    with virtocid.xml_file(domain_xml("web", OBEDIENT)) as path:
        virtocid.virsh("create", "--paused", str(path))
    attach(virtocid, directory(shown, "/data"))
    assert "/data" in targets(virtocid)
    virtocid.virsh("resume", "web")
    assert inside(virtocid, "cat /data/hello") == "from the host"
    virtocid.virsh("suspend", "web")
    attach(virtocid, RAM.format("/scratch"))
    detach(virtocid, directory(shown, "/data"))
    assert targets(virtocid) & {"/data", "/scratch"} == {"/scratch"}
    virtocid.virsh("destroy", "web")
    assert traces_of_runs(virtocid.root) == []


class TestHostile:
    """Files inside change hands while a mount is on its way."""

    def test_link_out_of_the_container(self, virtocid: Virtocid, shown: Path) -> None:
        """It leads to a directory of the container, as every link in it does."""
        with new_directory() as outside:
            virtocid.run("web", OBEDIENT)
            inside(
                virtocid, f"mkdir -p {outside}/x; ln -s {outside}/x /link; ln -s ../../../../../..{outside} /other"
            )
            for target in ("/link", "/other/x/y"):
                attach(virtocid, directory(shown, target))
            assert list(outside.iterdir()) == []
            assert {f"{outside}/x", f"{outside}/x/y"} <= targets(virtocid)
            assert not any(str(outside) in line for line in Path("/proc/self/mountinfo").read_text().splitlines())

    @pytest.mark.parametrize("link", ["/proc/1/root", "/proc/self/cwd", "/proc/1/fd/0"])
    def test_link_of_a_process(self, virtocid: Virtocid, shown: Path, link: str) -> None:
        virtocid.run("web", OBEDIENT)
        inside(virtocid, f"ln -s {link} /link")
        text = refusal(virtocid, "attach-device", directory(shown, "/link/x"))
        assert "in the container" in text
        assert traces_of_runs(virtocid.root) == [
            trace for trace in traces_of_runs(virtocid.root) if "hot" not in trace
        ]

    @pytest.mark.parametrize("link", ["/", "/proc", "/proc/sys", "/sys/fs/cgroup", "/dev"])
    def test_link_to_a_place_that_is_not_free(self, virtocid: Virtocid, shown: Path, link: str) -> None:
        """Whatever enters the container later would believe what the container shows it there."""
        virtocid.run("web", OBEDIENT)
        inside(virtocid, f"ln -s {link} /link")
        before = targets(virtocid), traces_of_runs(virtocid.root)
        assert f"a link leads to {link}" in refusal(virtocid, "attach-device", directory(shown, "/link"))
        assert (targets(virtocid), traces_of_runs(virtocid.root)) == before

    def test_link_in_place_of_a_directory_that_is_to_be_removed(self, virtocid: Virtocid, shown: Path) -> None:
        """Removed with the rights of the container's root and no others, wherever a link leads by then."""
        (shown / "theirs/empty").mkdir(parents=True)
        os.chown(shown / "theirs", 1000, 1000)
        virtocid.run("web", OBEDIENT)
        attach(virtocid, directory(shown, "/data"))
        inside(virtocid, "ln -s /data/theirs /link; mkdir -p /own/empty")
        pid, owner = container_pid(virtocid, "web"), root_of(virtocid).stat()
        with container_mounts(ProcessIdentity(pid=pid, start_time=process_start_time(pid))) as mounts:
            for path in ("/link/empty", "/own/empty"):
                mounts.remove_directories((path,), uid=owner.st_uid, gid=owner.st_gid)
        assert (shown / "theirs/empty").exists()
        assert not (root_of(virtocid) / "own/empty").exists()

    def test_link_to_nowhere_and_file(self, virtocid: Virtocid, shown: Path) -> None:
        virtocid.run("web", OBEDIENT)
        inside(virtocid, "ln -s /nowhere /link; touch /file; mkfifo /fifo")
        before = traces_of_runs(virtocid.root)
        for target in ("/link", "/file", "/fifo", "/file/below"):
            assert target in refusal(virtocid, "attach-device", directory(shown, target))
        assert traces_of_runs(virtocid.root) == before
        assert "<filesystem" not in virtocid.tell("dumpxml", "web")

    def test_target_that_moved(self, virtocid: Virtocid, shown: Path) -> None:
        """Unmounting what a link points to now would unmount something else."""
        virtocid.run("web", OBEDIENT)
        attach(virtocid, directory(shown, "/a/data"))
        inside(virtocid, "mv /a /b; mkdir /a; ln -s /dev/shm /a/data")
        refusal(virtocid, "detach-device", directory(shown, "/a/data"))
        assert {"/dev/shm", "/b/data"} <= targets(virtocid)
        inside(virtocid, "rm -r /a; mv /b /a")
        detach(virtocid, directory(shown, "/a/data"))
        assert "/a/data" not in targets(virtocid)

    def test_places_that_change_all_the_time(self, virtocid: Virtocid, shown: Path) -> None:
        """Attached or refused, but never anywhere outside, and never left behind."""
        virtocid.run("web", OBEDIENT)
        before = traces_of_runs(virtocid.root)
        turning = "while :; do mkdir -p /a/x /c; mv /a /b; ln -s /c /a; rm -f /a; rm -rf /b 2>/dev/null; done"
        inside(virtocid, f"({turning}) > /dev/null 2>&1 &")
        with virtocid.connect() as connection:
            domain = connection.lookupByName("web")
            for _ in range(20):
                with suppress(libvirt.libvirtError):
                    domain.attachDevice(directory(shown / "inner", "/a/x"))
            ours = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(shown) in line]
            assert all(str(virtocid.root.run_dir) in line for line in ours)
        inside(virtocid, "kill %1; kill $(ps | grep 'mkdir -p' | cut -c1-6); true")
        virtocid.virsh("destroy", "web")
        virtocid.virsh("start", "web")
        assert len(traces_of_runs(virtocid.root)) == len(before)

    def test_rights_to_mount(self, virtocid: Virtocid, shown: Path) -> None:
        """A mount made before the container's first process is locked; one that comes later is not."""
        settings = "<covirt:capabilities><covirt:add name='SYS_ADMIN'/></covirt:capabilities>"
        virtocid.run("web", OBEDIENT, settings=settings)
        assert "CAP_SYS_ADMIN" in refusal(virtocid, "attach-device", directory(shown, "/data"))

    @pytest.mark.parametrize("runtime", ["runc", "crun"])
    def test_first_process_with_another_root(self, virtocid: Virtocid, shown: Path, runtime: str) -> None:
        script = (
            "mkdir -p /jail/bin /jail/data; cp /bin/busybox /jail/bin/; exec chroot /jail /bin/busybox sleep 1000"
        )
        virtocid.run("web", ("/bin/sh", "-c", script), runtime=runtime)
        wait_until(lambda: not (root_of(virtocid) / "jail").exists(), timeout_seconds=30)
        attach(virtocid, directory(shown, "/data"))
        assert not (root_of(virtocid) / "data/hello").exists()
        detach(virtocid, directory(shown, "/data"))


class TestRefusals:
    def test_directory_that_is_not_allowed(self, virtocid: Virtocid) -> None:
        virtocid.run("web", OBEDIENT)
        with virtocid.connect() as connection, pytest.raises(libvirt.libvirtError) as caught:
            connection.lookupByName("web").attachDevice(directory(Path("/etc"), "/data"))
        assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_DENIED

    @pytest.mark.parametrize("target", ["/", "/proc", "/sys/fs", "/dev"])
    def test_place_that_is_not_free(self, virtocid: Virtocid, shown: Path, target: str) -> None:
        virtocid.run("web", OBEDIENT)
        before = targets(virtocid)
        refusal(virtocid, "attach-device", directory(shown, target))
        assert targets(virtocid) == before

    def test_same_place_twice(self, virtocid: Virtocid, shown: Path) -> None:
        virtocid.run("web", OBEDIENT)
        attach(virtocid, directory(shown, "/data"))
        assert "already has the filesystem at '/data'" in refusal(virtocid, "attach-device", RAM.format("/data/"))

    def test_read_only_root(self, virtocid: Virtocid, shown: Path) -> None:
        virtocid.run("web", ("/bin/sleep", "1000"), settings="<covirt:root readonly='yes'/>")
        assert "read-only" in refusal(virtocid, "attach-device", directory(shown, "/new/place"))
        attach(virtocid, directory(shown, "/www"))

    def test_update(self, virtocid: Virtocid, shown: Path) -> None:
        virtocid.run("web", OBEDIENT)
        attach(virtocid, directory(shown, "/data"))
        assert "detach it" in refusal(virtocid, "update-device", directory(shown, "/data", more="<readonly/>"))


class TestKilled:
    """The daemon was killed in the middle: what is on record is what it would have left."""

    def record(self, path: Path, **changes: object) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def change(self, step: str, *, configured: bool = False) -> dict[str, object]:
        return {"step": step, "alias": "fs0", "configured": configured}

    def test_attach_that_was_done_and_not_told(self, virtocid: Virtocid, shown: Path) -> None:
        virtocid.run("web", OBEDIENT)
        path = run_file(virtocid)
        before = traces_of_runs(virtocid.root)
        attach(virtocid, directory(shown, "/srv/data"))
        virtocid.kill()
        self.record(path, device_change=self.change("attaching"))
        virtocid.start()
        assert "/srv/data" not in targets(virtocid)
        assert not (root_of(virtocid) / "srv").exists()
        assert traces_of_runs(virtocid.root) == before
        assert "<filesystem" not in virtocid.tell("dumpxml", "web")

    def test_attach_that_was_not_done(self, virtocid: Virtocid, shown: Path) -> None:
        virtocid.run("web", OBEDIENT)
        path = run_file(virtocid)
        before = traces_of_runs(virtocid.root)
        attach(virtocid, directory(shown, "/srv/data"))
        meant = json.loads(path.read_text())
        detach(virtocid, directory(shown, "/srv/data"))
        for mounted in ([{**meant["hot_mounts"][0], "mount_id": 0, "made": []}], meant["hot_mounts"]):
            virtocid.kill()
            self.record(path, xml=meant["xml"], hot_mounts=mounted, device_change=self.change("attaching"))
            virtocid.start()
            assert "<filesystem" not in virtocid.tell("dumpxml", "web")
            assert traces_of_runs(virtocid.root) == before

    @pytest.mark.parametrize("configured", [False, True])
    def test_detach_that_was_not_done(self, virtocid: Virtocid, shown: Path, configured: bool) -> None:
        virtocid.run("web", OBEDIENT)
        path = run_file(virtocid)
        before = traces_of_runs(virtocid.root)
        attach(virtocid, directory(shown, "/data"), "--persistent")
        virtocid.kill()
        self.record(path, device_change=self.change("detaching", configured=configured))
        virtocid.start()
        assert "/data" not in targets(virtocid)
        assert traces_of_runs(virtocid.root) == before
        assert ("<filesystem" in virtocid.tell("dumpxml", "web", "--inactive")) is not configured

    def test_detach_of_one_that_is_busy(self, virtocid: Virtocid, shown: Path) -> None:
        """It stays, and is told to be there."""
        virtocid.run("web", OBEDIENT)
        path = run_file(virtocid)
        attach(virtocid, directory(shown, "/data"))
        inside(virtocid, "cd /data; sleep 1000 > /dev/null 2>&1 &")
        virtocid.kill()
        self.record(path, device_change=self.change("detaching"))
        virtocid.start()
        assert "<filesystem" in virtocid.tell("dumpxml", "web")
        assert "/data" in targets(virtocid)
        inside(virtocid, "killall sleep")
        wait_until(lambda: "sleep" not in inside(virtocid, "ps | grep 'slee[p] 1000'"))
        detach(virtocid, directory(shown, "/data"))

    def test_nothing_is_lost_without_a_change_under_way(self, virtocid: Virtocid, shown: Path) -> None:
        virtocid.run("web", OBEDIENT)
        before = traces_of_runs(virtocid.root)
        attach(virtocid, directory(shown, "/data"))
        xml = virtocid.tell("dumpxml", "web")
        virtocid.restart()
        assert virtocid.tell("dumpxml", "web") == xml
        detach(virtocid, directory(shown, "/data"))
        assert traces_of_runs(virtocid.root) == before
