# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Container images mounted once per host and shared by their containers: one superblock, one page cache.

The mount table is the only state. The image is mounted at DIRECTORY/KEY, and the overlay of every container says in
its source (``covirt:KEY``) which image it uses; an image that no overlay names, and that no start is about to use, is
unmounted. So a restarted daemon knows as much as the one that was killed.
"""

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from covirt.common.files import make_directory
from covirt.common.mountinfo import mounts
from covirt.oci import mount
from covirt.oci.isolation_errors import ImageFileMissing

_LABEL: Final = "covirt:"


class SharedImages:
    """The images mounted below ``run_dir/images``, which only root may enter: their files carry unmapped ids.

    Thread-safe.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._directory = run_dir / "images"
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    @contextlib.contextmanager
    def hold(self, path: Path, digest: str) -> Iterator[tuple[Path, str]]:
        """Mount the image unless it is; yield its place and the label that its user's overlay must carry.

        The image stays mounted during the block, and afterwards as long as an overlay with that label exists.
        Raises ImageFileMissing, UnknownImageFormat, MountFailed.
        """
        key = _key(path, digest)
        place = self._directory / key
        with self._lock:
            self._mount(path, place)
            self._held[key] += 1
        try:
            yield place, _LABEL + key
        finally:
            with self._lock:
                self._held[key] -= 1

    def release_unused(self) -> None:
        """Unmount what no overlay and no start uses. Raises UnmountFailed."""
        with self._lock:  # read inside: an older view of the table could miss an overlay whose start just ended
            used = {entry.source for entry in mounts(b" - overlay ") if entry.filesystem == "overlay"}
            for place in self._places():
                if _LABEL + place.name not in used and not self._held[place.name]:
                    while mount.unmount(place):
                        pass
                    place.rmdir()
                    del self._held[place.name]

    def _mount(self, path: Path, place: Path) -> None:
        if os.path.ismount(place):
            return
        make_directory(self._directory, mode=0o700)
        place.mkdir(mode=0o700, exist_ok=True)
        try:
            mount.mount_image(path, place)
        except BaseException:
            place.rmdir()
            raise

    def _places(self) -> list[Path]:
        try:
            return list(self._directory.iterdir())
        except FileNotFoundError:
            return []


def _key(path: Path, digest: str) -> str:
    """The image's digest, and the file's identity: a file that lies about its digest never stands in for another."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError as error:
        raise ImageFileMissing(path=path, reason=error.strerror) from error
    return f"{digest.removeprefix('sha256:')[:32]}-{status.st_dev:x}-{status.st_ino:x}"
