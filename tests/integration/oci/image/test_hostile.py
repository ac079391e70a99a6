# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Layers, archives and image files made to hurt the host: they are refused, or stay inside the image."""

import contextlib
import os
import struct
import tarfile
from pathlib import Path

import pytest

from covirt.common.errors import Error
from covirt.common.files import remove_tree
from covirt.common.process import run
from covirt.common.root import Root
from covirt.oci.image.confine import FIRST_ID, confined, confined_call, hand_over
from covirt.oci.image.errors import IdOutOfRange, ImageDamaged, NotAnImage, UnpackFailed
from covirt.oci.image.options import ImportOptions
from covirt.oci.image.store import ImageStore
from covirt.oci.image.trailer import append_trailer
from tests.support.images import mounted, odd_entry, one_image
from tests.support.oci_layout import Image, directory_entry, layer, link_entry


@pytest.fixture
def victim(open_dir: Path) -> Path:
    """A directory that anybody may write to, with a file that anybody may write to: the easiest of targets."""
    path = open_dir / "victim"
    path.mkdir()
    path.chmod(0o777)
    (path / "file").write_text("untouched")
    (path / "file").chmod(0o666)
    return path


def _layers_against(victim: Path) -> dict[str, list[bytes]]:
    up = "../" * 20
    return {
        "dots": [layer(odd_entry(f"{up}{victim}/dots", b"x"))],
        "dots after a directory": [layer(directory_entry("a"), odd_entry(f"a/{up}{victim}/dots", b"x"))],
        "absolute name": [layer(odd_entry(f"{victim}/absolute", b"x"))],
        "through an absolute link": [layer(link_entry("out", str(victim)), odd_entry("out/planted", b"x"))],
        "through a link of a lower layer": [
            layer(link_entry("out", str(victim))),
            layer(odd_entry("out/planted", b"x"), odd_entry("out/file", b"overwritten")),
        ],
        "through a relative link": [layer(link_entry("out", f"{up}{victim}"), odd_entry("out/planted", b"x"))],
        "hard link to outside": [
            layer(link_entry("mine", f"{victim}/file", hard=True)),
            layer(odd_entry("mine", b"overwritten")),
        ],
        "hard link with dots": [layer(link_entry("mine", f"{up}{victim}/file", hard=True))],
        "hard link through a link": [
            layer(link_entry("out", str(victim)), link_entry("mine", "out/file", hard=True), odd_entry("mine", b"x"))
        ],
        "whiteout with dots": [layer(odd_entry(f"{up}{victim}/.wh.file"))],
        "whiteout through a link": [layer(link_entry("out", str(victim))), layer(odd_entry("out/.wh.file"))],
        "opaque through a link": [layer(link_entry("out", str(victim))), layer(odd_entry("out/.wh..wh..opq"))],
        "whiteout of dots": [layer(odd_entry(".wh..")), layer(odd_entry(".wh..."))],
        "replaced by a link": [
            layer(directory_entry("dir"), odd_entry("dir/x", b"x")),
            layer(link_entry("dir", str(victim)), odd_entry("dir/planted", b"x")),
        ],
        "rootfs itself a link": [layer(link_entry("./", str(victim)), odd_entry("planted", b"x"))],
    }


@pytest.mark.parametrize("trick", sorted(_layers_against(Path("/"))))
def test_no_layer_reaches_the_host(root_dir: Root, open_dir: Path, victim: Path, trick: str) -> None:
    source = one_image(open_dir / "layout", Image(layers=_layers_against(victim)[trick]))
    before = os.stat(victim / "file")
    with contextlib.suppress(UnpackFailed):
        ImageStore(root_dir).import_(source, name="hostile")
    assert os.listdir(victim) == ["file"]
    assert (victim / "file").read_text() == "untouched"
    after = os.stat(victim / "file")
    assert (after.st_nlink, after.st_uid, after.st_mode) == (1, before.st_uid, before.st_mode)


def test_devices_become_empty_files(root_dir: Root, open_dir: Path) -> None:
    disk = odd_entry("disk", kind=tarfile.BLKTYPE, device=(254, 0), mode=0o666)
    memory = odd_entry("memory", kind=tarfile.CHRTYPE, device=(1, 1), mode=0o666)
    image = ImageStore(root_dir).import_(one_image(open_dir / "layout", Image(layers=[layer(disk, memory)])))
    with mounted(image.path, open_dir) as rootfs:
        assert (rootfs / "disk").is_file()
        assert (rootfs / "memory").is_file()


def test_attributes_that_steer_the_kernel_are_left_out(root_dir: Root, open_dir: Path) -> None:
    names = ("trusted.overlay.opaque", "trusted.overlay.redirect", "security.selinux", "security.ima")
    entry = odd_entry("file", b"x", attributes=dict.fromkeys(names, b"y"))
    image = ImageStore(root_dir).import_(one_image(open_dir / "layout", Image(layers=[layer(entry)])))
    with mounted(image.path, open_dir) as rootfs:
        assert os.listxattr(rootfs / "file") == []


def test_an_id_above_65535_is_refused(root_dir: Root, open_dir: Path) -> None:
    source = one_image(open_dir / "layout", Image(layers=[layer(odd_entry("file", uid=100_000))]))
    with pytest.raises(IdOutOfRange, match=r"above 65535"):
        ImageStore(root_dir).import_(source)


class TestConfinement:
    """What a program could do that takes over umoci, mkfs.erofs or fsck.erofs."""

    @pytest.fixture
    def inner(self, open_dir: Path) -> Path:
        path = open_dir / "inner"
        path.mkdir()
        hand_over(path)
        return path

    @pytest.mark.parametrize(
        "attack",
        [
            "echo x > {victim}/planted",
            "echo x > {victim}/file",
            "chmod 777 {victim}/file",
            "mount -o remount,bind,rw / && echo x > {victim}/planted",
            "mount -t tmpfs none {victim} && umount {victim} && mount -o remount,rw {victim}",
            "umount /tmp",
            "mount -t tmpfs -o size=1M none /mnt && mknod /mnt/disk b 254 0 && dd if=/mnt/disk count=1",
            "mknod disk b 254 0 && dd if=disk count=1",
            "cat /etc/shadow",
            "cat /proc/1/environ",
            "kill -9 {parent}",
            "nsenter -t {parent} -m true",
            "ip link set lo up && ip link add v0 type veth && ip link set v0 netns {parent}",
            "hostname taken",
            "dmesg -C",
            "echo 1 > /proc/sys/kernel/sysrq",
        ],
    )
    def test_it_fails(self, open_dir: Path, victim: Path, inner: Path, attack: str) -> None:
        (open_dir / "secret").write_text("x")
        script = attack.format(victim=victim, parent=os.getpid())
        completed = run(confined(inner, "sh", "-c", script), timeout_seconds=30, check=False)
        assert completed.status != 0
        assert (victim / "file").read_text() == "untouched"
        assert os.listdir(victim) == ["file"]

    def test_it_sees_itself_as_root_of_its_directory(self, inner: Path) -> None:
        script = "id -u; id -G; pwd; touch mine; chown 65535:7 mine; ls -n mine; echo $$"
        lines = run(confined(inner, "sh", "-c", script), timeout_seconds=30).stdout.decode().split("\n")
        assert lines[:3] == ["0", "0", "/tmp"]
        assert lines[3].split()[2:4] == ["65535", "7"]
        assert lines[4] == "1"
        assert (inner / "mine").stat().st_uid == FIRST_ID + 65535

    def test_what_it_leaves_running_ends_with_it(self, inner: Path) -> None:
        # The leak check of the test suite would find the sleeper.
        run(confined(inner, "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &"), timeout_seconds=30)

    def test_a_directory_only_root_may_pass_does_not_stop_it(self, open_dir: Path) -> None:
        closed = open_dir / "closed"
        (closed / "inner").mkdir(parents=True)
        hand_over(closed / "inner")
        closed.chmod(0o700)
        run(confined(closed / "inner", "touch", "mine"), timeout_seconds=30)
        assert (closed / "inner/mine").exists()

    def test_a_failed_call_ends_with_its_reason(self, inner: Path) -> None:
        (inner / "tree").mkdir()
        completed = run(confined_call(inner, "listing:restore"), timeout_seconds=30, check=False)
        assert completed.status != 0
        assert "image.json" in completed.complaint
        missing = run(confined(inner, "no-such-program"), timeout_seconds=30, check=False)
        assert missing.status == 126


class TestForeignFiles:
    """Image files that did not come from an import of ours, and what adopt() makes of them."""

    @pytest.fixture
    def foreign(self, open_dir: Path) -> Path:
        tree = open_dir / "tree"
        (tree / "rootfs/bin").mkdir(parents=True)
        (tree / "rootfs/bin/tool").write_text("tool")
        return tree

    def _packed(self, tree: Path, listing: str, *, filesystem: str = "erofs") -> Path:
        (tree / "image.json").write_text(f'{{"listing": {listing}}}')
        image = tree.parent / "foreign.raw"
        remove_tree(image)
        if filesystem == "erofs":
            run(["mkfs.erofs", "--quiet", image, tree], timeout_seconds=60)
        else:
            run(["mke2fs", "-q", "-t", "ext4", "-d", tree, image, "8M"], timeout_seconds=60)
        about = {"version": 1, "digest": f"sha256:{'a' * 64}", "architecture": "amd64", "config": {}}
        descriptor = os.open(image, os.O_RDWR)
        append_trailer(descriptor, about)
        os.close(descriptor)
        return image

    @pytest.mark.parametrize(
        "listing",
        [
            '{"modes": {"../../../../VICTIM/file": 448}, "hard_links": [], "extended_attributes": {}, "fifos": {}}',
            '{"modes": {"/VICTIM/file": 448}, "hard_links": [], "extended_attributes": {}, "fifos": {}}',
            '{"modes": {}, "hard_links": [["bin/tool", "/VICTIM/planted"]], "extended_attributes": {}, "fifos": {}}',
            '{"modes": {}, "hard_links": [["/VICTIM/file", "bin/x"]], "extended_attributes": {}, "fifos": {}}',
            '{"modes": {}, "hard_links": [], "extended_attributes": {}, "fifos": {"/VICTIM/planted": 420}}',
            '{"modes": {}, "hard_links": [], "fifos": {}, "extended_attributes": {"/VICTIM/file": {"user.x": ""}}}',
            "[]",
            '{"modes": []}',
            "null",
        ],
    )
    def test_a_listing_reaches_nothing_outside(
        self, root_dir: Root, foreign: Path, victim: Path, listing: str
    ) -> None:
        image = self._packed(foreign, listing.replace("/VICTIM", str(victim)))
        with pytest.raises(UnpackFailed):
            ImageStore(root_dir).adopt(image)
        assert os.listdir(victim) == ["file"]
        assert (victim / "file").stat().st_mode & 0o777 == 0o666
        assert (victim / "file").stat().st_nlink == 1
        assert os.listxattr(victim / "file") == []

    @pytest.mark.parametrize("filesystem", ["erofs", "ext4"])
    def test_a_set_id_file_and_a_device_are_tamed(
        self, root_dir: Root, foreign: Path, open_dir: Path, filesystem: str
    ) -> None:
        os.mknod(foreign / "rootfs/disk", 0o60666, os.makedev(254, 0))
        listing = '{"modes": {}, "hard_links": [], "extended_attributes": {}, "fifos": {}}'
        image = self._packed(foreign, listing, filesystem=filesystem)
        try:
            adopted = ImageStore(root_dir).adopt(image)
        except UnpackFailed:
            return  # fsck.erofs gives up on the device: refused is as good
        with mounted(adopted.path, open_dir) as rootfs:
            assert not (rootfs / "disk").is_block_device()
            assert (rootfs / "bin/tool").read_text() == "tool"

    def test_a_broken_file_system_with_right_checksums_is_refused(
        self, root_dir: Root, foreign: Path, open_dir: Path
    ) -> None:
        listing = '{"modes": {}, "hard_links": [], "extended_attributes": {}, "fifos": {}}'
        image = self._packed(foreign, listing)
        data = bytearray(image.read_bytes())
        length = struct.unpack_from("<I", data, 1024 + 36)[0] << data[1024 + 12]
        data[1152:length] = os.urandom(length - 1152)
        broken = open_dir / "broken.raw"
        broken.write_bytes(data[:length])
        descriptor = os.open(broken, os.O_RDWR)
        append_trailer(descriptor, {"version": 1, "digest": f"sha256:{'a' * 64}", "config": {}})
        os.close(descriptor)
        with pytest.raises(UnpackFailed):
            ImageStore(root_dir).adopt(broken)

    @pytest.mark.parametrize("content", [b"", b"x" * 5000, bytes(10000)])
    def test_what_is_no_image_is_refused(self, root_dir: Root, open_dir: Path, content: bytes) -> None:
        (open_dir / "file").write_bytes(content)
        with pytest.raises(NotAnImage):
            ImageStore(root_dir).adopt(open_dir / "file")

    def test_a_changed_foreign_file_is_refused(self, root_dir: Root, busybox_layout: Path, open_dir: Path) -> None:
        image = ImageStore(Root(open_dir / "elsewhere")).import_(
            f"oci:{busybox_layout}:busybox", options=ImportOptions(filesystem="erofs")
        )
        data = bytearray(image.path.read_bytes())
        data[len(data) // 2] ^= 1
        (open_dir / "changed.raw").write_bytes(data)
        with pytest.raises(ImageDamaged):
            ImageStore(root_dir).adopt(open_dir / "changed.raw")


def test_a_decompression_bomb_ends_as_a_full_disk(open_dir: Path) -> None:
    """A terabyte of zeros in a small layer: umoci writes until the disk is full, then all is cleared."""
    small = open_dir / "small"
    small.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=711", "none", small], timeout_seconds=10)
    try:
        source = one_image(open_dir / "layout", Image(layers=[layer(odd_entry("zeros", bytes(100 << 20)))]))
        with pytest.raises(Error, match=r"no space is left"):
            ImageStore(Root(small)).import_(source)
        used = sum(path.stat().st_size for path in small.rglob("*") if path.is_file())
        assert used < 100_000
    finally:
        run(["umount", small], timeout_seconds=10)
