# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""From an image file made elsewhere to one made here, without the kernel ever reading it as a file system."""

import os
import time
from pathlib import Path

from covirt.common.files import remove_tree
from covirt.oci.image.errors import ImageDamaged
from covirt.oci.image.importer import about_image, seal
from covirt.oci.image.output import copy_file
from covirt.oci.image.pack import extract_filesystem, make_filesystem
from covirt.oci.image.trailer import check_content, image_of, open_image
from covirt.oci.image.workdir import WorkDir


def repack(path: Path, foreign_digest: str, *, work: WorkDir, filesystem: str) -> tuple[Path, str, str]:
    """Extract the file confined and pack it anew in ``work``: the new file, its file digest, its manifest's digest.

    All is done with a copy that nobody else can change; it must still have ``foreign_digest``. Raises NoSuchImage,
    NotAnImage, ImageDamaged, UnpackFailed, PackFailed, DiskFull.
    """
    source = str(path)
    copy = work.inner / "foreign.raw"
    copy_file(path, copy, source=source)
    with open_image(copy) as descriptor:
        trailer, digest = check_content(descriptor, path)
    if digest != foreign_digest:
        raise ImageDamaged(path=path, reason="it was changed while it was read")
    foreign = image_of(trailer, name=None, path=path)
    about = about_image(foreign.digest, foreign.config.raw)
    os.truncate(copy, trailer.start)
    copy.chmod(0o444)
    began_ns = time.time_ns()
    extract_filesystem(work, filesystem=trailer.filesystem, source=source)
    remove_tree(copy)
    packed = make_filesystem(
        work, about, filesystem=filesystem, digest=foreign.digest, began_ns=began_ns, source=source
    )
    return packed, seal(work, packed, about, source=source), foreign.digest
