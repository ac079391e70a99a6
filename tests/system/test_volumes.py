# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks and file systems of running containers, seen through virsh."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Unpack
from uuid import NAMESPACE_DNS, uuid5

import libvirt
import pytest

from covirt.common.process import run
from covirt.oci.loop import loop_device, loops_over
from tests.support.images import one_image
from tests.support.mounts import mount_below
from tests.support.oci_layout import busybox_image, directory_entry, file_entry, layer, link_entry
from tests.support.virtocid import SERVICE, Virtocid, XmlParts, domain_xml, import_image, serve_virtocid
from tests.support.waiting import wait_until
from tests.support.xml_facts import fact, facts

_MIB = 1 << 20
_CONSOLE = "<console type='pty'/>"
_WITH_EACH_RUNTIME = pytest.mark.parametrize(
    "runtime", [pytest.param("runc", marks=pytest.mark.runc), pytest.param("crun", marks=pytest.mark.crun)]
)


@pytest.fixture(scope="module")
def virtocid_daemon(busybox_layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Virtocid]:
    """With a second image, which declares volumes."""
    data = layer(
        directory_entry("var/lib"),
        directory_entry("var/lib/data", mode=0o750, uid=101, gid=102),
        file_entry("var/lib/data/first", b"from the image\n", uid=101, gid=102),
        link_entry("away", "../../../../etc/away"),
    )
    image = busybox_image(more_layers=[data], Volumes={"/var/lib/data": {}, "/cache": {}}, Cmd=list(SERVICE))
    with serve_virtocid(busybox_layout) as running:
        import_image(running.root, one_image(tmp_path_factory.mktemp("layout") / "store", image), "store")
        yield running


@pytest.fixture
def disk(virtocid: Virtocid) -> Iterator[Path]:
    """A blank raw file; nothing of it is mounted after the test."""
    path = virtocid.root.path / "disk.raw"
    with path.open("wb") as stream:
        stream.truncate(32 * _MIB)
    yield path
    for name in virtocid.tell("list", "--name").split():
        virtocid.virsh("destroy", name, check=False)  # it may end by itself in this moment
    wait_until(lambda: not loops_over(path.stat()), timeout_seconds=30, what="the end of the loop device")
    assert mount_below(virtocid.root.run_dir / "volumes") == ()
    path.unlink()


def _disk(path: Path, target: str = "vda", *, more: str = "", kind: str = "file", form: str = "raw") -> str:
    attribute = "file" if kind == "file" else "dev"
    return (
        f"<disk type='{kind}' device='disk'><driver type='{form}'/><source {attribute}='{path}'/>"
        f"<target dev='{target}'/>{more}</disk>"
    )


def _volume(target: str = "/data", disk: str = "vda", more: str = "") -> str:
    return f"<covirt:volume disk='{disk}' target='{target}' {more}/>"


def _script(text: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", text)


def _says(virtocid: Virtocid, name: str, script: str, **parts: Unpack[XmlParts]) -> str:
    """What a domain that runs a script to its end has printed; defined anew under one UUID for each name."""
    parts["more"] = f"<uuid>{uuid5(NAMESPACE_DNS, name)}</uuid>"
    virtocid.define(name, _script(f"({script}) 2>&1; echo the end"), **parts)
    log = virtocid.root.state_dir / "virtocid/domains" / virtocid.tell("domuuid", name) / "console.log"
    log.unlink(missing_ok=True)
    virtocid.virsh("start", name)
    wait_until(lambda: not virtocid.tell("domstate", name).startswith("running"), timeout_seconds=60, what=name)
    text = _printed(virtocid, name)
    assert "the end" in text
    return text.partition("the end")[0]


def _printed(virtocid: Virtocid, name: str) -> str:
    """Without what conmon writes in front of each line."""
    lines = virtocid.console_log(name).splitlines()
    return "".join(f"{line.split(' ', 3)[-1]}\n" for line in lines)


@pytest.mark.parametrize(
    "runtime", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("runc", "crun")]
)
def test_a_disk_is_mounted_where_the_mapping_says_and_keeps_its_data(
    virtocid: Virtocid, disk: Path, runtime: str
) -> None:
    parts: XmlParts = {"settings": _volume("/srv/deep/data"), "devices": _disk(disk) + _CONSOLE, "runtime": runtime}
    first = _says(virtocid, "web", "echo precious > /srv/deep/data/file; ls -a /srv/deep/data; id -u", **parts)
    assert "lost+found" not in first
    again = _says(virtocid, "web", "cat /srv/deep/data/file; stat -c %u:%g /srv/deep/data/file; mount", **parts)
    assert again.splitlines()[:2] == ["precious", "0:0"]
    mounted = next(line for line in again.splitlines() if " /srv/deep/data " in line)
    assert "ext4 (rw,nosuid,nodev" in mounted
    virtocid.virsh("undefine", "web")
    other = _says(virtocid, "other", "cat /srv/deep/data/file; stat -c %u /srv/deep/data/file", **parts)
    assert other.splitlines() == ["precious", "0"]  # another domain, other host ids, the same owner inside


def test_a_mapping_inside_the_disk_and_a_subpath(virtocid: Virtocid, disk: Path) -> None:
    namespace = "xmlns:covirt='https://covirt.org/xmlns/container/1.0'"
    inner = f"<covirt:volume {namespace} target='/data' subpath='shop/files'/>"
    virtocid.run(
        "web", _script("echo here > /data/file; echo done; sleep 1000"), devices=_disk(disk, more=inner) + _CONSOLE
    )
    virtocid.wait_for_output("web", "done")
    assert fact(virtocid.tell("dumpxml", "web"), "devices/disk/*/@subpath") == "shop/files"
    virtocid.virsh("destroy", "web")
    whole = _says(virtocid, "whole", "cat /data/shop/files/file; ln -s /etc /data/away", settings=_volume(),
                  devices=_disk(disk) + _CONSOLE)  # fmt: skip
    assert whole == "here\n"
    virtocid.define("out", settings=_volume(more="subpath='away'"), devices=_disk(disk) + _CONSOLE)
    assert "cannot be shown from the volume" in virtocid.refusal("start", "out")


def test_a_read_only_disk_is_read_only(virtocid: Virtocid, disk: Path) -> None:
    _says(virtocid, "web", "echo kept > /data/file", settings=_volume(), devices=_disk(disk) + _CONSOLE)
    devices = _disk(disk, more="<readonly/>") + _CONSOLE
    text = _says(virtocid, "reader", "cat /data/file; rm -f /data/file; mount -o remount,rw /data; touch /data/new",
                 settings=_volume(), devices=devices)  # fmt: skip
    assert text.splitlines()[0] == "kept"
    assert text.count("Read-only file system") == 2


def test_a_disk_is_mounted_once_unless_it_is_shareable(virtocid: Virtocid, disk: Path) -> None:
    virtocid.run("one", settings=_volume(), devices=_disk(disk) + _CONSOLE)
    virtocid.define("two", settings=_volume(), devices=_disk(disk) + _CONSOLE)
    assert "is in use" in virtocid.refusal("start", "two")
    virtocid.restart()
    assert "is in use" in virtocid.refusal("start", "two")
    virtocid.virsh("destroy", "one")
    virtocid.virsh("start", "two")
    virtocid.virsh("destroy", "two")
    shared: XmlParts = {"settings": _volume(), "devices": _disk(disk, more="<shareable/>") + _CONSOLE}
    virtocid.run("writer", _script("echo told > /data/file; echo done; sleep 1000"), **shared)
    virtocid.wait_for_output("writer", "done")
    assert _says(virtocid, "reader", "cat /data/file", **shared) == "told\n"


def test_what_a_killed_daemon_mounted_goes_with_the_container(virtocid: Virtocid, disk: Path) -> None:
    other = virtocid.root.path / "other.raw"
    with other.open("wb") as stream:
        stream.truncate(32 * _MIB)
    shared = _disk(other, "vdb", more="<shareable/>")
    virtocid.run("web", settings=_volume() + _volume("/other", "vdb"), devices=_disk(disk) + shared + _CONSOLE)
    virtocid.kill()
    assert loops_over(disk.stat())
    virtocid.start()
    virtocid.virsh("destroy", "web")
    for path in (disk, other):
        wait_until(lambda: not loops_over(path.stat()), timeout_seconds=30, what="the loop device's end")  # noqa: B023
    assert mount_below(virtocid.root.run_dir / "volumes") == ()
    virtocid.virsh("start", "web")
    virtocid.kill()
    os.kill(int(run(["pgrep", "-f", f"conmon.*{virtocid.root.path}"], timeout_seconds=60).stdout.split()[0]),
            signal.SIGKILL)  # fmt: skip
    virtocid.start()  # the supervisor is lost, so it ends
    wait_until(lambda: virtocid.tell("domstate", "web") != "running", timeout_seconds=60, what="its end")
    for path in (disk, other):
        wait_until(lambda: not loops_over(path.stat()), timeout_seconds=30, what="the loop device's end")  # noqa: B023
    other.unlink()


@pytest.mark.parametrize(
    ("settings", "device", "reason"),
    [
        ("", _disk(Path("/x")), "for a running container, before it is started"),
        (_volume("/"), _disk(Path("/x")), "the root file system is the image"),
        (_volume("/proc/sys"), _disk(Path("/x")), "its own /proc, /sys and /dev"),
        (_volume("/dev"), _disk(Path("/x")), "its own /proc, /sys and /dev"),
        (_volume("/a/../.."), _disk(Path("/x")), "'..' segment"),
        (_volume("/a") + _volume("/a/b", "vdb"), _disk(Path("/x")) + _disk(Path("/y"), "vdb"), "each other's way"),
        (_volume("/a") + "<covirt:volume discard='/a'/>", _disk(Path("/x")), "each other's way"),
        (_volume(more="subpath='../x'"), _disk(Path("/x")), "not a path inside a volume"),
        (_volume() + _volume("/b"), _disk(Path("/x")), "mapped twice"),
        (_volume(), _disk(Path("/x"), form="qcow2"), "no format but raw"),
        ("<covirt:root disk='vdb'/>", "", "there is no such disk"),
        ("<covirt:root disk='vda'/>" + _volume(), _disk(Path("/x")), "another place too"),
        ("<covirt:root disk='vda' layer='discarded'/>", _disk(Path("/x")), "is kept there"),
        ("<covirt:root disk='vda'/>", _disk(Path("/x"), more="<readonly/>"), "neither readonly nor shareable"),
        ("", "<disk type='dir' device='disk'><source dir='/srv'/><target dev='vda'/></disk>", "shows directories"),
        ("", "<disk type='network' device='disk'><target dev='vda'/></disk>", "'network' is not one of"),
    ],
)  # fmt: skip
def test_what_cannot_be_mounted_is_refused_at_define(
    virtocid: Virtocid, settings: str, device: str, reason: str
) -> None:

    with virtocid.xml_file(domain_xml("web", settings=settings, devices=device + _CONSOLE)) as path:
        assert reason in virtocid.refusal("define", str(path))


def test_a_foreign_disk_is_refused_at_start(virtocid: Virtocid, disk: Path) -> None:
    run(["mkfs.ext4", "-q", "-F", disk], timeout_seconds=60)
    before = disk.read_bytes()
    virtocid.define("web", settings=_volume(), devices=_disk(disk) + _CONSOLE)
    assert "neither mounted nor formatted" in virtocid.refusal("start", "web")
    assert virtocid.state("web") == "shut off (failed)"
    run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "32M"], timeout_seconds=60)
    assert "a qcow2 image" in virtocid.refusal("start", "web")
    disk.write_bytes(before)


def test_a_full_volume_is_the_containers_own_trouble(virtocid: Virtocid, disk: Path) -> None:
    text = _says(virtocid, "web", "dd if=/dev/zero of=/data/big bs=1M; touch /fine && echo fine",
                 settings=_volume(), devices=_disk(disk) + _CONSOLE)  # fmt: skip
    assert "No space left" in text
    assert "fine" in text


@pytest.mark.parametrize(
    "runtime", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("runc", "crun")]
)
def test_a_root_layer_on_a_disk(virtocid: Virtocid, disk: Path, runtime: str) -> None:
    parts: XmlParts = {"settings": "<covirt:root disk='vda'/>", "devices": _disk(disk) + _CONSOLE, "runtime": runtime}
    text = _says(virtocid, "web", "echo mine > /mine; dd if=/dev/zero of=/big bs=1M", **parts)
    assert "No space left" in text
    virtocid.virsh("undefine", "web")
    assert _says(virtocid, "other", "cat /mine; rm -f /big", **parts) == "mine\n"


def test_a_file_system_in_a_file(virtocid: Virtocid, disk: Path) -> None:
    filesystem = f"<filesystem type='file'><source file='{disk}'/><target dir='/data'/></filesystem>"
    assert _says(virtocid, "web", "echo kept > /data/file", devices=filesystem + _CONSOLE) == ""
    readonly = filesystem.replace("</filesystem>", "<readonly/></filesystem>")
    text = _says(virtocid, "web", "cat /data/file; touch /data/new", devices=readonly + _CONSOLE)
    assert text.startswith("kept\n")
    assert "Read-only" in text


def test_ovirts_drive_map(virtocid: Virtocid, disk: Path) -> None:
    """A label is the end of a declared volume's path, else a directory in the root; either order is understood."""
    other = virtocid.root.path / "other.raw"
    other.write_bytes(bytes(32 * _MIB))
    lines = "<ovirtdm:data>vda</ovirtdm:data><ovirtdm:vdb>elsewhere</ovirtdm:vdb>"
    space = "xmlns:ovirtdm='http://ovirt.org/vm/containers/drivemap/1.0'"
    metadata = f"</covirt:container><ovirtdm:drivemap {space}>{lines}</ovirtdm:drivemap><note:x xmlns:note='urn:n'>"

    command = _script("cat /var/lib/data/first; mount | grep ext4 | cut -d' ' -f3; echo done; sleep 1000")
    text = domain_xml(
        "web", command, image="store", settings=metadata, devices=_disk(disk) + _disk(other, "vdb") + _CONSOLE
    )
    with virtocid.xml_file(text.replace("</covirt:container>\n  </metadata>", "</note:x>\n  </metadata>")) as path:
        virtocid.virsh("define", str(path))
    virtocid.virsh("start", "web")
    virtocid.wait_for_output("web", "done")
    said = _printed(virtocid, "web").split()
    assert said[:3] == ["from", "the", "image"]
    assert {"/var/lib/data", "/elsewhere"} <= set(said)
    virtocid.virsh("destroy", "web")
    wait_until(lambda: not loops_over(other.stat()), timeout_seconds=30, what="the end of the loop device")
    other.unlink()


def test_an_unmapped_volume_of_the_image_is_kept_until_all_storage_is_removed(virtocid: Virtocid) -> None:
    uuid = str(uuid5(NAMESPACE_DNS, "web"))
    parts: XmlParts = {"image": "store", "settings": "<covirt:root layer='discarded'/>"}
    script = "cat /var/lib/data/first; stat -c %u:%g:%a /var/lib/data; echo more >> /var/lib/data/first"
    assert _says(virtocid, "web", script, **parts).splitlines() == ["from the image", "101:102:750"]
    directory = virtocid.root.state_dir / "virtocid/volumes" / uuid
    assert f"volume /var/lib/data is kept in {directory}/var%2Flib%2Fdata" in virtocid.tell("dominfo", "web")
    shown = virtocid.tell("dumpxml", "web")
    assert facts(shown, "devices/disk/@type", "devices/disk/*/@target") == ["dir", "dir", "/cache", "/var/lib/data"]
    with virtocid.xml_file(shown) as path:
        virtocid.virsh("define", str(path))  # what was shown can be defined
    virtocid.virsh("undefine", "web")
    assert f"path={directory}/var%2Flib%2Fdata" in virtocid.log
    again = _says(virtocid, "web", "cat /var/lib/data/first", **parts)
    assert again.splitlines() == ["from the image", "more"]
    told = virtocid.tell("undefine", "web", "--remove-all-storage")
    assert not directory.exists(), told
    assert _says(virtocid, "web", "cat /var/lib/data/first", **parts) == "from the image\n"
    virtocid.virsh("undefine", "web")
    virtocid.virsh("vol-delete", f"{directory}/var%2Flib%2Fdata")
    assert not (directory / "var%2Flib%2Fdata").exists()
    virtocid.virsh("vol-delete", f"{directory}/cache")


def test_a_running_domains_volume_is_not_deleted(virtocid: Virtocid) -> None:
    virtocid.run("web", (), image="store")
    directory = virtocid.root.state_dir / "virtocid/volumes" / virtocid.tell("domuuid", "web")
    assert "already running" in virtocid.refusal("vol-delete", f"{directory}/cache")
    virtocid.virsh("destroy", "web")
    virtocid.virsh("undefine", "web", "--remove-all-storage")
    assert not directory.exists()


@pytest.mark.parametrize(
    "runtime", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("runc", "crun")]
)
def test_discarded_volumes_begin_anew_with_every_run(virtocid: Virtocid, runtime: str) -> None:
    settings = "<covirt:volume discard='/var/lib/data' size='4' units='MiB'/><covirt:volume discard='/cache'/>"
    parts: XmlParts = {"image": "store", "runtime": runtime, "settings": settings}
    script = (
        "cat /var/lib/data/first; stat -c %u:%g:%a /var/lib/data; echo more >> /var/lib/data/first;"
        "dd if=/dev/zero of=/var/lib/data/big bs=1M 2>&1 | grep -c 'No space'; touch /cache/file"
    )
    for _ in range(2):
        assert _says(virtocid, "web", script, **parts).splitlines() == ["from the image", "101:102:750", "1"]
    directory = virtocid.root.state_dir / "virtocid/volumes" / virtocid.tell("domuuid", "web")
    assert not directory.exists()
    assert "kept" not in virtocid.tell("dumpxml", "web")


def test_a_transient_domain_keeps_nothing(virtocid: Virtocid) -> None:
    before = set((virtocid.root.state_dir / "virtocid/volumes").glob("*"))

    with virtocid.xml_file(domain_xml("web", _script("echo x >> /var/lib/data/first"), image="store")) as path:
        virtocid.virsh("create", str(path))
    wait_until(lambda: "web" not in virtocid.tell("list", "--all", "--name"), timeout_seconds=60, what="its end")
    assert set((virtocid.root.state_dir / "virtocid/volumes").glob("*")) == before


def test_an_engines_container_maps_every_volume(virtocid: Virtocid) -> None:

    text = domain_xml("web", (), image="store")
    vm = "</covirt:container><ovirt-vm:vm xmlns:ovirt-vm='http://ovirt.org/vm/1.0'/>"
    with virtocid.xml_file(text.replace("</covirt:container>", vm)) as path:
        assert "declares a volume at /cache" in virtocid.refusal("define", str(path))
    with virtocid.xml_file(
        text.replace("</covirt:container>", f"<covirt:volume discard='/cache'/><covirt:volume discard='/var'/>{vm}")
    ) as path:
        virtocid.virsh("define", str(path))


def test_numbers_of_a_disk(virtocid: Virtocid, disk: Path) -> None:
    """Size from the file; I/O from the loop device, which only volumes have; nothing for the image."""
    image = f"<disk type='file' device='cdrom'><source file='{virtocid.image}'/><target dev='hda'/><readonly/></disk>"
    script = "dd if=/dev/zero of=/data/file bs=1M count=5 && sync && echo written; sleep 1000"
    virtocid.run("web", _script(script), image="", settings=_volume(), devices=image + _disk(disk) + _CONSOLE)
    virtocid.wait_for_output("web", "written")
    with virtocid.connect() as connection:
        domain = connection.lookupByName("web")
        stats = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BLOCK)[0][1]
        assert (stats["block.count"], stats["block.1.name"], stats["block.1.path"]) == (2, "vda", str(disk))
        assert stats["block.1.wr.bytes"] >= 5 * _MIB
        assert stats["block.1.wr.reqs"] > 0
        assert stats["block.1.wr.times"] >= 0
        assert "block.0.wr.bytes" not in stats
        assert stats["block.1.capacity"] == 32 * _MIB
        assert domain.blockInfo("vda")[0] == 32 * _MIB
        assert domain.blockInfo("vda")[1] >= 5 * _MIB
        assert domain.blockStats("vda")[3] >= 5 * _MIB
        assert domain.blockStats("hda")[3] == -1
        assert domain.blockStatsFlags("vda")["wr_bytes"] >= 5 * _MIB
        assert "flush_operations" in domain.blockStatsFlags("vda")
        domain.destroy()
        assert "block.1.wr.bytes" not in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BLOCK)[0][1]
    assert virtocid.tell("domblklist", "web").split() == ["hda", str(virtocid.image), "vda", str(disk)]
    assert f"Capacity:       {32 * _MIB}" in virtocid.tell("domblkinfo", "web", "vda")


def test_numbers_begin_with_the_mount(virtocid: Virtocid, disk: Path) -> None:
    """Loop devices are used again: what the container before has written is not this one's; over a restart, too."""
    script = "test -e /data/file || dd if=/dev/zero of=/data/file bs=1M count=9; sync; echo written; sleep 1000"
    virtocid.run("web", _script(script), settings=_volume(), devices=_disk(disk) + _CONSOLE)
    virtocid.wait_for_output("web", "written")
    with virtocid.connect() as connection:
        assert connection.lookupByName("web").blockStats("vda")[3] >= 9 * _MIB
    virtocid.tell("destroy", "web")
    virtocid.tell("start", "web")
    wait_until(lambda: virtocid.console_log("web").count("written") == 2, what="the second run to have written")
    for _ in range(2):
        with virtocid.connect() as connection:
            domain = connection.lookupByName("web")
            assert 0 <= domain.blockStats("vda")[3] < 4 * _MIB
            stats = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BLOCK)[0][1]
            assert stats["block.0.wr.bytes"] < 4 * _MIB
        virtocid.restart()


def test_a_root_layers_disk_has_numbers_too(virtocid: Virtocid, disk: Path) -> None:
    script = "dd if=/dev/zero of=/file bs=1M count=3 && sync && echo written; sleep 1000"
    virtocid.run("web", _script(script), settings="<covirt:root disk='vda'/>", devices=_disk(disk) + _CONSOLE)
    virtocid.wait_for_output("web", "written")
    with virtocid.connect() as connection:
        assert connection.lookupByName("web").blockStats("vda")[3] >= 3 * _MIB


def test_a_block_device(virtocid: Virtocid, disk: Path) -> None:
    with loop_device(os.fspath(disk), read_only=False) as device:
        parts: XmlParts = {"settings": _volume(), "devices": _disk(Path(device), kind="block") + _CONSOLE}
        _says(virtocid, "web", "echo kept > /data/file", **parts)
        assert _says(virtocid, "web", "cat /data/file", **parts) == "kept\n"
        with virtocid.connect() as connection:
            assert connection.lookupByName("web").blockInfo("vda") == [32 * _MIB] * 3
        virtocid.run("held", **parts)
        with pytest.raises(OSError, match="busy"):  # what mkfs, LVM and their like ask first
            os.open(device, os.O_RDONLY | os.O_EXCL)
        virtocid.virsh("destroy", "held")
