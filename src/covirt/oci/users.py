# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The user that a container's process runs as, looked up in the image's own passwd and group files.

The files are hostile: they are opened as if chrooted into the image, read up to a limit, and lines that do not parse
are skipped, as getpwnam(3) does. The rules are those of Docker's and Podman's USER.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.oci import syscalls
from covirt.oci.isolation_errors import BadUserName, NoSuchGroup, NoSuchUser

_FILE_LIMIT_BYTES: Final = 8 * 1024 * 1024
_LAST_ID: Final = 0x7FFF_FFFF
_GROUP_LIMIT: Final = 65_536  # NGROUPS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedUser:
    """Numbers as the container sees them, and the home directory (``/`` when the image names none)."""

    uid: int
    gid: int
    additional_gids: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class _PasswdEntry:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _GroupEntry:
    name: str
    gid: int
    members: tuple[str, ...]


def resolve_user(rootfs: Path, text: str) -> ResolvedUser:
    """Resolve ``NAME|UID[:GROUP|GID]`` inside ``rootfs``; the empty text is root.

    A number needs no entry. Without a group the user's own is taken (0 for a number without an entry), and the groups
    that list the user are added. Raises BadUserName, NoSuchUser, NoSuchGroup.
    """
    user, colon, group = text.partition(":")
    if text.count(":") > 1 or (colon and not group) or "\0" in text or "\n" in text:
        raise BadUserName(text=text)
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        entry = _find_user(root, user or "0")
        uid = entry.uid if entry is not None else _number(user)
        if uid is None:
            raise NoSuchUser(user=user)
        home = entry.home if entry is not None else "/"
        if group:
            return ResolvedUser(uid=uid, gid=_find_group(root, group), home=home)
        return ResolvedUser(
            uid=uid,
            gid=entry.gid if entry is not None else 0,
            additional_gids=_groups_of(root, entry),
            home=home,
        )
    finally:
        os.close(root)


def _find_user(root: int, user: str) -> _PasswdEntry | None:
    number = _number(user)
    by_number: _PasswdEntry | None = None
    for entry in _passwd(root):
        if entry.name == user:
            return entry
        if by_number is None and entry.uid == number:
            by_number = entry
    if by_number is None and user == "0":
        return _PasswdEntry(name="root", uid=0, gid=0, home="/root" if _has(root, "/root") else "/")
    return by_number


def _find_group(root: int, group: str) -> int:
    for entry in _groups(root):
        if entry.name == group:
            return entry.gid
    number = _number(group)
    if number is None:
        raise NoSuchGroup(group=group)
    return number


def _groups_of(root: int, user: _PasswdEntry | None) -> tuple[int, ...]:
    if user is None:
        return ()
    found = {entry.gid for entry in _groups(root) if user.name in entry.members and entry.gid != user.gid}
    return tuple(sorted(found)[:_GROUP_LIMIT])


def _passwd(root: int) -> Iterator[_PasswdEntry]:
    for words in _lines(root, "/etc/passwd", words=7):
        uid, gid = _number(words[2]), _number(words[3])
        if uid is not None and gid is not None:
            yield _PasswdEntry(name=words[0], uid=uid, gid=gid, home=_usable_home(words[5]))


def _groups(root: int) -> Iterator[_GroupEntry]:
    for words in _lines(root, "/etc/group", words=4):
        gid = _number(words[2])
        if gid is not None:
            members = tuple(name.strip() for name in words[3].split(",") if name.strip())
            yield _GroupEntry(name=words[0], gid=gid, members=members)


def _lines(root: int, path: str, *, words: int) -> Iterator[list[str]]:
    for line in _text(root, path).splitlines():
        parts = line.split(":")
        if len(parts) == words and parts[0]:
            yield parts


def _text(root: int, path: str) -> str:
    try:
        descriptor = syscalls.open_in_root(root, path)
    except OSError:  # absent, a loop, a directory on the way: the image has no such file
        return ""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(_FILE_LIMIT_BYTES).decode(errors="surrogateescape")
    finally:
        os.close(descriptor)


def _has(root: int, path: str) -> bool:
    try:
        os.close(syscalls.open_in_root(root, path, flags=os.O_PATH | os.O_DIRECTORY))
    except OSError:
        return False
    return True


def _number(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= _LAST_ID:
        return int(text)
    return None


def _usable_home(text: str) -> str:
    return text if text.startswith("/") and "\0" not in text else "/"
