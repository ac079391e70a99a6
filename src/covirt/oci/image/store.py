# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The container images of one installation: by name, whole or absent, and not removed while a domain uses them."""

import contextlib
import functools
import logging
import os
import shutil
import uuid as uuids
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covirt.common.errors import Error
from covirt.common.files import make_directory, sync_directory
from covirt.common.process import CommandMissing
from covirt.common.root import Root
from covirt.oci.image.adopt import repack
from covirt.oci.image.errors import (
    ImageDamaged,
    ImageInUse,
    ImageNotRecorded,
    NoSuchImage,
    NotAnImage,
)
from covirt.oci.image.importer import make_image
from covirt.oci.image.kernel import choose_filesystem
from covirt.oci.image.model import ContainerImage
from covirt.oci.image.options import ImportOptions, Progress, ProgressCallback, Step, no_progress
from covirt.oci.image.output import checked_output, full_disk_told, move_file
from covirt.oci.image.reference import check_name, parse_source, scrub
from covirt.oci.image.trailer import check_content, open_image, read_image
from covirt.oci.image.trust import TrustRecords
from covirt.oci.image.workdir import clear_stale, locked, work_dir

log = logging.getLogger(__name__)

IMPORT_PROGRAMS: Final = ("setpriv", "skopeo", "umoci", "zstd")  # beside those that make a file system
_SUFFIX: Final = ".raw"
_ADOPTED: Final = "adopted-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """An image whose every byte was read and found right. ``trusted``: an import on this installation made it."""

    image: ContainerImage
    file_digest: str
    trusted: bool


class ImageStore:
    """Every method may be called from several threads and processes at once."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._images = root.images_dir
        self._work = root.state_dir / "image-work"
        self._users = root.state_dir / "image-users"
        self._trust = TrustRecords(root.state_dir / "trusted-images")

    def find(self, name_or_path: str | Path) -> ContainerImage:
        """An image by its name here, or any image file by its path (anything with a slash).

        Raises NoSuchImage, NotAnImage, ImageDamaged.
        """
        text = os.fspath(name_or_path)
        if "/" not in text:
            path = self.path_of(text)
            if not path.exists():
                raise NoSuchImage(name=text)
            return read_image(path, name=text)
        path = Path(os.path.abspath(text))
        own = path.parent.resolve() == self._images.resolve() and path.name.endswith(_SUFFIX)
        return read_image(path, name=path.name.removesuffix(_SUFFIX) if own else None)

    def path_of(self, name: str) -> Path:
        """Where the image of this name lies or would lie. Raises BadImageName."""
        return self._images / f"{check_name(name)}{_SUFFIX}"

    def list(self) -> tuple[ContainerImage, ...]:
        """All images by name. A broken file is logged and left out: it must not hide the others."""
        images = []
        for path in sorted(self._images.glob(f"[!.]*{_SUFFIX}")) if self._images.is_dir() else ():
            try:
                images.append(read_image(path, name=path.name.removesuffix(_SUFFIX)))
            except (NotAnImage, ImageDamaged, NoSuchImage) as error:
                log.warning("Image left out of the list error=%s", error)
        return tuple(images)

    def import_(
        self,
        source: str,
        *,
        name: str | None = None,
        output: Path | None = None,
        options: ImportOptions | None = None,
        progress: ProgressCallback = no_progress,
    ) -> ContainerImage:
        """Bring ``source`` here as the image ``name`` (default: from the source), or as the file ``output``.

        An image of that name is replaced in one step unless a domain uses it and the content differs. Raises the
        errors of covirt.oci.image.errors; whatever happens, the file is whole or absent.
        """
        options = options or ImportOptions()
        place = parse_source(source)
        if output is None:
            name = check_name(name if name is not None else place.default_name)
            target = self.path_of(name)
        else:
            target = checked_output(output)
        _require_programs(*IMPORT_PROGRAMS)
        filesystem = self._filesystem(options.filesystem)
        with full_disk_told(scrub(source), self._work), work_dir(self._work) as work:
            path, file_digest, digest = make_image(
                place, options, work=work, filesystem=filesystem, progress=progress
            )
            progress(Progress(step=Step.PUBLISH))
            self._trust.record(file_digest, image_digest=digest, source=scrub(source))
            if output is None:
                self._publish(path, target, str(name), file_digest)
            else:
                made = move_file(work, path, target, source=scrub(source))
                self._trust.remember(target, file_digest, made=made)
        log.info("Image imported source=%s path=%s digest=%s", scrub(source), target, digest)
        progress(Progress(step=Step.DONE))
        return read_image(target, name=name if output is None else None)

    def remove(self, name: str) -> None:
        """Remove an image by name. Raises NoSuchImage, ImageInUse."""
        path = self.path_of(name)
        make_directory(self._images)
        with locked(self._images / ".lock"):
            if not path.exists():
                raise NoSuchImage(name=name)
            self._refuse_if_used(path, name)
            path.unlink()
            sync_directory(self._images)
        clear_stale(self._work)
        log.info("Image removed name=%s", name)

    def verify(self, name_or_path: str | Path) -> Verified:
        """Read every byte of an image. Raises NoSuchImage, NotAnImage, ImageDamaged, and, for an image of the store
        whose content no import recorded, ImageNotRecorded."""
        image = self.find(name_or_path)
        with open_image(image.path) as descriptor:
            _, file_digest = check_content(descriptor, image.path)
        trusted = self._trust.find(file_digest) is not None
        if image.name is not None and not trusted:
            raise ImageNotRecorded(path=image.path)
        return Verified(image=image, file_digest=file_digest, trusted=trusted)

    def is_trusted(self, path: Path) -> bool:
        """Whether the file may be mounted as it is: an import on this installation made this content."""
        return self._trust.is_trusted(path)

    def file_digest(self, image: ContainerImage) -> str:
        """The SHA-256 of the whole file, remembered between calls while the file does not change."""
        return self._trust.file_digest(image.path)

    def adopt(self, path: Path) -> ContainerImage:
        """Take in an image file made elsewhere: check it, unpack it confined, and pack it anew as one of ours.

        The kernel never mounts the foreign file. The copy is an image of the store named after the file's digest;
        a second call finds it. Raises NoSuchImage, NotAnImage, ImageDamaged, UnpackFailed, PackFailed, DiskFull.
        """
        foreign_digest = self._trust.file_digest(path)
        name = f"{_ADOPTED}{foreign_digest.removeprefix('sha256:')}"
        target = self.path_of(name)
        if target.exists() and self.is_trusted(target):
            return read_image(target, name=name)
        filesystem = self._filesystem(None)
        with full_disk_told(str(path), self._work), work_dir(self._work) as work:
            packed, file_digest, digest = repack(path, foreign_digest, work=work, filesystem=filesystem)
            self._trust.record(file_digest, image_digest=digest, source=f"file:{path}")
            self._publish(packed, target, name, file_digest)
        log.info("Image adopted path=%s name=%s", path, name)
        return read_image(target, name=name)

    def hold(self, image: ContainerImage, uuid: uuids.UUID | str, *, domain: str = "") -> None:
        """Mark the image as used by this domain, whose name is for people. Again is fine. Raises NoSuchImage."""
        make_directory(self._images)
        with locked(self._images / ".lock"):
            mark = self._mark(self.file_digest(image), str(uuids.UUID(str(uuid))))
            if domain:
                mark.write_text(domain)

    def release(self, image: ContainerImage | None, uuid: uuids.UUID | str) -> None:
        """Take the mark back; without an image (its file is gone), take all marks of this domain back."""
        pattern = "*" if image is None else self.file_digest(image).removeprefix("sha256:")
        for directory in self._users.glob(pattern) if self._users.is_dir() else ():
            (directory / str(uuids.UUID(str(uuid)))).unlink(missing_ok=True)
            _remove_empty(directory)

    def hold_only(self, paths: Iterable[Path], uuid: uuids.UUID) -> None:
        """Mark these image files as used by this domain, and take back its marks of all others.

        Raises NoSuchImage, NotAnImage, ImageDamaged; then nothing has changed.
        """
        make_directory(self._images)
        with locked(self._images / ".lock"):
            self._hold_only({self._trust.file_digest(path) for path in paths}, uuid)

    def _hold_only(self, digests: Set[str], uuid: uuids.UUID) -> None:
        for digest in digests:
            self._mark(digest, str(uuid))
        keep = {digest.removeprefix("sha256:") for digest in digests}
        for directory in self._marked():
            if directory.name not in keep:
                (directory / str(uuid)).unlink(missing_ok=True)
                _remove_empty(directory)

    def reconcile(self, marks: Mapping[uuids.UUID, Iterable[Path] | None]) -> None:
        """Make the marks true at start-up: these domains use these files, and no other domain uses any.

        With None, or when one of a domain's files cannot be read, what the domain has stays.
        """
        for uuid in self.holders() - marks.keys():
            log.warning("A domain that is gone still held an image uuid=%s", uuid)
            self.release(None, uuid)
        make_directory(self._images)
        with locked(self._images / ".lock"):
            digest_of = functools.cache(self._trust.file_digest)  # under the lock no image of ours is replaced
            for uuid, paths in marks.items():
                try:
                    if paths is not None:
                        self._hold_only({digest_of(path) for path in paths}, uuid)
                except (NoSuchImage, NotAnImage, ImageDamaged) as error:
                    log.warning("Image marks are left as they are uuid=%s: %s", uuid, error)

    def holders(self) -> set[uuids.UUID]:
        """All domains that hold an image."""
        return {uuids.UUID(name) for directory in self._marked() for name in os.listdir(directory)}

    def users(self, image: ContainerImage) -> tuple[str, ...]:
        """UUIDs of the domains that hold this image."""
        return self._users_of(self.file_digest(image))

    def _filesystem(self, wanted: str | None) -> str:
        filesystem = wanted or choose_filesystem(self._root)
        _require_programs("mkfs.erofs" if filesystem == "erofs" else "mke2fs")
        return filesystem

    def _mark(self, file_digest: str, uuid: str) -> Path:
        directory = self._users / file_digest.removeprefix("sha256:")
        make_directory(directory)
        mark = directory / uuid
        mark.touch(mode=0o600)
        return mark

    def _marked(self) -> tuple[Path, ...]:
        return tuple(self._users.iterdir()) if self._users.is_dir() else ()

    def _users_of(self, file_digest: str) -> tuple[str, ...]:
        directory = self._users / file_digest.removeprefix("sha256:")
        try:
            return tuple(sorted(os.listdir(directory)))
        except FileNotFoundError:
            return ()

    def _refuse_if_used(self, path: Path, name: str) -> None:
        try:
            users = self._users_of(self._trust.file_digest(path))
        except (NotAnImage, ImageDamaged):
            return  # nothing can run from it
        if users:
            raise ImageInUse(name=name, users=", ".join(map(self._named, users)))

    def _named(self, uuid: str) -> str:
        """A user by its domain's name, where a mark tells it."""
        names = (mark.read_text(errors="replace") for mark in self._users.glob(f"*/{uuid}"))
        return next((f"{name} ({uuid})" for name in names if name), uuid)

    def _publish(self, path: Path, target: Path, name: str, file_digest: str) -> None:
        make_directory(self._images)
        with locked(self._images / ".lock"):
            if target.exists():
                try:
                    same = self._trust.file_digest(target) == file_digest
                except Error:
                    same = False
                if not same:
                    self._refuse_if_used(target, name)
            made = os.stat(path)
            os.rename(path, target)
            sync_directory(self._images)
            self._trust.remember(target, file_digest, made=made)


def _require_programs(*names: str) -> None:
    for name in names:
        if shutil.which(name) is None:
            raise CommandMissing(program=name, reason="it is not on the PATH")


def _remove_empty(directory: Path) -> None:
    with contextlib.suppress(OSError):
        directory.rmdir()
