# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""qemu-img for real: what it makes, tells, copies and refuses, as the owner of storage files."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from covirt.common.errors import CommandFailed
from covirt.common.process import Child
from covirt.host.storage import qemu_img
from covirt.host.storage.qemu_img import BrokenImage, ImageFormat, Layer
from covirt.host.storage.unprivileged import STORAGE_GID, STORAGE_UID
from tests.support.roots import new_directory

pytestmark = pytest.mark.root

_MIB = 1 << 20


@pytest.fixture(name="place")
def place_fixture() -> Iterator[Path]:
    with new_directory() as directory:
        place = directory / "images"
        place.mkdir()
        os.chown(place, STORAGE_UID, STORAGE_GID)
        yield place


def raw(place: Path, name: str, data: bytes = b"", *, size_bytes: int = _MIB) -> Path:
    path = place / name
    path.write_bytes(data)
    os.truncate(path, size_bytes)
    os.chown(path, STORAGE_UID, STORAGE_GID)
    path.chmod(0o660)
    return path


def qcow2(path: Path, *, below: Layer | None = None) -> Layer:
    return Layer(path=path, format=ImageFormat.QCOW2, below=below)


def ignore(_stopper: Callable[[], object]) -> Callable[[], object]:
    return lambda: None


def test_create_and_info(place: Path) -> None:
    base = place / "base"
    qemu_img.create_qcow2(base, size_bytes=_MIB)
    leaf = place / "leaf"
    qemu_img.create_qcow2(leaf, size_bytes=2 * _MIB, backing="base", backing_format=ImageFormat.QCOW2)
    chain = Layer(path=leaf, format=ImageFormat.QCOW2, below=qcow2(base))
    found = qemu_img.info(chain)
    assert (found.virtual_bytes, found.compat) == (2 * _MIB, "1.1")
    assert (found.backing_file, found.backing_format) == ("base", "qcow2")
    assert (leaf.stat().st_uid, leaf.stat().st_gid) == (STORAGE_UID, STORAGE_GID)
    qemu_img.resize(chain, size_bytes=3 * _MIB)
    assert qemu_img.info(chain).virtual_bytes == 3 * _MIB


def test_raw_is_never_guessed(place: Path) -> None:
    """A guest that writes a qcow2 header into its raw disk gets no host file shown."""
    path = place / "disk"
    qemu_img.create_qcow2(path, size_bytes=64 * _MIB, backing="/etc/shadow", backing_format=ImageFormat.RAW)
    assert qemu_img.info(Layer(path=path, format=ImageFormat.RAW)).backing_file is None


def test_broken_image_is_told(place: Path) -> None:
    with pytest.raises(BrokenImage, match="disk cannot be read as qcow2"):
        qemu_img.info(qcow2(raw(place, "disk")))


def test_root_files_are_out_of_reach(place: Path) -> None:
    secret = place / "secret"
    secret.write_bytes(b"x" * 512)
    secret.chmod(0o600)
    with pytest.raises(BrokenImage, match="Permission denied"):
        qemu_img.info(Layer(path=secret, format=ImageFormat.RAW))


def test_convert_between_formats(place: Path) -> None:
    source = raw(place, "source", b"covirt" * 1000)
    middle = place / "middle"
    qemu_img.create_qcow2(middle, size_bytes=_MIB)
    back = raw(place, "back")
    shown: list[float] = []
    first = Layer(path=source, format=ImageFormat.RAW)
    qemu_img.convert(first, qcow2(middle), progress=shown.append, started=ignore)
    target = Layer(path=back, format=ImageFormat.RAW)
    qemu_img.convert(qcow2(middle), target, is_zero=True, progress=shown.append, started=ignore)
    assert back.read_bytes() == source.read_bytes()
    assert shown[-1] == 100.0
    measured = qemu_img.measure(qcow2(middle), target_format=ImageFormat.RAW)
    assert measured.fully_allocated_bytes == _MIB


def test_copy_of_a_chain_writes_only_the_difference(place: Path) -> None:
    base = raw(place, "base", b"base" * 16384)
    names = ("source", "target")
    for name in names:
        qemu_img.create_qcow2(place / name, size_bytes=_MIB, backing="base", backing_format=ImageFormat.RAW)
    source, target = (qcow2(place / name, below=Layer(path=base, format=ImageFormat.RAW)) for name in names)
    before = (place / "target").stat().st_size
    qemu_img.convert(source, target, progress=lambda _percent: None, started=ignore)
    assert (place / "target").stat().st_size == before
    assert base.read_bytes().startswith(b"base")


def test_convert_ended_early(place: Path) -> None:
    def end_now(stopper: Callable[[], object]) -> Callable[[], object]:
        stopper()
        return lambda: None

    source, target = (
        Layer(path=raw(place, name, size_bytes=64 * _MIB), format=ImageFormat.RAW) for name in ("a", "b")
    )
    with pytest.raises(CommandFailed):
        qemu_img.convert(source, target, progress=lambda _percent: None, started=end_now)


def test_crafted_images_are_read_within_limits(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One may ask QEMU for any amount of memory, and for reading that never ends."""
    path = place / "disk"
    qemu_img.create_qcow2(path, size_bytes=_MIB)
    other = raw(place, "other")
    commands: list[str] = []
    real = Child.__init__

    def recording(self: Child, argv: tuple[str, ...], *args: Any, **keywords: Any) -> None:
        commands.append(" ".join(argv))
        real(self, argv, *args, **keywords)

    monkeypatch.setattr(Child, "__init__", recording)
    qemu_img.info(qcow2(path))
    qemu_img.measure(qcow2(path), target_format=ImageFormat.RAW)
    qemu_img.resize(qcow2(path), size_bytes=_MIB)
    qemu_img.probe(path)
    assert [("--as=" in command, "--cpu=" in command) for command in commands] == [(True, True)] * 4
    target = Layer(path=other, format=ImageFormat.RAW)
    qemu_img.convert(qcow2(path), target, progress=lambda _percent: None, started=ignore)
    assert "--as=" in commands[-1]
