# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container's custom properties as its host reads them: disks by the names of their drives."""

from collections.abc import Mapping

from covirt.engine.model.disk import Disk
from covirt.engine.vms.container_settings import ContainerSettings, Property, container_settings
from covirt.engine.vms.domain import DISC_NAME, Domain, named_disks
from covirt.engine.vms.errors import NoSuchVolumeDisk

_ROOT = "containerRoot"
_DISCARD = "containerDiscard"
_DEFAULT_RUNTIME = "docker"


def container_properties(domain: Domain) -> dict[str, str]:
    """Name to value; an image of a storage domain is in its CD-ROM and has no name then. Raises BadContainer,
    NoSuchVolumeDisk."""
    settings = container_settings(domain.vm.hardware.custom_properties, action="run")
    drives = {name: found.disk for name, found in named_disks(domain.disks, taken=(DISC_NAME,))}
    texts = {
        Property.TYPE: settings.runtime or _DEFAULT_RUNTIME,
        Property.IMAGE: "" if domain.disc is not None else settings.image,
        Property.VOLUMES: _volumes(settings, drives, domain.vm.name),
        Property.COMMAND: settings.command,
        Property.ENVIRONMENT: settings.environment,
        Property.RESTART: settings.restart,
        _ROOT: _drive(settings.root_disk, drives, domain.vm.name, Property.ROOT) if settings.root_disk else "",
        _DISCARD: ",".join(settings.discarded),
    }
    return {str(name): text for name, text in texts.items() if text}


def _volumes(settings: ContainerSettings, drives: Mapping[str, Disk], vm_name: str) -> str:
    pairs = ((each.place, _drive(each.disk, drives, vm_name, Property.VOLUMES)) for each in settings.volumes)
    return ",".join(f"{place}:{drive}" for place, drive in pairs)


def _drive(wanted: str, drives: Mapping[str, Disk], vm_name: str, name: Property) -> str:
    """Of the disk with this drive name, id or name. Raises NoSuchVolumeDisk."""
    for drive, disk in drives.items():
        if wanted in (drive, disk.id, disk.name):
            return drive
    raise NoSuchVolumeDisk(name=vm_name, disk=wanted, property=name)
