# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept: names, users, trust, and every byte of a file."""

import os
import random
from pathlib import Path

import pytest

from covirt.common.files import read_json, write_json
from covirt.common.root import Root, boot_id
from covirt.oci.image import errors
from covirt.oci.image.kernel import PROBES, choose_filesystem, mount_problem
from covirt.oci.image.model import ContainerImage
from covirt.oci.image.options import ImportOptions
from covirt.oci.image.store import ImageStore
from covirt.oci.image.trailer import append_trailer, open_image, read_image, read_trailer
from tests.support.images import one_image
from tests.support.mounts import read_mounts
from tests.support.oci_layout import busybox_image
from tests.support.waiting import wait_until

_DOMAIN = "0d1a1c1e-0000-4000-8000-000000000001"
_OTHER = "0d1a1c1e-0000-4000-8000-000000000002"


@pytest.fixture
def store(root_dir: Root) -> ImageStore:
    return ImageStore(root_dir)


@pytest.fixture
def image(store: ImageStore, busybox_layout: Path) -> ContainerImage:
    return store.import_(f"oci:{busybox_layout}:busybox", name="box")


class TestNames:
    def test_an_image_is_found_by_name_and_path(self, store: ImageStore, image: ContainerImage) -> None:
        assert store.find("box") == image
        assert store.find(image.path) == image
        assert store.list() == (image,)
        assert image.path == store.path_of("box")

    def test_an_output_is_no_name_here(self, store: ImageStore, busybox_layout: Path, disk_dir: Path) -> None:
        found = store.import_(f"oci:{busybox_layout}:busybox", output=disk_dir / "disk.raw")
        assert found.name is None
        assert store.list() == ()
        assert store.is_trusted(disk_dir / "disk.raw")
        assert os.listdir(disk_dir) == ["disk.raw"]

    def test_an_output_replaces_a_file_but_nothing_else(
        self, store: ImageStore, busybox_layout: Path, open_dir: Path
    ) -> None:
        source = f"oci:{busybox_layout}:busybox"
        (open_dir / "file").write_bytes(b"reserved")
        store.import_(source, output=open_dir / "file")
        (open_dir / "link").symlink_to("file")
        for target in (open_dir, open_dir / "link", open_dir / "no/such/directory"):
            with pytest.raises(errors.BadOutput):
                store.import_(source, output=target)

    @pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-a", ".hidden", "a b", "ä", "a\0", "a" * 129])
    def test_a_bad_name(self, store: ImageStore, busybox_layout: Path, name: str) -> None:
        with pytest.raises(errors.BadImageName):
            store.import_(f"oci:{busybox_layout}:busybox", name=name)

    def test_a_missing_image(self, store: ImageStore, open_dir: Path) -> None:
        for call in (store.find, store.remove, store.verify):
            with pytest.raises(errors.NoSuchImage):
                call("none")
        with pytest.raises(errors.NoSuchImage):
            store.is_trusted(open_dir / "none")

    def test_a_broken_file_does_not_hide_the_others(self, store: ImageStore, image: ContainerImage) -> None:
        (image.path.parent / "broken.raw").write_bytes(b"x" * 9000)
        assert store.list() == (image,)

    def test_the_file_is_for_root_only(self, image: ContainerImage) -> None:
        found = image.path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (0, 0, 0o400)


class TestUsers:
    def test_an_image_in_use_stays(self, store: ImageStore, image: ContainerImage) -> None:
        store.hold(image, _DOMAIN)
        store.hold(image, _DOMAIN)
        store.hold(image, _OTHER)
        assert store.users(image) == (_DOMAIN, _OTHER)
        store.release(image, _OTHER)
        with pytest.raises(errors.ImageInUse, match=rf"'box' is used by {_DOMAIN}"):
            store.remove("box")
        store.hold(image, _DOMAIN, domain="web")
        with pytest.raises(errors.ImageInUse, match=rf"'box' is used by web \({_DOMAIN}\)"):
            store.remove("box")
        assert store.find("box") == image
        store.release(image, _DOMAIN)
        store.release(image, _DOMAIN)
        store.remove("box")
        assert store.list() == ()

    def test_a_domain_is_released_without_its_image(self, store: ImageStore, image: ContainerImage) -> None:
        store.hold(image, _DOMAIN)
        store.release(None, _DOMAIN)
        assert store.users(image) == ()

    def test_the_marks_are_where_others_look(self, store: ImageStore, image: ContainerImage, root_dir: Root) -> None:
        store.hold(image, _DOMAIN)
        digest = store.file_digest(image).removeprefix("sha256:")
        assert (root_dir.state_dir / "image-users" / digest / _DOMAIN).exists()


class TestVerify:
    def test_a_whole_image(self, store: ImageStore, image: ContainerImage) -> None:
        found = store.verify("box")
        assert found.image == image
        assert found.trusted
        assert found.file_digest == store.file_digest(image)

    def test_every_changed_byte_is_found(self, store: ImageStore, image: ContainerImage) -> None:
        data = image.path.read_bytes()
        with open_image(image.path) as descriptor:
            trailer = read_trailer(descriptor, image.path)
        places = {0, 1023, 1024, 1036, 1060, trailer.start - 1, len(data) - 1}
        places.update(range(trailer.start, trailer.start + 200))
        places.update(random.Random(7).sample(range(len(data)), 40))  # noqa: S311
        image.path.chmod(0o600)
        for place in sorted(places):
            changed = bytearray(data)
            changed[place] ^= 1 << random.Random(place).randrange(8)  # noqa: S311
            image.path.write_bytes(changed)
            with pytest.raises((errors.ImageDamaged, errors.NotAnImage)):
                store.verify("box")
            assert not store.is_trusted(image.path)
        image.path.write_bytes(data)
        assert store.verify("box").trusted

    @pytest.mark.parametrize("cut", [1, 4096, 5000, 100_000])
    def test_a_cut_file(self, store: ImageStore, image: ContainerImage, cut: int) -> None:
        image.path.chmod(0o600)
        os.truncate(image.path, image.size_bytes - cut)
        with pytest.raises((errors.ImageDamaged, errors.NotAnImage)):
            store.verify("box")

    def test_bytes_after_the_trailer(self, store: ImageStore, image: ContainerImage, open_dir: Path) -> None:
        """A storage domain may round a disk up: zero bytes are fine, others are not."""
        copy = open_dir / "copy.raw"
        copy.write_bytes(image.path.read_bytes() + bytes(1 << 20))
        assert store.verify(copy).trusted
        assert store.is_trusted(copy)
        copy.write_bytes(image.path.read_bytes() + bytes(1 << 20) + b"x")
        with pytest.raises(errors.ImageDamaged):
            store.verify(copy)

    def test_a_change_with_all_checksums_made_right(self, store: ImageStore, image: ContainerImage) -> None:
        with open_image(image.path) as descriptor:
            trailer = read_trailer(descriptor, image.path)
        image.path.chmod(0o600)
        descriptor = os.open(image.path, os.O_RDWR)
        os.truncate(descriptor, trailer.start)
        os.pwrite(descriptor, b"evil", trailer.start - 4)
        append_trailer(descriptor, trailer.about)
        os.close(descriptor)
        assert read_image(image.path).digest == image.digest
        assert not store.is_trusted(image.path)
        with pytest.raises(errors.ImageNotRecorded):
            store.verify("box")


class TestTrust:
    def test_only_what_was_imported_here_is_trusted(
        self, store: ImageStore, image: ContainerImage, open_dir: Path
    ) -> None:
        other = ImageStore(Root(open_dir / "elsewhere"))
        assert store.is_trusted(image.path)
        assert not other.is_trusted(image.path)
        verified = other.verify(image.path)
        assert not verified.trusted

    def test_a_copy_is_trusted_by_its_content(self, store: ImageStore, image: ContainerImage, open_dir: Path) -> None:
        copy = open_dir / "copy.raw"
        copy.write_bytes(image.path.read_bytes())
        assert store.is_trusted(copy)

    def test_a_settled_file_is_read_once(self, store: ImageStore, image: ContainerImage, root_dir: Root) -> None:
        """The answer comes from memory: with another digest in it, it is another answer."""
        (memory,) = (root_dir.state_dir / "trusted-images/files").iterdir()
        known = read_json(memory, versions=range(1, 2))
        assert known["file_digest"] == store.file_digest(image)
        known.pop("version")
        write_json(memory, {**known, "file_digest": f"sha256:{'0' * 64}"}, version=1)
        assert not store.is_trusted(image.path)

    def test_a_change_right_after_the_import_is_seen(self, store: ImageStore, image: ContainerImage) -> None:
        found = image.path.stat()
        data = bytearray(image.path.read_bytes())
        data[5000] ^= 1
        image.path.chmod(0o600)
        image.path.write_bytes(data)
        os.utime(image.path, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert not store.is_trusted(image.path)

    def test_a_file_renamed_over_it_is_seen(self, store: ImageStore, image: ContainerImage, open_dir: Path) -> None:
        other = ImageStore(Root(open_dir / "elsewhere"))
        source = one_image(open_dir / "layout", busybox_image(Cmd=["/bin/evil"]))
        os.rename(other.import_(source).path, image.path)
        assert not store.is_trusted(image.path)

    def test_what_changed_just_now_is_not_remembered(
        self, store: ImageStore, image: ContainerImage, root_dir: Root, open_dir: Path
    ) -> None:
        copy = open_dir / "copy.raw"
        copy.write_bytes(image.path.read_bytes())
        memory = root_dir.state_dir / f"trusted-images/files/{copy.stat().st_dev}-{copy.stat().st_ino}.json"
        assert store.is_trusted(copy)
        assert not memory.exists()

        def remembered() -> bool:
            return store.is_trusted(copy) and memory.exists()

        wait_until(remembered, timeout_seconds=10, what="the file to count as settled")

    def test_a_foreign_file_is_repacked_never_mounted(
        self, store: ImageStore, busybox_layout: Path, open_dir: Path
    ) -> None:
        foreign = open_dir / "foreign.raw"
        elsewhere = ImageStore(Root(open_dir / "elsewhere"))
        before = elsewhere.import_(f"oci:{busybox_layout}:busybox", output=foreign)
        mounts = read_mounts()
        adopted = store.adopt(foreign)
        assert read_mounts() == mounts
        assert adopted.digest == before.digest
        assert adopted.config == before.config
        assert adopted.path.parent == store.path_of("x").parent
        assert store.is_trusted(adopted.path)
        assert not store.is_trusted(foreign) or adopted.path.read_bytes() == foreign.read_bytes()
        assert store.verify(str(adopted.name)).trusted
        store.remove(str(adopted.name))


class TestKernel:
    @pytest.mark.parametrize("filesystem", ["erofs", "ext4"])
    def test_what_this_kernel_mounts(self, root_dir: Root, filesystem: str) -> None:
        assert mount_problem(filesystem, root_dir) is None

    def test_a_broken_file_system_is_told(self, root_dir: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(PROBES, "erofs", ("truncate", "-s", "1M", "probe.raw"))
        assert mount_problem("erofs", root_dir) is not None
        assert choose_filesystem(root_dir) == "ext4"

    def test_the_answer_lasts_as_long_as_the_boot(self, root_dir: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        assert choose_filesystem(root_dir) == "erofs"
        monkeypatch.setitem(PROBES, "erofs", ("false",))
        monkeypatch.setitem(PROBES, "ext4", ("truncate", "-s", "1M", "probe.raw"))
        assert choose_filesystem(root_dir) == "erofs"
        memory = root_dir.run_dir / "image-filesystem.json"
        write_json(memory, {"boot_id": f"not {boot_id()}", "filesystem": "erofs"}, version=1)
        monkeypatch.setitem(PROBES, "erofs", ("truncate", "-s", "1M", "probe.raw"))
        with pytest.raises(errors.FilesystemUnusable, match=r"erofs: .*; ext4: "):
            choose_filesystem(root_dir)

    def test_ext4_is_packed_where_erofs_cannot_be_mounted(
        self, root_dir: Root, busybox_layout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(PROBES, "erofs", ("truncate", "-s", "1M", "probe.raw"))
        store = ImageStore(root_dir)
        image = store.import_(f"oci:{busybox_layout}:busybox", options=ImportOptions())
        assert image.filesystem == "ext4"
        assert store.verify(str(image.name)).trusted
