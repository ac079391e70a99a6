# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Container images for tests: odd layers, policies, and image files mounted to look inside."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from covirt.oci.mount import mount_image, unmount
from tests.support.oci_layout import Image, file_entry, write_layout

# struct vfs_cap_data, revision 2 with the effective bit: permitted cap_net_raw (bit 13). linux/capability.h
NET_RAW_CAPABILITY: Final = bytes.fromhex("0100000200200000000000000000000000000000")


def odd_entry(
    name: str,
    content: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 1_000_000_000,
    link: str = "",
    device: tuple[int, int] = (0, 0),
    attributes: Mapping[str, bytes] | None = None,
) -> tuple[tarfile.TarInfo, bytes]:
    """A tar member of any kind, with extended attributes as GNU tar and umoci write them."""
    info, content = file_entry(name, content, mode=mode, uid=uid, gid=gid)
    info.type, info.linkname, info.mtime = kind, link, mtime
    info.devmajor, info.devminor = device
    info.pax_headers = {
        f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape") for key, value in (attributes or {}).items()
    }
    return info, content


def one_image(directory: Path, image: Image, *, tag: str = "image") -> str:
    """Write a layout that holds this image alone; gives the source to import."""
    return f"oci:{write_layout(directory, {tag: image})}:{tag}"


def write_policy(path: Path, *requirements: Mapping[str, object]) -> Path:
    """A signature policy with these default requirements; none means that everything is rejected."""
    path.write_text(json.dumps({"default": list(requirements) or [{"type": "reject"}]}))
    return path


@contextmanager
def mounted(image_file: Path, directory: Path) -> Iterator[Path]:
    """The image's root file system, mounted with the ids it holds."""
    target = directory / "mounted"
    target.mkdir(mode=0o700)
    mount_image(image_file, target)
    try:
        yield target / "rootfs"
    finally:
        unmount(target)
        target.rmdir()
