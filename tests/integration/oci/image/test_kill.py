# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment, a full disk, and several imports at once: an image is whole or absent."""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.process import PIPE, Child, run, spawn
from covirt.common.root import Root
from covirt.oci.image.errors import DiskFull, ImageInUse
from covirt.oci.image.model import ContainerImage
from covirt.oci.image.options import Step
from covirt.oci.image.store import ImageStore
from covirt.oci.image.workdir import is_owned
from tests.support.images import odd_entry, one_image
from tests.support.oci_layout import Image, busybox_image, layer
from tests.support.waiting import wait_until

_PROGRAM = (sys.executable, "-m", "covirt.oci.image")


@pytest.fixture(scope="module")
def big(module_root: Root) -> str:
    """A source large enough that every step takes a moment."""
    noise = [layer(odd_entry(f"noise{number}", os.urandom(8 << 20))) for number in range(3)]
    return one_image(module_root.path / "big", busybox_image(more_layers=noise))


def _import(root: Root, source: str, *options: str) -> Child:
    argv = [*_PROGRAM, "import", source, "--root", str(root.path), "--progress", "json", *options]
    return spawn(argv, stdout=PIPE, own_group=True)


def _wait_for_step(child: Child, step: Step) -> None:
    for line in child.stdout:
        if json.loads(line)["step"] == step:
            return
    raise AssertionError(f"the import ended before {step}")


def _work_dirs(root: Root) -> list[str]:
    return [path.name for path in (root.state_dir / "image-work").iterdir() if path.name != ".lock"]


def _owned(root: Root) -> bool:
    """Whether a program of an import still runs; its lock also tells of one that was forked and has no name yet."""
    return any(is_owned(root.state_dir / "image-work" / name) for name in _work_dirs(root))


@pytest.mark.parametrize("step", [Step.RESOLVE, Step.COPY, Step.UNPACK, Step.PACK, Step.PUBLISH])
@pytest.mark.parametrize("output", [False, True])
def test_a_killed_import_is_never_seen(root_dir: Root, disk_dir: Path, big: str, step: Step, *, output: bool) -> None:
    target = disk_dir / "image.raw"  # another file system than the work directory's: the last step copies
    options = ("--output", str(target)) if output else ("--name", "big")
    with _import(root_dir, big, *options) as child:
        _wait_for_step(child, step)
        os.kill(child.pid, signal.SIGKILL)
        child.wait(timeout_seconds=20)
        wait_until(lambda: not _owned(root_dir), timeout_seconds=20, what="the end of its programs")

    store = ImageStore(root_dir)
    for image in store.list():
        store.verify(str(image.name))  # killed after it was put in place, at the earliest
    if target.exists():
        store.verify(target)
    image = store.import_(big, name="big")
    store.verify("big")
    assert _work_dirs(root_dir) == []
    assert [path.name for path in disk_dir.iterdir() if path != target] == []
    assert [path.name for path in image.path.parent.iterdir() if path.name != ".lock"] == ["big.raw"]


def test_a_terminated_import_clears_up_at_once(root_dir: Root, big: str) -> None:
    with _import(root_dir, big) as child:
        _wait_for_step(child, Step.UNPACK)
        os.kill(child.pid, signal.SIGTERM)
        assert child.wait(timeout_seconds=20) == 128 + signal.SIGTERM
    assert _work_dirs(root_dir) == []
    assert ImageStore(root_dir).list() == ()


def test_a_running_import_is_not_cleared(root_dir: Root, big: str, busybox_layout: Path) -> None:
    with _import(root_dir, big, "--name", "big") as child:
        _wait_for_step(child, Step.UNPACK)
        ImageStore(root_dir).import_(f"oci:{busybox_layout}:busybox", name="small")
        assert len(_work_dirs(root_dir)) == 1
        rest = child.stdout.read()
        assert child.wait(timeout_seconds=60) == 0, rest
    assert {image.name for image in ImageStore(root_dir).list()} == {"big", "small"}


def test_concurrent_imports_of_one_name(root_dir: Root, open_dir: Path) -> None:
    sources = [one_image(open_dir / f"{each}", busybox_image(Cmd=[f"/bin/{each}"])) for each in ("true", "false")]
    images: list[ContainerImage] = []

    def work(source: str) -> None:
        images.append(ImageStore(root_dir).import_(source, name="same"))

    threads = [
        threading.Thread(target=work, args=(source,), name=f"import-{n}") for n, source in enumerate(sources * 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(images) == len(threads)
    found = ImageStore(root_dir).verify("same")
    assert found.image.config.command in {("/bin/true",), ("/bin/false",)}


@contextlib.contextmanager
def _small_disk(directory: Path, size_mib: int) -> Iterator[Path]:
    path = directory / "small"
    path.mkdir()
    run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m,mode=711", "none", path], timeout_seconds=10)
    try:
        yield path
    finally:
        run(["umount", path], timeout_seconds=10)


@pytest.mark.parametrize("size_mib", [1, 12, 30, 44])
def test_a_full_disk_is_named_and_cleared(open_dir: Path, big: str, size_mib: int) -> None:
    """24 MiB of layers need 24 to be copied, and 48 to be unpacked."""
    with _small_disk(open_dir, size_mib) as path:
        root = Root(path)
        with pytest.raises(DiskFull, match=r"^oci:.*: no space is left on the disk that holds /"):
            ImageStore(root).import_(big)
        assert _work_dirs(root) == []
        assert ImageStore(root).list() == ()


def test_a_full_disk_at_the_output(root_dir: Root, open_dir: Path, big: str) -> None:
    with _small_disk(open_dir, 12) as path:
        with pytest.raises(DiskFull, match=r"small"):
            ImageStore(root_dir).import_(big, output=path / "image.raw")
        assert list(path.iterdir()) == []


def test_an_image_in_use_is_not_replaced_by_another(root_dir: Root, open_dir: Path) -> None:
    store = ImageStore(root_dir)
    first = one_image(open_dir / "first", busybox_image(Cmd=["/bin/true"]))
    other = one_image(open_dir / "other", Image(layers=busybox_image().layers, config={"Cmd": ["/bin/false"]}))
    store.hold(store.import_(first, name="box"), "0d1a1c1e-0000-4000-8000-000000000001")
    store.import_(first, name="box")  # the same content changes nothing
    with pytest.raises(ImageInUse, match=r"0d1a1c1e"):
        store.import_(other, name="box")
    assert store.find("box").config.command == ("/bin/true",)
