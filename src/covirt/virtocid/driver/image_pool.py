# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The container images of this installation as one libvirt storage pool, ``images``; each image is a volume of it.

The pool is a fact like the directory behind it: it always runs, and nobody makes, stops or changes it. Images come in
through virtocid-image, and leave through either.
"""

import os
import shutil
import uuid as uuids
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from covirt.oci.image.errors import BadImageName, NoSuchImage
from covirt.oci.image.model import ContainerImage
from covirt.oci.image.store import ImageStore
from covirt.oci.image.trailer import open_image
from covirt.virtocid.driver.domain_xml.build import group, make
from covirt.virtocid.driver.domain_xml.document import write_document
from covirt.virtocid.driver.errors import BadArgument, NoSuchPool, NoSuchVolume
from covirt.virtocid.driver.image_volume_xml import volume_xml
from covirt.virtocid.file_stream import FileEndpoint

POOL: Final = "images"
_SUFFIX: Final = ".raw"
_DOWNLOADS: Final = 2  # reads at once, of all downloads: they are bound by the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpace:
    """Bytes of the file system that holds the images, as libvirt counts them for a directory pool."""

    capacity_bytes: int
    allocation_bytes: int
    available_bytes: int


class ImagePool:
    """What clients may know and do of container images. Thread-safe."""

    def __init__(self, images: ImageStore, directory: Path, *, installation: str) -> None:
        self._images = images
        self._directory = directory
        self.uuid = uuids.uuid5(uuids.NAMESPACE_URL, f"covirt:{installation}:{POOL}")
        self._readers = ThreadPoolExecutor(max_workers=_DOWNLOADS, thread_name_prefix="virtocid-download")

    def close(self) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)

    def require(self, *, name: str | None = None, uuid: UUID | None = None) -> None:
        """Raises NoSuchPool unless this is the pool. A client's reference names both, and its UUID counts."""
        if uuid is not None and uuid != self.uuid:
            raise NoSuchPool(key="uuid", value=uuid)
        if uuid is None and name != POOL:
            raise NoSuchPool(key="name", value=name)

    def space(self) -> PoolSpace:
        """Of the directory, or of where it will be made."""
        place = next(path for path in (self._directory, *self._directory.parents) if path.exists())
        usage = shutil.disk_usage(place)
        return PoolSpace(
            capacity_bytes=usage.total, allocation_bytes=usage.total - usage.free, available_bytes=usage.free
        )

    def xml(self) -> str:
        """libvirt's <pool>."""
        space = self.space()
        return write_document(
            group(
                "pool",
                (
                    make("name", POOL),
                    make("uuid", self.uuid),
                    make("capacity", space.capacity_bytes, unit="bytes"),
                    make("allocation", space.allocation_bytes, unit="bytes"),
                    make("available", space.available_bytes, unit="bytes"),
                    make("source"),
                    group("target", (make("path", self._directory),)),
                ),
                type_="dir",
            )
        )

    def volumes(self) -> tuple[ContainerImage, ...]:
        return self._images.list()

    def volume(self, *, name: str) -> ContainerImage:
        """Raises NoSuchVolume, NotAnImage, ImageDamaged."""
        try:
            self._images.path_of(name)  # a name: find() would take a path too
            return self._images.find(name)
        except (NoSuchImage, BadImageName) as error:
            raise NoSuchVolume(key="name", value=name) from error

    def volume_at(self, path: str) -> ContainerImage:
        """The image whose file this is; a path is its volume's key too. Raises NoSuchVolume."""
        target = Path(os.path.abspath(path))
        if target.parent.resolve() != self._directory.resolve() or target.suffix != _SUFFIX:
            raise NoSuchVolume(key="path", value=path)
        return self.volume(name=target.name.removesuffix(_SUFFIX))

    def describe(self, image: ContainerImage, *, secure: bool, name_of: Callable[[UUID], str | None]) -> str:
        """libvirt's <volume> with what the image is in an element of ours. Without ``secure``, no environment."""
        users = {user: name_of(UUID(user)) for user in self._images.users(image)}
        return volume_xml(image, users=users, secure=secure)

    def delete(self, image: ContainerImage) -> None:
        """Raises NoSuchImage, ImageInUse."""
        self._images.remove(image.name or "")

    def download(self, image: ContainerImage, *, offset_bytes: int, length_bytes: int) -> FileEndpoint:
        """The bytes of an image's file; a length of 0 is the rest. Raises NoSuchImage, BadArgument."""
        with open_image(image.path) as opened:
            descriptor = os.dup(opened)
        size_bytes = os.fstat(descriptor).st_size
        if offset_bytes > size_bytes or length_bytes > size_bytes - offset_bytes:
            os.close(descriptor)
            raise BadArgument(what=f"the volume '{image.name}' has {size_bytes} bytes, and more were asked for")
        return FileEndpoint(
            descriptor,
            offset_bytes=offset_bytes,
            length_bytes=length_bytes or size_bytes - offset_bytes,
            pool=self._readers,
            what=str(image.name),
        )
