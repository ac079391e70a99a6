# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a request makes has the same id when the request is repeated with its key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.testclient import TestClient

from covirt.engine.commands.asked import Asked
from covirt.engine.commands.command import WAIT_SECONDS, Command, Outcome
from covirt.engine.commands.disks.add_disk import AddDisk
from covirt.engine.commands.errors import EngineStops
from covirt.engine.commands.snapshots.create import CreateSnapshot
from covirt.engine.commands.templates.add import AddVmTemplate
from covirt.engine.commands.vms.add_with_disks import AddVmWithDisks
from covirt.engine.commands.vms.nics import AddVmInterface
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.store.store import Store
from tests.support import engine_samples as s
from tests.support.engine_api import api_app_of, api_client

_DISK: Mapping[str, Any] = {
    "name": "lid",
    "format": "raw",
    "provisioned_size": 1 << 20,
    "storage_domains": {"storage_domain": [{"id": s.DOMAIN_ID}]},
}


@dataclass
class _Recorded:
    """Begins nothing."""

    ids: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def run(self, asked: Asked, command: Command, *, wait_seconds: float = WAIT_SECONDS) -> Outcome:
        del wait_seconds
        self.keys.add(asked.repeatable.key if asked.repeatable else "")
        match command:
            case AddDisk(disk=disk):
                self.ids.append(disk.id)
            case AddVmInterface(nic=nic):
                self.ids.append(nic.id)
            case AddVmTemplate(template=template):
                self.ids.append(template.id)
            case AddVmWithDisks(vm=vm):
                self.ids.append(vm.id)
            case CreateSnapshot(snapshot=snapshot):
                self.ids.append(snapshot.id)
        raise EngineStops


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("disks", _DISK),
        (f"vms/{s.VM_ID}/diskattachments", {"disk": _DISK, "interface": "virtio"}),
        (f"vms/{s.VM_ID}/nics", {"name": "nic7"}),
        (f"vms/{s.VM_ID}/snapshots", {"description": "before the update"}),
        (f"vms/{s.VM_ID}/clone", {"vm": {"name": "copy"}}),
        ("templates", {"name": "copy", "vm": {"id": s.VM_ID}}),
    ],
)
def test_ids(store: Store, path: str, body: Mapping[str, Any]) -> None:
    commands = _Recorded()
    client: TestClient = api_client(api_app_of(store, commands=commands, hosts=FakeHosts()))
    for key in ("one", "one", "two", "", ""):
        headers = {"Idempotency-Key": key} if key else {}
        assert client.post(path, json=body, headers=headers).status_code == 503
    first, again, *others = commands.ids
    assert first == again
    assert len({first, *others}) == 4
    assert commands.keys == {"one", "two", ""}
