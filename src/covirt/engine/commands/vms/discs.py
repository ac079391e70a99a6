# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The disc in a machine's CD-ROM; of a container, its image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.vms.common import about, is_running, require_running, subject_of
from covirt.engine.commands.vms.errors import HasNoDrive, NotADisc
from covirt.engine.commands.vms.gathering import pool_of
from covirt.engine.commands.vms.messages import DISC_CHANGED, DISC_EJECTED
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.cluster import BiosType
from covirt.engine.model.disk import DiskContentType
from covirt.engine.model.hardware import VmKind
from covirt.engine.model.vm import Vm
from covirt.engine.store.session import Session
from covirt.engine.vms.domain import volume_of
from covirt.rpc.jsonrpc import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDisc(Command):
    """``file_id`` None takes it out. ``current``: in the running machine and only there; otherwise from its next
    start on."""

    action: ClassVar = "ChangeDisk"

    vm_id: str
    file_id: str | None
    current: bool = False

    def begin(self, start: Start) -> None:
        session = start.session
        start.require(Right.CHANGE_VM_CD, subject_of(self.vm_id))
        vm = session.vms.get(self.vm_id)
        start.lock(vm.id, f"the disc of VM {vm.name} is being changed")
        if self.current:
            require_running(vm, "change the CD of")
            if vm.kind is VmKind.CONTAINER:
                raise HasNoDrive(name=vm.name)
        if self.file_id is not None:
            start.require(Right.ATTACH_DISK, Subject(type=ObjectType.DISK, id=self.file_id))
            disk = session.disks.get(self.file_id)
            image = session.container_images.find(disk.id) is not None
            if vm.kind is VmKind.VIRTUAL_MACHINE and (image or disk.content_type is not DiskContentType.ISO):
                raise NotADisc(disk=disk.name)
            if session.disk_attachments.find(disk_id=disk.id) is not None:
                raise NotADisc(disk=disk.name)
            pool_of(session, disk)
        start.describe(f"Changing the CD in VM {vm.name}", subjects={vm.id})

    def run(self, flow: Flow) -> JsonValue:
        if self.current:
            flow.step("Changing it in the running machine", self._change)
        return None

    def succeeded(self, finish: Finish) -> None:
        session = finish.session
        vm = session.vms.get(self.vm_id)
        drive = session.cdroms.find(vm_id=vm.id)
        if drive is not None:
            seen = self.file_id if self.current or not is_running(vm) else drive.current_file_id
            kept = drive.file_id if self.current else self.file_id
            session.cdroms.update(replace(drive, file_id=kept, current_file_id=seen))
        disk = session.disks.find(id=self.file_id) if self.file_id else None
        if disk is None:
            finish.tell(DISC_EJECTED, about(vm), vm=vm.name)
        else:
            finish.tell(DISC_CHANGED, about(vm), vm=vm.name, disk=disk.name)

    def _change(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            vm = session.vms.get(self.vm_id)
            spec = self._spec(session, vm)
        params: Mapping[str, Json] = {"vmID": vm.id, "driveSpec": spec}
        host_id = require_running(vm, "change the CD of")
        doing.services.hosts.call(host_id, "VM.changeCD", params, flow_id=doing.asked.correlation_id)
        return host_id

    def _spec(self, session: Session, vm: Vm) -> dict[str, Json]:
        """The drive is the third of its bus, as in domain XML: sdc or hdc."""
        bios = vm.hardware.bios_type
        if bios is BiosType.CLUSTER_DEFAULT:
            bios = session.clusters.get(vm.cluster_id).bios_type
        spec: dict[str, Json] = {"iface": "ide" if bios is BiosType.I440FX_SEA_BIOS else "sata", "index": 2}
        if self.file_id is not None:
            disk = session.disks.get(self.file_id)
            volume = volume_of(disk, pool_of(session, disk))
            spec["drive_spec"] = {"poolID": volume.pool_id, "domainID": volume.domain_id,
                                  "imageID": volume.image_id, "volumeID": volume.volume_id}  # fmt: skip
        return spec
