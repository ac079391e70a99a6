# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A machine of an engine whose disks are written to and looked at on its host: what snapshots keep is seen."""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covirt.common.process import run
from covirt.engine.model.disk import Disk, DiskAttachment, DiskInterface, DiskStatus
from covirt.engine.model.vm import Snapshot, SnapshotType, Vm, VmFacts
from tests.support.engine_objects import NOON
from tests.support.engine_samples import sample_id
from tests.support.storage_site import Site

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    site: Site
    domain_id: str
    vm_id: str
    disk_ids: tuple[str, ...]

    @property
    def path(self) -> str:
        return f"vms/{self.vm_id}/snapshots"

    def disk(self, number: int) -> Disk:
        with self.site.store.read() as session:
            found: Disk = session.disks.get(self.disk_ids[number])
            return found

    def volume(self, number: int) -> Path:
        disk = self.disk(number)
        root = self.site.covirt_host.root.path
        return root / "data" / self.domain_id / "images" / disk.id / disk.image_id

    def volumes(self, number: int) -> set[str]:
        return {each.name for each in self.volume(number).parent.iterdir() if not each.suffix}

    def write(self, marker: int) -> None:
        """Into the first half of each disk, as a guest would."""
        for number in range(len(self.disk_ids)):
            command = f"write -P {marker} 0 2M"
            run(["qemu-io", "-f", self._kind(number), "-c", command, str(self.volume(number))], timeout_seconds=60)

    def holds(self, marker: int, *, then: Snapshot | None = None) -> bool:
        """In each disk, or what it was ``then``, and nothing in its second half; a guest may use it."""
        volumes = {each.disk_id: each.image_id for each in then.disks} if then else {}
        for number, disk_id in enumerate(self.disk_ids):
            raw = self.site.covirt_host.root.path / "read"
            path = self.volume(number).with_name(volumes.get(disk_id, self.disk(number).image_id))
            kind = json.loads(run(["qemu-img", "info", "-U", "--output", "json", path], timeout_seconds=60).stdout)
            run(["qemu-img", "convert", "-U", "-f", kind["format"], "-O", "raw", path, raw], timeout_seconds=60)
            data = raw.read_bytes()
            if data[: 2 * MIB] != bytes([marker]) * (2 * MIB) or any(data[2 * MIB :]):
                return False
        return True

    def keep(self, name: str, marker: int) -> str:
        """Write, and make a snapshot of that."""
        self.write(marker)
        made = self.site.api.post(self.path, {"description": name, "persist_memorystate": "true"})
        assert (made["snapshot_status"], made["description"]) == ("ok", name)
        return str(made["id"])

    def names(self) -> list[str]:
        return sorted(each["description"] for each in self.site.api.get(self.path)["snapshot"])

    def at_rest(self) -> bool:
        with self.site.store.read() as session:
            vm = session.vms.get(self.vm_id)
        return not vm.image_locked and all(
            self.disk(number).status is DiskStatus.OK for number in range(len(self.disk_ids))
        )

    def change(self, **facts: Any) -> None:
        with self.site.store.write() as session:
            session.vms.update_facts(self.vm_id, VmFacts(**facts))

    def events(self, code: int) -> list[str]:
        with self.site.store.read() as session:
            return [event.description for event in session.events.list() if event.code == code]

    def _kind(self, number: int) -> str:
        return "qcow2" if self.disk(number).format == "cow" else "raw"


def new_machine(
    site: Site, domain_id: str, name: str, formats: tuple[str, ...] = ("raw", "cow"), *, sparse: bool = True
) -> Machine:
    domain = {"storage_domain": [{"id": domain_id}]}
    ids = []
    for number, image_format in enumerate(formats):
        body = {"alias": f"{name}-{number}", "format": image_format, "provisioned_size": 4 * MIB, "sparse": sparse}
        ids.append(site.api.post("disks", {**body, "storage_domains": domain})["id"])
    with site.store.write() as session:
        (cluster,) = session.clusters.list()
        vm = Vm(id=sample_id(name), name=name, cluster_id=cluster.id, created_at=NOON, facts=VmFacts())
        session.vms.add(vm)
        session.snapshots.add(
            Snapshot(id=str(uuid.uuid4()), description="Active VM", vm_id=vm.id, type=SnapshotType.ACTIVE, date=NOON)
        )
        for disk_id in ids:
            session.disk_attachments.add(
                DiskAttachment(disk_id=disk_id, vm_id=vm.id, active=True, interface=DiskInterface.VIRTIO)
            )
    return Machine(site=site, domain_id=domain_id, vm_id=vm.id, disk_ids=tuple(ids))
