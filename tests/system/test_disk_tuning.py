# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of a volume, by stock virsh: at the loop device below it, in both XMLs, and felt by what is read from it."""

from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from covirt.oci.loop import loops_over
from tests.support.cgroup_files import cgroup_file, limit_files
from tests.support.hotplug import container_pid
from tests.support.listener import listening
from tests.support.virtocid import SECONDS, Virtocid
from tests.support.waiting import wait_until
from tests.system.test_tuning import lines
from tests.system.test_virsh_lifecycle import each_runtime

MIB = 1 << 20


@pytest.fixture
def disk(virtocid: Virtocid) -> Iterator[Path]:
    path = virtocid.root.path / "disk.raw"
    with path.open("wb") as stream:
        stream.truncate(32 * MIB)
    yield path
    virtocid.virsh("destroy", "web", check=False)
    wait_until(lambda: not loops_over(path.stat()), timeout_seconds=SECONDS, what="the end of the loop device")
    path.unlink()


def define(virtocid: Virtocid, disk: Path, script: str, *, iotune: str = "", runtime: str = "runc") -> None:
    devices = (
        f"<disk type='file' device='disk'><driver type='raw'/><source file='{disk}'/><target dev='vda'/>"
        f"{iotune}</disk><console type='pty'/>"
    )
    settings = "<covirt:volume disk='vda' target='/data'/>"
    virtocid.define("web", ("/bin/sh", "-c", script), devices=devices, settings=settings, runtime=runtime)


def loop_number(disk: Path) -> str:
    (loop,) = loops_over(disk.stat())
    return Path(f"/sys/block/{Path(loop).name}/dev").read_text().strip()


@each_runtime
def test_a_limit_of_the_definition_is_there_from_the_start(virtocid: Virtocid, disk: Path, runtime: str) -> None:
    iotune = "<iotune><total_bytes_sec>2000000</total_bytes_sec><write_iops_sec>70</write_iops_sec></iotune>"
    define(virtocid, disk, "sleep 1000", iotune=iotune, runtime=runtime)
    virtocid.virsh("start", "web")
    files, number = limit_files(virtocid, "web"), loop_number(disk)
    assert files["blkio.throttle.read_bps_device"] == f"{number} 1000000"
    assert files["blkio.throttle.write_bps_device"] == f"{number} 1000000"
    assert files["blkio.throttle.write_iops_device"] == f"{number} 70"
    assert files["blkio.throttle.read_iops_device"] == ""
    told = lines(virtocid.tell("blkdeviotune", "web", "vda", "--live"))
    assert (told["total_bytes_sec"], told["read_bytes_sec"], told["write_iops_sec"]) == ("2000000", "0", "70")


def test_live_configured_and_both(virtocid: Virtocid, disk: Path) -> None:
    define(virtocid, disk, "sleep 1000")
    virtocid.virsh("start", "web")
    number = loop_number(disk)
    virtocid.virsh("blkdeviotune", "web", "vda", "--read-bytes-sec", "5000", "--config")
    assert limit_files(virtocid, "web")["blkio.throttle.read_bps_device"] == ""
    assert "read_bytes_sec" not in virtocid.tell("dumpxml", "web")
    with listening(virtocid) as listener:
        virtocid.virsh("blkdeviotune", "web", str(disk), "--write-bytes-sec", "6000", "--live")
        name = f"blkdeviotune.disk={disk},blkdeviotune.write_bytes_sec=6000"
        assert listener.until(f"tunable web {name}")
    assert limit_files(virtocid, "web")["blkio.throttle.write_bps_device"] == f"{number} 6000"
    assert "<write_bytes_sec>6000<" in virtocid.tell("dumpxml", "web")
    stored = virtocid.tell("dumpxml", "web", "--inactive")
    assert "<read_bytes_sec>5000<" in stored
    assert "write_bytes_sec" not in stored
    virtocid.virsh("blkdeviotune", "web", "vda", "--total-iops-sec", "100", "--live", "--config")
    virtocid.restart()
    assert lines(virtocid.tell("blkdeviotune", "web", "vda", "--live"))["total_iops_sec"] == "100"
    assert lines(virtocid.tell("blkdeviotune", "web", "vda", "--config"))["total_iops_sec"] == "100"
    assert limit_files(virtocid, "web")["blkio.throttle.read_iops_device"] == f"{number} 50"
    assert "at the same time" in virtocid.refusal(
        "blkdeviotune", "web", "vda", "--total-iops-sec", "5", "--read-iops-sec", "5", "--live"
    )
    assert "no bursts" in virtocid.refusal("blkdeviotune", "web", "vda", "--read-bytes-sec-max", "5", "--live")
    assert "has no disk 'vdz'" in virtocid.refusal("blkdeviotune", "web", "vdz", "--live")
    with virtocid.connect() as connection:
        domain = connection.lookupByName("web")
        domain.setBlockIoTune("vda", {"total_bytes_sec": 4096}, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        assert domain.blockIoTune("vda", libvirt.VIR_DOMAIN_AFFECT_LIVE)["total_bytes_sec"] == 4096
    with virtocid.connect(readonly=True) as connection:
        assert connection.lookupByName("web").blockIoTune("vda", 0)["total_bytes_sec"] == 4096
        with pytest.raises(libvirt.libvirtError):
            connection.lookupByName("web").setBlockIoTune("vda", {"total_bytes_sec": 0}, 0)


def test_a_disk_that_comes_and_goes_brings_its_limit(virtocid: Virtocid, disk: Path) -> None:
    virtocid.define("web", ("/bin/sh", "-c", "sleep 1000"))
    virtocid.virsh("start", "web")
    more = "<covirt:volume xmlns:covirt='https://covirt.org/xmlns/container/1.0' target='/data'/>"
    text = (
        f"<disk type='file' device='disk'><source file='{disk}'/><target dev='vdb'/>"
        f"<iotune><read_iops_sec>90</read_iops_sec></iotune>{more}</disk>"
    )
    with virtocid.xml_file(text) as path:
        virtocid.virsh("attach-device", "web", str(path), "--live")
        assert limit_files(virtocid, "web")["blkio.throttle.read_iops_device"] == f"{loop_number(disk)} 90"
        virtocid.virsh("blkdeviotune", "web", "vdb", "--read-iops-sec", "80", "--live")
        assert limit_files(virtocid, "web")["blkio.throttle.read_iops_device"] == f"{loop_number(disk)} 80"
        virtocid.virsh("detach-device", "web", str(path), "--live")
    assert limit_files(virtocid, "web")["blkio.throttle.read_iops_device"] == ""


def test_reading_is_held_back_and_let_go(virtocid: Virtocid, disk: Path) -> None:
    """At 4 KiB a second a mebibyte takes minutes; without the limit, which is lifted then, it is there at once."""
    script = (
        "dd if=/dev/urandom of=/data/file bs=64k count=16 && sync; echo written; "
        "while [ ! -e /tmp/go ]; do sleep 0.05; done; "
        "dd if=/data/file of=/dev/null bs=4k iflag=direct && echo done; sleep 1000"
    )
    define(virtocid, disk, script)
    virtocid.virsh("start", "web")
    virtocid.wait_for_output("web", "written")
    number = loop_number(disk)
    virtocid.virsh("blkdeviotune", "web", "vda", "--read-bytes-sec", "4096", "--live")

    def read_bytes() -> int:
        text = cgroup_file(virtocid, "web", "blkio.throttle.io_service_bytes_recursive")
        rows = (line.split() for line in text.splitlines())
        return next((int(row[2]) for row in rows if row[:2] == [number, "Read"]), 0)

    before = read_bytes()
    Path(f"/proc/{container_pid(virtocid, 'web')}/root/tmp/go").touch()
    wait_until(lambda: read_bytes() >= before + 3 * 4096, timeout_seconds=SECONDS, what="a reader")
    assert read_bytes() < before + MIB // 2
    assert "done" not in virtocid.console_log("web")
    virtocid.virsh("blkdeviotune", "web", "vda", "--read-bytes-sec", "0", "--live")
    virtocid.wait_for_output("web", "done")
