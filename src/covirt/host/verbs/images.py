# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs about what is in volumes, joined to the parts that do the work."""

from collections.abc import Callable

from covirt.common.root import Root
from covirt.host.storage.container_images import ContainerImages
from covirt.host.storage.container_import import ContainerImageProgram
from covirt.host.storage.copy_data import CopyData
from covirt.host.storage.disk_images import DiskImages
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.image_volumes import ImageVolumes
from covirt.host.storage.images import Images
from covirt.host.storage.ticket_holds import TicketHolds
from covirt.host.verbs.container_image import ContainerImageVerbs
from covirt.host.verbs.dispatch import VerbClass
from covirt.host.verbs.image import ImageVerbs
from covirt.host.verbs.nbd import NbdVerbs
from covirt.host.verbs.sdm import SdmVerbs
from covirt.host.verbs.task import JobVerbs, TaskVerbs
from covirt.host.verbs.transfer import TicketVerbs


def image_verb_classes(
    parts: Images,
    *,
    root: Root,
    config: ImagesConfig,
    volumes: ImageVolumes,
    require_manager: Callable[[], object] = lambda: None,
    require_managed: Callable[[str, str], object] = lambda _pool_id, _domain_id: None,
) -> tuple[VerbClass, ...]:
    """Call it before ``parts.start()``: the kinds of tasks and jobs are added here.

    ``require_manager`` raises NotSpm on a host that manages no pool, ``require_managed`` where it does not manage
    this pool, or has not this domain active in it.
    """
    disk_images = DiskImages(volumes)
    container_images = ContainerImages(volumes=volumes, program=ContainerImageProgram(root=root, config=config))
    parts.tasks.add_kinds(disk_images.kinds())
    parts.jobs.add_kinds([CopyData(volumes).kind(), *container_images.kinds()])
    nbd = NbdVerbs(servers=parts.servers, volumes=volumes)
    parts.at_start.append(nbd.give_back)
    parts.transfers.join(TicketHolds(volumes=volumes))
    return (
        TaskVerbs(parts.tasks, require_manager=require_manager),
        JobVerbs(parts.jobs),
        TicketVerbs(parts.transfers),
        nbd,
        ImageVerbs(images=disk_images, volumes=volumes, tasks=parts.tasks, require_managed=require_managed),
        SdmVerbs(parts.jobs),
        ContainerImageVerbs(images=container_images, volumes=volumes, jobs=parts.jobs),
    )
