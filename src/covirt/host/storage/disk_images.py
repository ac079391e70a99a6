# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disk images as a whole: removed with all their volumes, and judged after a stranger has written to them."""

from collections.abc import Sequence
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest, NotFound
from covirt.host.storage import qemu_img
from covirt.host.storage.bounded import storage_failures
from covirt.host.storage.image_volumes import ImageVolumes, VolumeFacts, uploaders
from covirt.host.storage.operation import Control, Kind, Params
from covirt.host.storage.storage_errors import UsedByOthers
from covirt.host.virt.volumes import VolumeRef

DELETE_IMAGE: Final = "deleteImage"


class NoSuchImage(NotFound):
    template = "there is no image {image_id} in storage domain {domain_id}"


class ImageInUse(Conflict):
    template = "image {image_id} is used by {users}; stop them first"


class ImageIsTemplate(Conflict):
    template = "image {image_id} is a template, and images {images} build on it; delete those first"


class UploadRefused(InvalidRequest):
    template = "what was uploaded into volume {ref} is not usable: {reason}; upload it again"


def delete_params(*, domain_id: str, image_id: str, zero: bool) -> Params:
    return {"domain_id": domain_id, "image_id": image_id, "zero": zero}


class DiskImages:
    def __init__(self, volumes: ImageVolumes) -> None:
        self._volumes = volumes

    def kinds(self) -> Sequence[Kind]:
        return (Kind(name=DELETE_IMAGE, run=self.run_delete, again=True),)

    def volumes_of(self, domain_id: str, image_id: str) -> list[VolumeFacts]:
        """Raises NoSuchImage."""
        found = [volume for volume in self._volumes.volumes(domain_id) if volume.ref.image_id == image_id]
        if not found:
            raise NoSuchImage(image_id=image_id, domain_id=domain_id)
        return found

    def check_removable(self, domain_id: str, image_id: str) -> None:
        """Raises NoSuchImage, ImageInUse and ImageIsTemplate."""
        try:
            volumes = self.volumes_of(domain_id, image_id)
        except NoSuchImage:
            with self._volumes.images(domain_id) as images:
                if not images.has(image_id):
                    raise
            volumes = []  # the metadata of all its volumes is damaged; who would use them is refused
        users = {user for volume in volumes for user in self._volumes.users(volume.ref)}
        if users:
            raise ImageInUse(image_id=image_id, users=", ".join(sorted(users)))
        own = {volume.ref.volume_id for volume in volumes if volume.is_own}
        others = {
            other.ref.image_id
            for other in self._volumes.volumes(domain_id)
            if other.ref.image_id != image_id and other.ref.volume_id in own
        }
        if others:
            raise ImageIsTemplate(image_id=image_id, images=", ".join(sorted(others)))

    def run_delete(self, params: Params, control: Control) -> None:
        domain_id, image_id = params["domain_id"], params["image_id"]
        try:
            alone = self._volumes.alone(domain_id, image_id, None, purpose="its removal")
            with alone, storage_failures(domain_id):
                self._delete(domain_id, image_id, control, zero=params["zero"])
        except UsedByOthers as error:
            raise ImageInUse(image_id=image_id, users=error.fields["users"]) from error

    def _delete(self, domain_id: str, image_id: str, control: Control, *, zero: bool) -> None:
        try:
            self.check_removable(domain_id, image_id)
        except NoSuchImage:  # an earlier life of the agent came as far as this, or further
            self._volumes.remove_image(domain_id, image_id)
            return
        if zero:
            # A template's volume that is linked in here is the data of other images, too.
            for volume in self._own_volumes(domain_id, image_id):
                with self._volumes.images(domain_id) as images, images.sub(image_id) as image:
                    image.wipe(volume.ref.volume_id, control.check)
        self._volumes.remove_image(domain_id, image_id)

    def _own_volumes(self, domain_id: str, image_id: str) -> list[VolumeFacts]:
        found = self._volumes.volumes(domain_id)
        return [volume for volume in found if volume.ref.image_id == image_id and volume.is_own]

    def verify(self, ref: VolumeRef) -> None:
        """Judge what a stranger has written, before a guest or QEMU trusts it; what is refused is illegal then.

        Raises UploadRefused, ImageInUse.
        """
        allowed = uploaders(self._volumes.users(ref))
        ids = (ref.domain_id, ref.image_id, ref.volume_id)
        try:
            with self._volumes.alone(*ids, purpose="its verification", allowed=allowed):
                self._verify(ref)
        except UsedByOthers as error:  # what a guest has written to its raw disk meanwhile says nothing of the upload
            raise ImageInUse(image_id=ref.image_id, users=error.fields["users"]) from error

    def _verify(self, ref: VolumeRef) -> None:
        try:
            volume = self._volumes.volume(ref)
            self._volumes.bounded(ref.domain_id, lambda: self._judge(volume))
        except UploadRefused:
            self._volumes.set_illegal(ref)
            raise

    @staticmethod
    def _judge(volume: VolumeFacts) -> None:
        """A reference to another file would show that file's content to whoever uploaded it."""
        try:
            found = qemu_img.probe(volume.path)
        except (qemu_img.BrokenImage, qemu_img.ForeignReference) as error:
            raise UploadRefused(ref=volume.ref, reason=error.reason) from error
        if found.format != volume.format:
            reason = f"it is {found.format}, and the volume is {volume.format}"
        elif found.virtual_bytes > volume.capacity_bytes:
            reason = f"it holds {found.virtual_bytes} bytes, and the volume is of {volume.capacity_bytes}"
        elif found.backing_file != (None if volume.parent is None else volume.parent.path.name):
            reason = "it builds on another file"
        elif volume.parent is not None and found.backing_format != volume.parent.format:
            # A raw volume read as qcow2 is whatever its guest wrote into its first block.
            reason = f"it takes what it builds on for {found.backing_format}, and that is {volume.parent.format}"
        else:
            return
        raise UploadRefused(ref=volume.ref, reason=reason)
