# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks that come and go while a container runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from covirt.oci.loop import loop_device, loops_over
from tests.support.hotplug import OBEDIENT, attach, detach, inside, refusal, targets
from tests.support.listener import listening
from tests.support.traces import traces_of_runs
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until
from tests.system.test_virsh_lifecycle import each_runtime

_SETTINGS = "<covirt:volume disk='vdb' target='/data'/>"


@pytest.fixture
def disk(virtocid: Virtocid) -> Iterator[Path]:
    """A blank raw file; no loop device has it after the test."""
    path = virtocid.root.path / "hot.raw"
    with path.open("wb") as stream:
        stream.truncate(32 << 20)
    yield path
    for name in virtocid.tell("list", "--name").split():
        virtocid.virsh("destroy", name)
    wait_until(lambda: not loops_over(path.stat()), timeout_seconds=30, what="the end of the loop device")
    path.unlink()


def xml(path: Path, *, target: str = "/data", kind: str = "file", more: str = "") -> str:
    """A disk that says itself where it is to be mounted."""
    attribute = "file" if kind == "file" else "dev"
    place = (
        f"<covirt:volume xmlns:covirt='https://covirt.org/xmlns/container/1.0' target='{target}'/>" if target else ""
    )
    return f"<disk type='{kind}' device='disk'><source {attribute}='{path}'/><target dev='vdb'/>{place}{more}</disk>"


@each_runtime
def test_attached_detached_and_attached_again(virtocid: Virtocid, disk: Path, runtime: str) -> None:
    virtocid.run("web", OBEDIENT, runtime=runtime)
    before = traces_of_runs(virtocid.root)
    with listening(virtocid) as listener:
        attach(virtocid, xml(disk))
        assert listener.line() == "device-added web disk0"
        assert inside(virtocid, "echo kept > /data/file; stat -c '%u %g' /data /data/file") == "0 0\n0 0"
        assert virtocid.tell("domblklist", "web").split() == ["vdb", str(disk)]
        virtocid.virsh("detach-disk", "web", "vdb")
        assert listener.line() == "device-removed web disk0"
    assert "/data" not in targets(virtocid)
    assert not loops_over(disk.stat())
    assert traces_of_runs(virtocid.root) == before
    attach(virtocid, xml(disk, target="/elsewhere"))
    assert inside(virtocid, "cat /elsewhere/file") == "kept"


def test_virsh_attach_disk_where_the_mapping_says(virtocid: Virtocid, disk: Path) -> None:
    virtocid.run("web", OBEDIENT, settings=_SETTINGS)
    virtocid.virsh("attach-disk", "web", str(disk), "vdb", "--persistent")
    assert inside(virtocid, "echo kept > /data/file; df /data | tail -1 | grep -c /data") == "1"
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")
    assert inside(virtocid, "cat /data/file") == "kept"
    virtocid.virsh("detach-disk", "web", "vdb", "--persistent")
    assert "/data" not in targets(virtocid)
    assert virtocid.tell("domblklist", "web", "--inactive") == virtocid.tell("domblklist", "web") == ""


def test_disk_without_a_place(virtocid: Virtocid, disk: Path) -> None:
    virtocid.run("web", OBEDIENT)
    for flags in ((), ("--config",)):
        text = virtocid.refusal("attach-disk", "web", str(disk), "vdb", *flags)
        assert "<covirt:volume target=" in text
    assert "<disk" not in virtocid.tell("dumpxml", "web")


def test_busy_disk_stays(virtocid: Virtocid, disk: Path) -> None:
    """Data is not taken from under a process."""
    virtocid.run("web", OBEDIENT)
    attach(virtocid, xml(disk))
    inside(virtocid, "sleep 1000 > /data/log 2>&1 &")
    with listening(virtocid) as listener:
        assert "(sleep) has a file open there" in refusal(virtocid, "detach-device", xml(disk))
        assert listener.line() == "device-removal-failed web disk0"
    assert "/data" in targets(virtocid)
    assert loops_over(disk.stat())


def test_in_use_by_another_container(virtocid: Virtocid, disk: Path) -> None:
    virtocid.run("web", OBEDIENT)
    virtocid.run("other", settings=_SETTINGS)
    virtocid.virsh("attach-disk", "other", str(disk), "vdb")
    before = traces_of_runs(virtocid.root)
    assert "in use" in refusal(virtocid, "attach-device", xml(disk))
    assert traces_of_runs(virtocid.root) == before
    virtocid.virsh("detach-disk", "other", "vdb")
    attach(virtocid, xml(disk))


def test_read_only(virtocid: Virtocid, disk: Path) -> None:
    virtocid.run("web", OBEDIENT)
    attach(virtocid, xml(disk))
    detach(virtocid, xml(disk))
    attach(virtocid, xml(disk, more="<readonly/>"))
    assert "Read-only file system" in inside(virtocid, "touch /data/never")


def test_block_device_and_file_system_of_a_file(virtocid: Virtocid, disk: Path) -> None:
    virtocid.run("web", OBEDIENT)
    with loop_device(str(disk), read_only=False) as device:
        attach(virtocid, xml(Path(device), kind="block"))
        inside(virtocid, "echo kept > /data/file")
        virtocid.virsh("detach-disk", "web", "vdb")
    wait_until(lambda: not loops_over(disk.stat()), what="the end of the loop device")
    filesystem = f"<filesystem type='file'><source file='{disk}'/><target dir='/files'/></filesystem>"
    attach(virtocid, filesystem)
    assert inside(virtocid, "cat /files/file") == "kept"
    detach(virtocid, filesystem)
    assert not loops_over(disk.stat())


@each_runtime
def test_disk_that_was_there_from_the_start(virtocid: Virtocid, disk: Path, runtime: str) -> None:
    virtocid.run("web", OBEDIENT, runtime=runtime, devices=f"<console/>{xml(disk)}")
    assert loops_over(disk.stat())
    virtocid.virsh("detach-disk", "web", "vdb")
    assert "/data" not in targets(virtocid)
    assert not loops_over(disk.stat())
    attach(virtocid, xml(disk))
    assert "/data" in targets(virtocid)


def test_root_layer_stays(virtocid: Virtocid, disk: Path) -> None:
    device = xml(disk, target="")
    virtocid.run("web", settings="<covirt:root disk='vdb'/>", devices=device)
    assert "root layer" in refusal(virtocid, "detach-device", device)


def test_killed_in_the_middle(virtocid: Virtocid, disk: Path) -> None:
    virtocid.run("web", OBEDIENT)
    before = traces_of_runs(virtocid.root)
    attach(virtocid, xml(disk))
    path = virtocid.root.run_dir / "virtocid/runs" / virtocid.tell("domuuid", "web") / "run.json"
    virtocid.kill()
    change = {"step": "attaching", "alias": "disk0", "configured": False}
    path.write_text(json.dumps({**json.loads(path.read_text()), "device_change": change}))
    virtocid.start()
    assert not loops_over(disk.stat())
    assert traces_of_runs(virtocid.root) == before
    assert virtocid.tell("domblklist", "web") == ""


class TestImage:
    """The cdrom holds the image, which a running container keeps."""

    def cdrom(self, virtocid: Virtocid, path: Path | None = None) -> str:
        return (
            f"<disk type='file' device='cdrom'><source file='{path or virtocid.image}'/>"
            "<target dev='hda'/><readonly/></disk>"
        )

    def test_of_a_running_container(self, virtocid: Virtocid) -> None:
        virtocid.run("web", image="", devices=self.cdrom(virtocid))
        for command in ("update-device", "detach-device"):
            assert "its image is mounted when it starts" in refusal(virtocid, command, self.cdrom(virtocid), "--live")
        with virtocid.connect() as connection, pytest.raises(libvirt.libvirtError) as caught:
            connection.lookupByName("web").updateDeviceFlags(self.cdrom(virtocid), 1)
        assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_UNSUPPORTED

    def test_of_a_definition(self, virtocid: Virtocid) -> None:
        virtocid.run("web", image="", devices=self.cdrom(virtocid))
        other = virtocid.image.with_name("other.raw")
        other.write_bytes(virtocid.image.read_bytes())
        try:
            with virtocid.xml_file(self.cdrom(virtocid, other)) as path:
                virtocid.virsh("update-device", "web", str(path), "--config")
            assert virtocid.tell("domblklist", "web", "--inactive").split()[1] == str(other)
            assert virtocid.tell("domblklist", "web").split()[1] == str(virtocid.image)
            virtocid.virsh("change-media", "web", "hda", str(virtocid.image), "--config", "--update")
            assert virtocid.tell("domblklist", "web", "--inactive").split()[1] == str(virtocid.image)
        finally:
            virtocid.remove_domains()
            other.unlink()
