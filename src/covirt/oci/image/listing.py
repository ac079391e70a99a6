# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the extractors of file systems lose, kept in ``image.json``. Runs confined, beside the tree in ``tree/``.

fsck.erofs 1.5 and debugfs give back neither extended attributes (so no file capabilities) nor hard links nor set-id
bits, and debugfs no FIFOs. Adopting a foreign image file must not lose them, so each file carries their list.
"""

import base64
import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any, Final

_TREE: Final = "tree"
_ROOTFS: Final = "tree/rootfs"
_ABOUT: Final = "tree/image.json"
_SET_BITS: Final = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
_BLOCK: Final = 4096


def finish(arguments: list[str]) -> int:
    """Describe ``tree/rootfs``, write ``tree/image.json`` from the JSON on stdin plus "listing", settle the times.

    The argument is when unpacking began: what is newer came from no layer (a directory that no layer lists), and gets
    the time 0, so that the same layers give the same image. Prints newest_mtime, inodes and content_bytes.
    """
    began_ns = int(arguments[0])
    about = json.load(sys.stdin)
    for path, found in _walk():
        if found.st_mtime_ns >= began_ns:
            os.utime(_inside(path), (0, 0), follow_symlinks=False)
    summary = {"newest_mtime": 0, "inodes": 0, "content_bytes": 0}
    about["listing"] = _describe(summary)
    with open(_ABOUT, "x", encoding="utf-8", errors="surrogateescape") as stream:
        json.dump(about, stream, sort_keys=True, separators=(",", ":"))
    for path in (_ABOUT, _TREE):
        os.utime(path, (0, 0))
    summary["inodes"] += 2
    summary["content_bytes"] += os.path.getsize(_ABOUT) + 2 * _BLOCK
    sys.stdout.write(json.dumps(summary))
    return 0


def restore(_arguments: list[str]) -> int:
    """Bring back what an extraction of ``tree`` lost, from its image.json, then remove that file."""
    with open(_ABOUT, encoding="utf-8", errors="surrogateescape") as stream:
        listing = json.load(stream)["listing"]
    os.unlink(_ABOUT)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir("tree/lost+found")
    times: dict[str, tuple[int, int]] = {}
    for path, mode in listing["fifos"].items():
        if not os.path.lexists(_inside(path)):
            _keep_time(os.path.dirname(_inside(path)), times)
            os.mkfifo(_inside(path), mode)
    for group in listing["hard_links"]:
        _join(group, times)
    for path, mode in listing["modes"].items():
        os.chmod(_inside(path), mode)
    for path, attributes in listing["extended_attributes"].items():
        for name, value in attributes.items():
            os.setxattr(_inside(path), name, base64.b64decode(value), follow_symlinks=False)
    for path, stamp in times.items():
        os.utime(path, ns=stamp)
    return 0


def _join(group: list[str], times: dict[str, tuple[int, int]]) -> None:
    first = _inside(group[0])
    for other in group[1:]:
        _keep_time(os.path.dirname(_inside(other)), times)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_inside(other))
        os.link(first, _inside(other), follow_symlinks=False)


def _keep_time(directory: str, times: dict[str, tuple[int, int]]) -> None:
    found = os.lstat(directory)
    times.setdefault(directory, (found.st_mtime_ns, found.st_mtime_ns))


def _inside(path: str) -> str:
    return os.path.join(_ROOTFS, path)


def _describe(summary: dict[str, int]) -> dict[str, Any]:
    links: dict[int, list[str]] = {}
    attributes: dict[str, dict[str, str]] = {}
    modes: dict[str, int] = {}
    fifos: dict[str, int] = {}
    for path, found in _walk():
        summary["newest_mtime"] = max(summary["newest_mtime"], int(found.st_mtime))
        size = found.st_size + (64 if stat.S_ISDIR(found.st_mode) else 0)
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            links.setdefault(found.st_ino, []).append(path)
        if len(links.get(found.st_ino, ())) <= 1:
            summary["inodes"] += 1
            summary["content_bytes"] += -(-size // _BLOCK) * _BLOCK
        if not stat.S_ISLNK(found.st_mode) and found.st_mode & _SET_BITS:
            modes[path] = stat.S_IMODE(found.st_mode)
        if stat.S_ISFIFO(found.st_mode):
            fifos[path] = stat.S_IMODE(found.st_mode)
        names = _attributes(_inside(path))
        if names:
            attributes[path] = names
            summary["content_bytes"] += _BLOCK
    return {
        "hard_links": sorted(sorted(group) for group in links.values() if len(group) > 1),
        "extended_attributes": attributes,
        "modes": modes,
        "fifos": fifos,
    }


def _attributes(path: str) -> dict[str, str]:
    return {
        name: base64.b64encode(os.getxattr(path, name, follow_symlinks=False)).decode()
        for name in sorted(os.listxattr(path, follow_symlinks=False))
    }


def _walk() -> Iterator[tuple[str, os.stat_result]]:
    """Every path below rootfs, relative to it, rootfs itself as "."."""
    yield ".", os.lstat(_ROOTFS)
    for place, directories, files in os.walk(_ROOTFS):
        directories.sort()
        for name in sorted([*directories, *files]):
            path = os.path.join(place, name)
            yield os.path.relpath(path, _ROOTFS), os.lstat(path)
