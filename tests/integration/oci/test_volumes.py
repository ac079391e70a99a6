# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes on disks: what is formatted, what is refused, who may have one at the same time, and that it goes again."""

import hashlib
import os
import signal
import stat
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import pytest

from covirt.common.errors import Error
from covirt.common.mountinfo import mounts_below
from covirt.common.process import run, spawn
from covirt.oci import mount, syscalls
from covirt.oci.idmap import IdMap
from covirt.oci.loop import loop_device, loops_over
from covirt.oci.namespaces import make_namespaces, remove_namespaces
from covirt.oci.volume.content import directory_below, fill
from covirt.oci.volume.disks import Disk, Disks
from covirt.oci.volume.errors import (
    BlankReadOnlyVolume,
    ForeignDisk,
    NoSuchSubpath,
    NotADisk,
    UncleanReadOnlyVolume,
    VolumeDamaged,
    VolumeInUse,
    VolumeMissing,
    VolumeTooSmall,
    VolumeUnreadable,
)
from covirt.oci.volume.format import Formatter
from covirt.oci.volume.superblock import read_superblock
from covirt.oci.volume.views import DiskVolume, KeptVolume, mount_view
from tests.support.programs import fake_program, prepend_path
from tests.support.syscalls import unmount
from tests.support.waiting import wait_until

_MIB = 1 << 20
_PARTITION = struct.pack("<4B4B2I", 0, 0, 2, 0, 0x83, 0, 3, 0, 2048, 8192) + bytes(48) + b"\x55\xaa"
_LUKS = b"LUKS\xba\xbe\x00\x01" + b"aes".ljust(32, b"\0") + bytes(128) + b"1b4e28ba-2fa1-11d2-883f-b9a761bde3fb"
_IDMAP = IdMap(uid_first=1_000_000, gid_first=2_000_000, count=65_536)


def _raw(path: Path, size_bytes: int = 32 * _MIB) -> Path:
    with path.open("wb") as stream:
        stream.truncate(size_bytes)
    return path


@pytest.fixture
def disks(open_dir: Path, disk_dir: Path) -> Disks:
    return Disks(open_dir, disk_dir / "state")


@pytest.fixture
def user_namespace(open_dir: Path) -> Iterator[Path]:
    directory = open_dir / "namespaces"
    yield make_namespaces(_IDMAP, directory).user
    remove_namespaces(directory)


@pytest.fixture
def show(disks: Disks, open_dir: Path, user_namespace: Path) -> Iterator[Callable[..., Path]]:
    """Shows a disk as a container would have it; all views go at the end."""
    views: list[Path] = []

    def shown(path: Path, *, block: bool = False, readonly: bool = False, shareable: bool = False) -> Path:
        view = open_dir / "views" / str(len(views))
        disk = Disk(path=path, block=block, read_only=readonly, shareable=shareable)
        mount_view(DiskVolume(disk=disk, destination="/data"), view, user_namespace=user_namespace, disks=disks)
        views.append(view)
        return view

    yield shown
    for view in views:
        mount.unmount(view)
    disks.release_unused()
    assert mounts_below(open_dir / "volumes") == []


def _gone(path: Path) -> None:
    wait_until(lambda: not loops_over(path.stat()), timeout_seconds=30, what=f"the loop device of {path}")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _as_container(*command: str) -> str:
    """Run a command with the ids of the container's root, on the host."""
    ids = ("--reuid", str(_IDMAP.uid_first), "--regid", str(_IDMAP.gid_first), "--clear-groups")
    return run(("setpriv", *ids, *command), timeout_seconds=60).stdout.decode()


def test_a_blank_disk_is_formatted_once_and_keeps_its_data(
    disks: Disks, show: Callable[..., Path], disk_dir: Path
) -> None:
    path = _raw(disk_dir / "vol.raw")
    view = show(path)
    assert (view.stat().st_uid, view.stat().st_gid) == (_IDMAP.uid_first, _IDMAP.gid_first)
    assert list(view.iterdir()) == []  # no lost+found
    _as_container("sh", "-c", f"echo precious > {view}/file")
    mount.unmount(view)
    _gone(path)
    with path.open("rb") as stream:
        superblock = read_superblock(stream.fileno())
    assert superblock is not None
    assert superblock.clean
    again = show(path)
    assert (again / "file").read_text() == "precious\n"
    with path.open("rb") as stream:
        after = read_superblock(stream.fileno())
    assert after is not None
    assert after.uuid == superblock.uuid
    mount.unmount(again)
    _gone(path)
    with disks.hold(Disk(path=path)) as top:  # on the disk the ids are the image's
        assert (top / "data/file").stat().st_uid == 0


def _mkfs(*argv: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        run((*argv, path), timeout_seconds=60)

    return make


def _write(offset: int, data: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("r+b") as stream:
            stream.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
            stream.write(data)

    return write


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("covirt", _mkfs("mkfs.ext4", "-q", "-F", "-L", "covirt-volume")),
        ("not covirt's", _mkfs("mkfs.ext4", "-q", "-F")),
        ("swap", _mkfs("mkswap")),
        ("partition table", _write(446, _PARTITION)),
        ("qcow2", _write(0, b"QFI\xfb\x00\x00\x00\x03")),
        ("LUKS", _write(0, _LUKS)),
        ("unknown", _write(700_000, b"somebody's data")),
        ("unknown", _write(-100, b"somebody's data")),
        ("gzip", _write(0, b"\x1f\x8b\x08 and so on")),
    ],
)  # fmt: skip
def test_a_foreign_disk_is_refused_and_left_as_it_is(
    show: Callable[..., Path], disk_dir: Path, what: str, spoil: Callable[[Path], None]
) -> None:
    path = _raw(disk_dir / "foreign.raw")
    spoil(path)
    before = _digest(path)
    with pytest.raises(ForeignDisk, match=what):
        show(path)
    assert _digest(path) == before


def test_another_hosts_volume_needs_its_key(
    show: Callable[..., Path], open_dir: Path, disk_dir: Path, user_namespace: Path
) -> None:
    path = _raw(disk_dir / "vol.raw")
    mount.unmount(show(path))
    _gone(path)
    other = Disks(open_dir / "other", disk_dir / "other-state")
    volume, view = DiskVolume(disk=Disk(path=path), destination="/data"), open_dir / "view"
    with pytest.raises(ForeignDisk, match="another key"):
        mount_view(volume, view, user_namespace=user_namespace, disks=other)
    key = disk_dir / "state/volume-key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (disk_dir / "other-state/volume-key").write_bytes(key.read_bytes())
    fresh = Disks(open_dir / "other", disk_dir / "other-state")
    mount_view(volume, view, user_namespace=user_namespace, disks=fresh)
    mount.unmount(view)


def test_only_raw_files_and_devices_are_opened(show: Callable[..., Path], disk_dir: Path) -> None:
    target = _raw(disk_dir / "target.raw")
    link, fifo = disk_dir / "link.raw", disk_dir / "fifo"
    link.symlink_to(target)
    os.mkfifo(fifo)
    for path, what in (
        (link, "a symbolic link"),
        (fifo, "a FIFO"),
        (disk_dir, "a directory"),
        (Path("/dev/null"), "a character device"),
    ):
        with pytest.raises(NotADisk, match=what):
            show(path)
    with pytest.raises(NotADisk, match="block device"):
        show(target, block=True)
    with pytest.raises(VolumeMissing):
        show(disk_dir / "absent.raw")
    assert _digest(target) == hashlib.sha256(bytes(32 * _MIB)).hexdigest()


def test_a_disk_too_small_for_a_file_system_is_refused(show: Callable[..., Path], disk_dir: Path) -> None:
    for size_bytes in (0, 512, 4 * _MIB):
        with pytest.raises(VolumeTooSmall, match=str(size_bytes)):
            show(_raw(disk_dir / "small.raw", size_bytes))


def test_an_interrupted_formatting_is_done_again(
    disks: Disks, show: Callable[..., Path], disk_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _raw(disk_dir / "vol.raw")
    monkeypatch.setattr(Formatter, "forget", _power_cut)
    with pytest.raises(KeyboardInterrupt):
        show(path)
    monkeypatch.undo()
    _write(1024, bytes(1024))(path)  # the superblock had not reached the disk, what is around it had
    with path.open("rb") as stream:
        assert any(stream.read(_MIB))
    mount.unmount(show(path))
    assert not any((disk_dir / "state/volumes-in-the-making").iterdir())
    _gone(path)
    with disks.hold(Disk(path=path)):
        pass


@pytest.mark.parametrize("same_file", [True, False])
def test_what_came_after_an_interrupted_formatting_is_not_formatted(
    show: Callable[..., Path], disk_dir: Path, monkeypatch: pytest.MonkeyPatch, same_file: bool
) -> None:
    path = _raw(disk_dir / "vol.raw")
    monkeypatch.setattr(Formatter, "forget", _power_cut)
    with pytest.raises(KeyboardInterrupt):
        show(path)
    monkeypatch.undo()
    if same_file:
        _write(0, b"QFI\xfb" + bytes(_MIB))(path)
    else:
        other = _raw(disk_dir / "other.raw")  # beside it, so that it gets another inode
        _write(_MIB // 2, b"precious")(other)
        other.rename(path)
    before = _digest(path)
    with pytest.raises(ForeignDisk):
        show(path)
    assert _digest(path) == before


def _power_cut(_formatter: Formatter, _path: str) -> None:
    raise KeyboardInterrupt


def test_an_unclean_end_is_repaired(show: Callable[..., Path], disk_dir: Path) -> None:
    path, copy = _raw(disk_dir / "vol.raw"), disk_dir / "copy.raw"
    view = show(path)
    _as_container("sh", "-c", f"echo kept > {view}/file")
    run(("sync", "--file-system", view), timeout_seconds=60)
    copy.write_bytes(path.read_bytes())  # as a power cut would leave it
    with copy.open("rb") as stream:
        superblock = read_superblock(stream.fileno())
    assert superblock is not None
    assert not superblock.clean
    with pytest.raises(UncleanReadOnlyVolume):
        show(copy, readonly=True)
    assert (show(copy) / "file").read_text() == "kept\n"


def test_damage_that_cannot_be_mended_is_told(show: Callable[..., Path], disk_dir: Path) -> None:
    path = _raw(disk_dir / "vol.raw")
    mount.unmount(show(path))
    _gone(path)
    _write(0x43A, b"\x02\x00")(path)  # s_state: errors were seen
    _write(2048, b"\xff" * 30_000)(path)
    with pytest.raises(VolumeDamaged):
        show(path)


def test_a_disk_is_mounted_by_one_container_unless_it_is_shareable(show: Callable[..., Path], disk_dir: Path) -> None:
    path = _raw(disk_dir / "vol.raw")
    view = show(path)
    for wish in ({}, {"shareable": True}, {"readonly": True}, {"readonly": True, "shareable": True}):
        with pytest.raises(VolumeInUse):
            show(path, **wish)
    mount.unmount(view)
    one, two = show(path, shareable=True), show(path, shareable=True)
    assert len(loops_over(path.stat())) == 1
    _as_container("touch", f"{one}/seen")
    assert (two / "seen").exists()
    reader = show(path, readonly=True, shareable=True)
    with pytest.raises(OSError, match="Read-only"):
        (reader / "seen").unlink()
    for wish in ({}, {"readonly": True}):
        with pytest.raises(VolumeInUse):
            show(path, **wish)
    for each in (one, two, reader):
        mount.unmount(each)
    show(path)  # the shared mount is given back without being asked


def test_readers_share_and_keep_writers_off(show: Callable[..., Path], disk_dir: Path) -> None:
    path = _raw(disk_dir / "vol.raw")
    with pytest.raises(BlankReadOnlyVolume):
        show(path, readonly=True)
    mount.unmount(show(path))
    _gone(path)
    before = _digest(path)
    show(path, readonly=True)
    show(path, readonly=True)
    for wish in ({}, {"shareable": True}):
        with pytest.raises(VolumeInUse):
            show(path, **wish)
    assert _digest(path) == before  # not even the time of the mount is written


@pytest.mark.parametrize("readonly", [False, True])
def test_a_virtual_machines_disk_is_not_mounted(show: Callable[..., Path], disk_dir: Path, readonly: bool) -> None:
    path = _raw(disk_dir / "vol.raw")
    mount.unmount(show(path))
    _gone(path)
    qemu = f'json:{{"driver":"raw","file":{{"driver":"file","filename":"{path}"}}}}'
    script = f"qemu-io {'-r' if readonly else ''} -c 'sleep 60000' '{qemu}'"
    with _running(script, until=lambda: _is_locked(path)):
        with pytest.raises(VolumeInUse, match="virtual machine"):
            show(path)
        if readonly:
            return
        with pytest.raises(VolumeInUse):
            show(path, readonly=True)


def test_a_virtual_machine_cannot_open_what_a_container_mounts(show: Callable[..., Path], disk_dir: Path) -> None:
    path = _raw(disk_dir / "vol.raw")
    show(path)
    for options in ((), ("-r",)):
        refused = run(("qemu-io", *options, "-f", "raw", "-c", "read 0 512", path), timeout_seconds=60, check=False)
        assert refused.status != 0
        assert b"lock" in refused.stderr


@contextmanager
def _running(script: str, *, until: Callable[[], bool]) -> Iterator[None]:
    with spawn(("sh", "-c", f"exec {script}"), own_group=True):
        wait_until(until, timeout_seconds=60, what="the disk's lock")
        yield


def _is_locked(path: Path) -> bool:
    inode = path.stat().st_ino
    return any(f":{inode} " in line for line in Path("/proc/locks").read_text().splitlines())


def test_what_a_killed_daemon_left_is_found_in_the_mount_table(
    show: Callable[..., Path], open_dir: Path, disk_dir: Path
) -> None:
    path, other = _raw(disk_dir / "vol.raw"), _raw(disk_dir / "other.raw")
    show(path)
    show(other, shareable=True)
    successor = Disks(open_dir, disk_dir / "state")
    left = open_dir / "volumes/file-1-1.alone"  # killed before its view was there
    left.mkdir()
    syscalls.mount("tmpfs", os.fspath(left), "tmpfs", 0)
    successor.release_unused()
    assert not left.exists()
    assert len(mounts_below(open_dir / "volumes")) == 1
    with pytest.raises(VolumeInUse), successor.hold(Disk(path=path)):
        pass
    with successor.hold(Disk(path=other, shareable=True)) as top:
        assert (top / "data").is_dir()


def test_two_starts_at_once_end_with_one_mount(
    disks: Disks, open_dir: Path, user_namespace: Path, disk_dir: Path
) -> None:
    path = _raw(disk_dir / "vol.raw")
    answers: list[object] = []

    def start(number: int) -> None:
        volume = DiskVolume(disk=Disk(path=path), destination="/data")
        try:
            answers.append(mount_view(volume, open_dir / f"v{number}", user_namespace=user_namespace, disks=disks))
        except Error as error:
            answers.append(error)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(answer, VolumeInUse) for answer in answers) == 3, answers
    for number in range(4):
        mount.unmount(open_dir / f"v{number}")


def test_a_full_volume_fills_nothing_but_itself(show: Callable[..., Path], disk_dir: Path) -> None:
    view = show(_raw(disk_dir / "vol.raw", 9 * _MIB))
    with pytest.raises(Error, match="No space left"):
        _as_container("dd", "if=/dev/zero", f"of={view}/big", "bs=1M", "count=20")


def test_a_disk_that_cannot_be_read_is_named(show: Callable[..., Path]) -> None:
    path = Path("/proc", str(os.getpid()), "mem")  # a regular file by its type
    with pytest.raises(VolumeUnreadable, match=f"{path} cannot be read: Invalid argument"):
        show(path)


@pytest.mark.parametrize("block", [False, True])
def test_errors_on_a_disk_never_stop_the_host(show: Callable[..., Path], disk_dir: Path, block: bool) -> None:
    path = _raw(disk_dir / "vol.raw")
    mount.unmount(show(path))
    _gone(path)
    run(("tune2fs", "-e", "panic", path), timeout_seconds=60)
    with loop_device(os.fspath(path), read_only=False) if block else nullcontext(path) as place:
        view = show(Path(place), block=block)
        table = Path("/proc/self/mountinfo").read_text().splitlines()
        assert ["errors=remount-ro" in line for line in table if f" {view} " in line] == [True]
        mount.unmount(view)


def test_block_devices(show: Callable[..., Path], disk_dir: Path) -> None:
    path = _raw(disk_dir / "vol.raw")
    with loop_device(os.fspath(path), read_only=False) as device:
        view = show(Path(device), block=True)
        _as_container("touch", f"{view}/file")
        for wish in ({}, {"shareable": True}, {"readonly": True}):
            with pytest.raises(VolumeInUse):
                show(Path(device), block=True, **wish)
        mount.unmount(view)
        one, two = (show(Path(device), block=True, shareable=True) for _ in range(2))
        assert (one / "file").exists()
        assert (two / "file").exists()
        mount.unmount(one)
        mount.unmount(two)
        assert (show(Path(device), block=True, readonly=True) / "file").exists()
        plain = disk_dir / "mounted"
        plain.mkdir()
        with pytest.raises(VolumeInUse):
            show(Path(device), block=True)


def test_a_link_to_a_device_is_followed_once(
    show: Callable[..., Path], disk_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may change the link, as Vdsm's user in its storage, cannot have a foreign disk mounted."""
    link = disk_dir / "link"
    foreign = _raw(disk_dir / "foreign.raw")
    run(("mke2fs", "-q", foreign), timeout_seconds=60)
    with (
        loop_device(os.fspath(_raw(disk_dir / "vol.raw")), read_only=False) as wanted,
        loop_device(os.fspath(foreign), read_only=False) as other,
    ):
        link.symlink_to(wanted)

        def swap(_formatter: Formatter, _path: str) -> None:
            link.unlink()
            link.symlink_to(other)

        monkeypatch.setattr(Formatter, "forget", swap)
        view = show(link, block=True)
        assert view.stat().st_dev == os.stat(wanted).st_rdev
        assert link.resolve() == Path(other)


def test_a_subpath_stays_inside(disks: Disks, disk_dir: Path) -> None:
    with disks.hold(Disk(path=_raw(disk_dir / "vol.raw"))) as top:
        data = fill(top, None, "/data")
        (data / "etc").symlink_to("/etc")
        (data / "up").symlink_to("..")
        (data / "file").write_text("no directory")
        for bad in ("etc", "up", "etc/ssl", "file", "..", "a/../../b"):
            with pytest.raises(NoSuchSubpath), directory_below(data, bad, volume="it"):
                pass
        with directory_below(data, "a/b", volume="it") as inside:
            (inside / "made").touch()
        assert (data / "a/b/made").exists()


def test_a_new_volume_begins_with_what_the_image_has(disks: Disks, open_dir: Path, disk_dir: Path) -> None:
    image = disk_dir / "image"
    (image / "var/lib/db/sub").mkdir(parents=True)
    (image / "var/lib/db/sub/file").write_text("from the image")
    (image / "var/lib/db/link").symlink_to("/etc/shadow")
    os.mkfifo(image / "var/lib/db/fifo")
    os.chown(image / "var/lib/db", 999, 998)
    (image / "var/lib/db").chmod(0o2750)
    (image / "outside").symlink_to("/../../../../etc")
    kept = disk_dir / "kept"
    for top in (kept / "one", kept / "two"):
        top.mkdir(parents=True)
    data = fill(kept / "one", image, "/var/lib/db")
    assert (data.stat().st_uid, data.stat().st_gid, stat.S_IMODE(data.stat().st_mode)) == (999, 998, 0o2750)
    assert (data / "sub/file").read_text() == "from the image"
    assert os.readlink(data / "link") == "/etc/shadow"
    (data / "sub/file").write_text("changed")
    assert fill(kept / "one", image, "/var/lib/db") == data
    assert (data / "sub/file").read_text() == "changed"
    assert list(fill(kept / "two", image, "/outside").iterdir()) == []  # the link leads into the image, not to /etc
    (kept / "three/data.new/half").mkdir(parents=True)  # killed while it copied
    assert not (fill(kept / "three", image, "/var/lib/db") / "half").exists()


def test_a_kept_directory_is_entered_by_root_alone(
    disks: Disks, open_dir: Path, disk_dir: Path, user_namespace: Path
) -> None:
    volume = KeptVolume(directory=disk_dir / "volumes/one", destination="/data")
    view = open_dir / "view"
    mount_view(volume, view, user_namespace=user_namespace, disks=disks)
    try:
        _as_container("touch", f"{view}/file")
        assert (disk_dir / "volumes/one/data/file").stat().st_uid == 0
        assert stat.S_IMODE((disk_dir / "volumes").stat().st_mode) == 0o700
    finally:
        unmount(view)


_FILLING: Final = """
import sys
from pathlib import Path
from covirt.oci.volume.content import fill
fill(Path(sys.argv[1]), Path(sys.argv[2]), "/data")
"""


def test_a_copy_ends_with_a_killed_daemon(disk_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would write to the files that the next daemon copies, and that a container uses then."""
    prepend_path(monkeypatch, tmp_path)
    fake_program(
        tmp_path, "cp", f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 1000"
    )
    top, image = disk_dir / "top", disk_dir / "image"
    top.mkdir()
    (image / "data").mkdir(parents=True)
    with spawn([sys.executable, "-c", _FILLING, top, image]) as daemon:
        wait_until((tmp_path / "pid").exists, timeout_seconds=60, what="the copy")
        daemon.signal(signal.SIGKILL)
        daemon.wait(timeout_seconds=60)
    copy = Path("/proc", (tmp_path / "pid").read_text().strip())
    wait_until(lambda: not copy.exists(), timeout_seconds=60, what="the end of the copy")
