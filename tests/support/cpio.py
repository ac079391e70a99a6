# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The archive format of an initramfs: cpio "newc" (described in the kernel's buffer-format.rst)."""

import stat
from collections.abc import Mapping
from pathlib import PurePosixPath


def write_cpio(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """An archive of ``path -> (content, permissions)``; the directories above each file are made too."""
    parts: list[bytes] = []
    directories: set[str] = set()
    for path, (content, permissions) in files.items():
        for parent in reversed(PurePosixPath(path).parents):
            if str(parent) not in {".", *directories}:
                directories.add(str(parent))
                parts.append(_member(str(parent), b"", stat.S_IFDIR | 0o755))
        parts.append(_member(path, content, stat.S_IFREG | permissions))
    parts.append(_member("TRAILER!!!", b"", 0))
    return b"".join(parts)


def _member(name: str, content: bytes, mode: int) -> bytes:
    named = name.encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, device (2), special device (2), length of the name, checksum
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(named), 0)
    header = b"070701" + b"".join(b"%08X" % value for value in fields)
    return _padded(header + named) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
