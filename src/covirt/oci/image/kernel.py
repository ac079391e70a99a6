# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which file system this kernel can mount with mapped ids: erofs (Linux 5.19), else ext4 (5.12). Found by trying.

Version numbers lie: distributions leave erofs out, or port idmapped mounts back. So a tiny file system is mounted
with mapped ids in a private mount namespace of a helper process, once per boot. The helper is this module, run as
``python -I -m covirt.oci.image.kernel DIRECTORY``.
"""

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Final

from covirt.common.errors import Error
from covirt.common.files import BrokenFile, UnknownFileVersion, make_directory, read_json, write_json
from covirt.common.process import run
from covirt.common.root import Root, boot_id
from covirt.oci import syscalls
from covirt.oci.idmap import IdMap
from covirt.oci.image.confine import FIRST_ID, ID_COUNT
from covirt.oci.image.errors import FilesystemUnusable
from covirt.oci.image.workdir import work_dir
from covirt.oci.mount import clone_idmapped, mount_image
from covirt.oci.namespaces import make_namespaces

log = logging.getLogger(__name__)

_SECONDS: Final = 60.0
PROBES: Final = {  # in the order of preference; "content" becomes "probe.raw"
    "erofs": ("mkfs.erofs", "--quiet", "-zlz4", "probe.raw", "content"),
    "ext4": ("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", "content", "probe.raw", "1M"),
}


def choose_filesystem(root: Root) -> str:
    """ "erofs" or "ext4": what images are packed as on this host. Raises FilesystemUnusable."""
    memory = root.run_dir / "image-filesystem.json"
    with contextlib.suppress(FileNotFoundError, BrokenFile, UnknownFileVersion):
        known = read_json(memory, versions=range(1, 2))
        if known.get("boot_id") == boot_id() and known.get("filesystem") in PROBES:
            return str(known["filesystem"])
    reasons = []
    for filesystem in PROBES:
        reason = mount_problem(filesystem, root)
        if reason is None:
            make_directory(root.run_dir)
            write_json(memory, {"boot_id": boot_id(), "filesystem": filesystem}, version=1, mode=0o644, durable=False)
            return filesystem
        log.warning("Images are not packed as %s reason=%r", filesystem, reason)
        reasons.append(f"{filesystem}: {reason}")
    raise FilesystemUnusable(reason="; ".join(reasons))


def mount_problem(filesystem: str, root: Root) -> str | None:
    """Why this kernel cannot mount such a file system with mapped ids; None when it can."""
    with work_dir(root.state_dir / "image-work") as work:
        content = work.path / "content"
        content.mkdir()
        (content / "file").write_text("readable")
        run(PROBES[filesystem], timeout_seconds=_SECONDS, directory=work.path)
        argv = [sys.executable, "-I", "-m", "covirt.oci.image.kernel", os.fspath(work.path)]
        tried = run(argv, timeout_seconds=_SECONDS, check=False)
    if tried.status == 0:
        return None
    lines = tried.complaint.splitlines()
    return lines[-1] if lines else f"the helper ended with status {tried.status}"


def _try(directory: Path) -> int:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.make_mounts_private()
    plain, view, places = directory / "plain", directory / "view", directory / "namespaces"
    plain.mkdir()
    view.mkdir()
    try:
        mount_image(directory / "probe.raw", plain)
        namespaces = make_namespaces(IdMap(uid_first=FIRST_ID, gid_first=FIRST_ID, count=ID_COUNT), places)
        clone_idmapped(plain, view, namespaces.user, read_only=True)
        owner, text = (view / "file").stat().st_uid, (view / "file").read_text()
    except (Error, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if owner != FIRST_ID or text != "readable":
        sys.stderr.write(f"the mapping has no effect: the owner shows as {owner}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_try(Path(sys.argv[1])))
