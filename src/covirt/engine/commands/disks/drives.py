# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks of machines that run, as their hosts have them: plugged, looked for, unplugged."""

from dataclasses import dataclass
from typing import Final

from covirt.engine.commands.command import Doing
from covirt.engine.commands.disks.errors import NoPlaceInContainer
from covirt.engine.commands.vms.common import domain_xml_on
from covirt.engine.model.disk import Disk, DiskAttachment
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.vm import Vm
from covirt.engine.vms.container_settings import container_settings
from covirt.engine.vms.device_xml import hotplug_disk_xml
from covirt.engine.vms.domain import DISC_NAME, DomainDisk, named_disks
from covirt.engine.vms.live_xml import live_drives
from covirt.rpc.jsonrpc import Json

_NO_CONTAINER: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drives:
    """Of one machine on its host."""

    doing: Doing
    vm: Vm
    host_id: str

    def plug(self, attachment: DiskAttachment) -> None:
        """One that is there is left alone."""
        names = self._names()
        if attachment.disk_id in names.values():
            return
        disk = self._disk(attachment)
        name, _ = next(iter(named_disks([disk], taken=(DISC_NAME, *names))))
        xml = hotplug_disk_xml(disk, name=name, container_path=self._place(disk.disk))
        self._ask("VM.hotplugDisk", xml)

    def unplug(self, attachment: DiskAttachment) -> None:
        """One that is not there is not looked for."""
        names = {disk_id: name for name, disk_id in self._names().items()}
        if attachment.disk_id in names:
            self._ask("VM.hotunplugDisk", hotplug_disk_xml(self._disk(attachment), name=names[attachment.disk_id]))

    def extend(self, disk: Disk, size_bytes: int) -> None:
        attachment = DiskAttachment(disk_id=disk.id)
        volume = self._disk(attachment).volume
        params: dict[str, Json] = {
            "vmID": self.vm.id,
            "driveSpecs": {
                "poolID": volume.pool_id,
                "domainID": volume.domain_id,
                "imageID": volume.image_id,
                "volumeID": volume.volume_id,
            },
            "newSize": size_bytes,
        }
        self._call("VM.diskSizeExtend", params)

    def _ask(self, verb: str, xml: str) -> None:
        self._call(verb, {"vmID": self.vm.id, "params": {"xml": xml}})

    def _call(self, verb: str, params: dict[str, Json]) -> Json:
        return self.doing.services.hosts.call(self.host_id, verb, params, flow_id=self.doing.asked.correlation_id)

    def _disk(self, attachment: DiskAttachment) -> DomainDisk:
        with self.doing.services.store.read() as session:
            disk = session.disks.get(attachment.disk_id)
            domain = session.storage_domains.get(disk.storage_domain_id)
        return DomainDisk(disk=disk, attachment=attachment, pool_id=domain.data_center_id or "")

    def _names(self) -> dict[str, str]:
        """Drives to the disks that are in them now."""
        xml = domain_xml_on(self.doing, self.host_id, self.vm.id)
        return live_drives(xml) if xml else {}

    def _place(self, disk: Disk) -> str:
        return container_place(self.vm, disk)


def container_place(vm: Vm, disk: Disk) -> str:
    """Where a container that runs gets the disk; empty for a machine. Raises NoPlaceInContainer."""
    if vm.kind is not VmKind.CONTAINER:
        return _NO_CONTAINER
    settings = container_settings(vm.hardware.custom_properties, action="run")
    for volume in settings.volumes:
        if volume.disk in (disk.id, disk.name) and volume.place.startswith("/"):
            return volume.place
    raise NoPlaceInContainer(disk=disk.name, vm=vm.name)
