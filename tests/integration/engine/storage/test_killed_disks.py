# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Disks whose engine ends while a real covirt-host makes them."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from covirt.engine.commands.asked import Asked
from covirt.engine.commands.command import Interrupted
from covirt.engine.commands.disks.add_disk import AddDisk
from covirt.engine.commands.runner import Commands
from covirt.engine.commands.services import CommandServices
from covirt.engine.commands.table import COMMANDS
from covirt.engine.model.disk import Disk
from covirt.rpc.jsonrpc import Json
from tests.support.engine_samples import sample_id
from tests.support.storage_site import new_site
from tests.support.vaults import new_vault

pytestmark = pytest.mark.root


def test_the_next_engine_waits_for_the_task_that_was_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """And begins no second one, which would need the disk's space once more."""
    with new_site() as site:
        domain_id = site.new_domain("data")
        site.api.put(f"storagedomains/{domain_id}", {"critical_space_action_blocker": "0"})
        call, ended = site.hosts.call, threading.Event()
        begun: list[str] = []

        def ending(host_id: str, verb: str, params: Mapping[str, Json] | None = None, **named: Any) -> Json:
            if verb == "Task.getStatus" and begun and not ended.is_set():
                ended.set()
                raise Interrupted  # as in a step that an engine's end has cut short
            if verb == "Volume.create":
                begun.append(verb)
            return call(host_id, verb, params, **named)

        monkeypatch.setattr(site.hosts, "call", ending)
        disk = Disk(
            id=sample_id("slow"),
            name="slow",
            image_id=sample_id("slow volume"),
            storage_domain_id=domain_id,
            provisioned_size_bytes=8 << 20,
            created_at=datetime.now(UTC),
        )
        outcome = site.commands.run(Asked.system("slow"), AddDisk(disk=disk), wait_seconds=0)
        assert ended.wait(30)
        site.commands.stop()
        assert site.commands.outcome(outcome.job_id).pending
        services = CommandServices(store=site.store, hosts=site.hosts, vault=new_vault())
        again = Commands(services, COMMANDS, database_url=f"sqlite:///{site.covirt_host.root.path}/engine.db")
        again.start()
        try:
            site.settle()
        finally:
            again.stop()
        assert begun == ["Volume.create"]
        assert site.api.get(f"disks/{disk.id}")["status"] == "ok"
        assert (site.covirt_host.root.path / "data" / domain_id / "images" / disk.id / disk.image_id).exists()
