# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Where a host keeps its links and mounts of storage: Vdsm's places, below our root."""

import os
from pathlib import Path
from uuid import UUID

from covirt.common.files import make_directory
from covirt.common.root import Root
from covirt.host.storage.domain_format import BLANK_ID
from covirt.host.storage.storage_errors import BadRemotePath, BadStorageId, BadStorageValue


class StoragePaths:
    def __init__(self, root: Root) -> None:
        self.data_center = root.path / "rhev/data-center"
        self.mounts = self.data_center / "mnt"
        self.links = root.path / "run/vdsm/storage"

    def make(self) -> None:
        for path in (self.mounts, self.links):
            make_directory(path, mode=0o755)

    def mount(self, remote: str) -> Path:
        """Where ``/path`` is linked or ``host:/path`` is mounted."""
        return self.mounts / remote.replace("_", "__").replace("/", "_")

    def pool(self, pool_id: str) -> Path:
        return self.data_center / checked_uuid("storagepoolID", pool_id)


def checked_uuid(name: str, text: str) -> str:
    """The UUID in its usual spelling, safe as a file name. Raises BadStorageId."""
    try:
        return str(UUID(text))
    except ValueError:
        raise BadStorageId(name=name, id=text) from None


def named_uuid(name: str, text: str) -> str:
    """checked_uuid() of what must name something: the blank id is for "none". Raises BadStorageValue, too."""
    found = checked_uuid(name, text)
    if found == BLANK_ID:
        raise BadStorageValue(name=name, value=found, reason="that names none; give the id of one")
    return found


def is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def checked_local_path(text: str) -> str:
    """An absolute path without detours. Raises BadRemotePath."""
    if "\0" in text or "\n" in text:
        raise BadRemotePath(path=text, reason="it holds a NUL or a line end")
    if not text.startswith("/") or os.path.normpath(text) != text or text == "/":
        raise BadRemotePath(path=text, reason="it must be absolute and in its shortest form")
    return text


def checked_export(text: str) -> str:
    """``HOST:/PATH``. Raises BadRemotePath."""
    if text.startswith("["):
        host, bracket, path = text.partition("]:")
        host += bracket[:1]
    else:
        host, _, path = text.partition(":")
    if not host or host.startswith("-") or any(sign in text for sign in "\0\n,"):
        raise BadRemotePath(path=text, reason="it must be HOST:/PATH")
    if not path.startswith("/"):
        raise BadRemotePath(path=text, reason="it must be HOST:/PATH")
    normal = "/" + os.path.normpath(path).lstrip("/")
    return f"{host}:{normal}"


def replace_link(link: Path, target: Path) -> None:
    """Make ``link`` point at ``target``, in one step."""
    if os.path.islink(link) and os.readlink(link) == os.fspath(target):
        return
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    os.replace(new, link)
