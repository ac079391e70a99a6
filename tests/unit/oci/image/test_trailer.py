# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The trailer's bytes, and files that lie about themselves."""

import hashlib
import json
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covirt.oci.image.errors import ImageDamaged, NoSuchImage, NotAnImage
from covirt.oci.image.trailer import append_trailer, check_content, filesystem_extent, open_image, read_image

_DIGEST = f"sha256:{'b' * 64}"
_ABOUT = {
    "version": 1,
    "digest": _DIGEST,
    "architecture": "amd64",
    "config": {"config": {"Cmd": ["größe"], "Volumes": {"/data": {}}}},
}


_KEYS = st.sampled_from(["version", "architecture", "config", "Env", "Cmd", "Volumes", "Labels", "Healthcheck"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner),
)


def _nested(depth: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(depth):
        value = {"x": value}
    return value


def _erofs(blocks: int = 2, bits: int = 12) -> bytes:
    data = bytearray(blocks << bits)
    struct.pack_into("<I", data, 1024, 0xE0F5E1E2)
    data[1024 + 12] = bits
    struct.pack_into("<I", data, 1024 + 36, blocks)
    return bytes(data)


def _ext4(*, blocks: int, shift: int) -> bytes:
    block = bytearray(1024)
    struct.pack_into("<I", block, 4, blocks % 2**32)
    struct.pack_into("<I", block, 0x18, shift)
    struct.pack_into("<H", block, 0x38, 0xEF53)
    if blocks >= 2**32:
        struct.pack_into("<I", block, 0x60, 0x80)
        struct.pack_into("<I", block, 0x150, blocks >> 32)
    return bytes(block)


def _sealed(path: Path, filesystem: bytes, about: object = None) -> str:
    path.write_bytes(filesystem)
    descriptor = os.open(path, os.O_RDWR)
    try:
        return append_trailer(descriptor, about or _ABOUT)  # type: ignore[arg-type]  # wrong on purpose
    finally:
        os.close(descriptor)


def test_the_documented_bytes(tmp_path: Path) -> None:
    digest = _sealed(tmp_path / "x", _erofs())
    data = (tmp_path / "x").read_bytes()
    body = json.dumps(_ABOUT, sort_keys=True, separators=(",", ":")).encode()
    head = b"covirt-image-1\n\0" + struct.pack("<QQ", len(body), 8192) + hashlib.sha256(data[:8192]).digest() + body
    assert data[8192:].startswith(head + hashlib.sha256(head).digest())
    assert len(data) == 3 * 4096
    assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_an_image_is_read_without_mounting(tmp_path: Path) -> None:
    _sealed(tmp_path / "x", _erofs())
    image = read_image(tmp_path / "x")
    assert (image.name, image.digest, image.architecture) == (None, _DIGEST, "amd64")
    assert image.config.command == ("größe",)
    assert image.volumes == ("/data",)
    assert (image.size_bytes, image.filesystem, image.filesystem_bytes) == (12288, "erofs", 8192)


def test_a_file_system_of_odd_length_is_padded(tmp_path: Path) -> None:
    _sealed(tmp_path / "x", _erofs(blocks=9, bits=9))
    assert read_image(tmp_path / "x").filesystem_bytes == 8192
    with open_image(tmp_path / "x") as descriptor:
        check_content(descriptor, tmp_path / "x")


def test_a_bigger_disk_gives_the_same_digest(tmp_path: Path) -> None:
    digest = _sealed(tmp_path / "x", _erofs())
    with (tmp_path / "x").open("ab") as stream:
        stream.write(bytes(10_000))
    with open_image(tmp_path / "x") as descriptor:
        assert check_content(descriptor, tmp_path / "x")[1] == digest


@pytest.mark.parametrize(
    ("block", "extent"),
    [
        (_erofs(blocks=7)[1024:2048], ("erofs", 28672)),
        (_ext4(blocks=500, shift=2), ("ext4", 500 * 4096)),
        (_ext4(blocks=2**32 + 5, shift=0), ("ext4", (2**32 + 5) * 1024)),
    ],
)
def test_superblocks(block: bytes, extent: tuple[str, int]) -> None:
    assert filesystem_extent(block[:1024]) == extent


@pytest.mark.parametrize(
    "about",
    [
        {"version": 2, "digest": _DIGEST, "config": {}},
        {"version": 1, "digest": "sha256:short", "config": {}},
        {"version": 1, "digest": _DIGEST},
        {"version": 1, "digest": _DIGEST, "config": {"config": {"Env": "x"}}},
        {"version": 1, "digest": _DIGEST, "config": {"config": {"Cmd": ["a\0b"]}}},
        {"version": 1, "digest": _DIGEST, "config": {}, "architecture": 7},
        {"version": 1, "digest": _DIGEST, "config": {"config": {"User": "\ud800"}}},
        {"version": 1, "digest": _DIGEST, "config": _nested(60)},
    ],
)
def test_a_whole_trailer_with_wrong_content(tmp_path: Path, about: object) -> None:
    _sealed(tmp_path / "x", _erofs(), about)
    with pytest.raises(ImageDamaged, match=r"trailer is not valid"):
        read_image(tmp_path / "x")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, error in ((tmp_path, NotAnImage), (tmp_path / "pipe", NotAnImage), (tmp_path / "none", NoSuchImage)):
        with pytest.raises(error):
            read_image(path)
    with pytest.raises(NoSuchImage, match=f"no container image at {tmp_path}/none; correct the path"):
        read_image(tmp_path / "none")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.integers(0, 12287), st.binary(min_size=1, max_size=40))
def test_no_change_goes_unnoticed(tmp_path: Path, place: int, change: bytes) -> None:
    path = tmp_path / "x"
    _sealed(path, _erofs())
    data = bytearray(path.read_bytes())
    before = bytes(data)
    data[place : place + len(change)] = change
    path.write_bytes(data)
    if data == before:
        return
    with open_image(path) as descriptor, pytest.raises((ImageDamaged, NotAnImage)):
        check_content(descriptor, path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=9000), st.booleans())
def test_any_bytes_are_an_image_or_an_error(tmp_path: Path, data: bytes, begins_well: bool) -> None:
    path = tmp_path / "x"
    path.write_bytes((_erofs() if begins_well else b"") + data)
    with pytest.raises((ImageDamaged, NotAnImage)):
        read_image(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_JSON)
def test_any_json_is_an_image_or_an_error(tmp_path: Path, value: object) -> None:
    path = tmp_path / "x"
    _sealed(path, _erofs(), {"version": 1, "digest": _DIGEST, "config": value})
    try:
        read_image(path)
    except ImageDamaged:
        return
