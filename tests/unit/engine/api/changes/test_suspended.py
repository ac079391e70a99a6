# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A machine is suspended, and goes on: what may happen to its kept state on the way, on a host that is played."""

from dataclasses import replace
from typing import Any

import pytest

from covirt.common.errors import Error, Unavailable
from covirt.engine.commands.command import Doing, JsonValue
from covirt.engine.commands.services import CommandServices
from covirt.engine.commands.vms.suspend import HibernateVm
from covirt.engine.hosts.errors import HostRefused, HostUncertain, HostUnreachable
from covirt.engine.hosts.fake import FakeHosts
from covirt.engine.model.vm import VmStatus
from covirt.engine.store.store import Store
from covirt.hostapi.errors import Code
from tests.support import engine_samples as s
from tests.support.acting_host import ActingHost
from tests.support.acting_state import ActingState
from tests.support.direct_commands import DirectCommands
from tests.support.engine_api import api_app_of, api_client
from tests.support.engine_changing import Asker, events
from tests.support.vaults import new_vault

_BODY: dict[str, Any] = {
    "name": "web",
    "cluster": {"name": "kitchen"},
    "template": {"name": "Blank"},
    "os": {"boot": {"devices": {"device": ["network"]}}},
}


class Larder:
    """A machine that runs, on a host with storage."""

    def __init__(self, store: Store, *, again: bool) -> None:
        self.store = store
        self.hosts = FakeHosts(up={s.HOST_ID})
        commands = DirectCommands(CommandServices(store=store, hosts=self.hosts, vault=new_vault()), again=again)
        app = api_app_of(store, commands=commands, hosts=self.hosts)
        self.api = Asker(client=api_client(app))
        self.host = ActingHost(self.hosts)
        self.state = ActingState(self.host)
        self.state.manage(store)
        with store.write() as session:
            facts = session.hosts.get(s.HOST_ID).facts
            session.hosts.update_facts(s.HOST_ID, replace(facts, networks=("pipes",), cpu_threads=8))
        self.vm_id = str(self.api.post("vms", _BODY)["id"])
        self.api.post(f"vms/{self.vm_id}/nics", {"name": "nic1", "vnic_profile": {"id": s.PROFILE_ID}})
        self.act("start")

    def act(self, action: str, status: int = 200, **body: Any) -> Any:
        return self.api.post(f"vms/{self.vm_id}/{action}", body, status)

    @property
    def status(self) -> str:
        return str(self.api.get(f"vms/{self.vm_id}")["status"])

    @property
    def state_disks(self) -> list[dict[str, Any]]:
        found = self.api.get("disks").get("disk", [])
        return [disk for disk in found if disk["content_type"].startswith("memory")]


@pytest.fixture
def larder(store: Store, *, again: bool) -> Larder:
    return Larder(store, again=again)


@pytest.fixture
def quick(store: Store) -> Larder:
    return Larder(store, again=False)


def test_it_goes_on_from_its_state_once(larder: Larder) -> None:
    larder.act("suspend")
    assert larder.status == "suspended"
    assert larder.host.guests == {}
    memory, description = sorted(larder.state_disks, key=lambda disk: -disk["provisioned_size"])
    assert {disk["status"] for disk in (memory, description)} == {"ok"}
    assert larder.state.images == {memory["id"], description["id"]}
    handle = larder.hosts.asked("VM.hibernate")[0]["hibernateVolHandle"]
    assert isinstance(handle, str)
    assert handle.split(",")[2::2] == [memory["id"], description["id"]]

    larder.act("start")
    assert larder.status == "up"
    assert larder.state.begun[larder.vm_id] == handle
    assert (larder.state_disks, larder.state.images) == ([], set())
    larder.act("stop")
    larder.act("start")
    assert larder.state.begun[larder.vm_id] is None
    told = [event.description for event in events(larder.store, 20)]
    assert "Suspending VM web has been completed." in told


def test_stop_drops_the_state(larder: Larder) -> None:
    larder.act("suspend")
    larder.act("stop")
    assert larder.status == "down"
    assert (larder.state_disks, larder.state.images) == ([], set())
    larder.act("start")
    assert larder.state.begun[larder.vm_id] is None


def test_what_a_suspended_one_refuses(quick: Larder) -> None:
    quick.act("suspend")
    memory = quick.state_disks[0]["id"]
    nic = quick.api.get(f"vms/{quick.vm_id}/nics")["nic"][0]["id"]
    refused = [
        quick.act("suspend", 409),
        quick.act("shutdown", 409),
        quick.act("clone", 409, vm={"name": "twin"}),
        quick.act("start", 409, vm={"os": {"boot": {"devices": {"device": ["cdrom"]}}}}),
        quick.api.delete(f"vms/{quick.vm_id}", 409),
        quick.api.post(f"vms/{quick.vm_id}/nics", {"name": "nic2", "vnic_profile": {"id": s.PROFILE_ID}}, 409),
        quick.api.put(f"vms/{quick.vm_id}/nics/{nic}", {"name": "other"}, 409),
        quick.api.delete(f"vms/{quick.vm_id}/nics/{nic}", 409),
        quick.api.post("templates", {"name": "t", "vm": {"id": quick.vm_id}}, 409),
        quick.api.post(f"vms/{quick.vm_id}/snapshots", {"description": "x"}, 409),
        quick.api.delete(f"disks/{memory}", 409),
        quick.api.put(f"disks/{memory}", {"name": "mine"}, 409),
        quick.api.post("imagetransfers", {"disk": {"id": memory}, "direction": "upload", "format": "raw"}, 409),
        quick.api.post(f"vms/{quick.vm_id}/diskattachments", {"disk": {"id": memory}, "interface": "virtio"}, 409),
    ]
    assert [reason for reason in refused if "suspended" not in reason and "running" not in reason] == []
    quick.api.put(f"vms/{quick.vm_id}", {"comment": "asleep"})
    assert quick.status == "suspended"
    assert len(quick.state_disks) == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([{"status": "Saving State"}, {"status": "Up"}], "its host let it go on"),
        ([{"status": "Down", "exitReason": 7, "exitMessage": "User shut down from within the guest"}], "User shut"),
    ],
)
def test_a_state_that_is_not_kept(quick: Larder, words: list[dict[str, Any]], reason: str) -> None:
    quick.state.words[:] = words
    assert reason in quick.act("suspend", 409)
    assert quick.status in ("up", "saving_state")
    assert (quick.state_disks, quick.state.images) == ([], set())


def test_a_volume_that_is_still_being_made_is_waited_for(quick: Larder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not given up: undoing is tried again while what it meets passes by."""
    met: list[Error] = []
    remove = HibernateVm._remove

    def watched(command: HibernateVm, doing: Doing, manager_id: str, number: int) -> JsonValue:
        try:
            return remove(command, doing, manager_id, number)
        except Error as error:
            met.append(error)
            raise

    def busy(_params: Any) -> Any:
        raise HostRefused(host="oven", verb="Image.delete", code=Code.VOLUME_BUSY, text="it is being made")

    monkeypatch.setattr(HibernateVm, "_remove", watched)
    quick.state.words[:] = [{"status": "Saving State"}, {"status": "Up"}]
    quick.hosts.answers |= {"Image.delete": busy}
    quick.act("suspend", 409)
    assert [str(error) for error in met] == [
        f"the host is not done with making disk web_hibernation_{word}: it is being made"
        for word in ("description", "memory")
    ]
    assert all(isinstance(error, Unavailable) for error in met)


def test_an_answer_that_is_lost_is_no_failure(quick: Larder) -> None:
    """Its volumes stay as long as the host may write to them."""
    save, stats = quick.state.save, quick.state.stats
    silent = [True, True]

    def saved(params: Any) -> Any:
        save(params)
        raise HostUncertain(host="oven", verb="VM.hibernate", reason="the connection was lost")

    def looked(params: Any) -> Any:
        if quick.state.kept and silent:
            silent.pop()
            raise HostUnreachable(host="oven", verb="VM.getStats", reason="it is away")
        return stats(params)

    quick.hosts.answers |= {"VM.hibernate": saved, "VM.getStats": looked}
    quick.act("suspend")
    assert quick.status == "suspended"
    assert len(quick.state.images) == 2


def test_a_start_that_comes_to_nothing_keeps_the_state(quick: Larder) -> None:
    quick.act("suspend")
    images = set(quick.state.images)
    quick.host.fails = "no room"
    assert "no room" in quick.act("start", 409)
    assert (quick.status, quick.state.images) == ("suspended", images)

    def refused(_params: Any) -> Any:
        raise HostRefused(host="oven", verb="VM.create", code=Code.GENERAL, text="it has no wish")

    create = quick.hosts.answers["VM.create"]
    quick.hosts.answers["VM.create"] = refused
    quick.act("start", 409)
    assert (quick.status, quick.state.images) == ("suspended", images)
    quick.host.fails = ""
    quick.hosts.answers["VM.create"] = create
    quick.act("start")
    assert quick.status == "up"


def test_a_state_that_was_gone_on_from_is_not_begun_again(quick: Larder) -> None:
    """The engine was killed after it had asked; meanwhile the guest went on, wrote to its disks, and ended."""
    quick.act("suspend")
    exists = HostRefused(host="oven", verb="VM.create", code=Code.VM_EXISTS, text="Virtual machine already exists")
    ended: Any = [{"vmId": quick.vm_id, "status": "Down", "exitCode": 0, "exitReason": 7, "exitMessage": "shut down"}]
    quick.hosts.answers |= {"VM.create": exists, "VM.getStats": lambda _params: ended}
    before = len(quick.hosts.asked("VM.create"))
    quick.act("start")
    assert len(quick.hosts.asked("VM.create")) == before + 1
    assert (quick.state_disks, quick.state.images) == ([], set())
    with quick.store.read() as session:
        assert session.vms.get(quick.vm_id).facts.state_disk_ids == ()


def test_a_guest_that_may_have_gone_on_loses_its_state(quick: Larder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its host accepted it, and then nobody heard what came of it: it is ended there, and its disks may be newer."""
    monkeypatch.setattr("covirt.engine.commands.vms.run._LAUNCH_SECONDS", 0.0)
    quick.act("suspend")
    quick.act("start", 503)
    assert quick.status == "down"
    assert quick.host.guests == {}
    for disk in quick.state_disks:
        quick.api.delete(f"disks/{disk['id']}")
    assert quick.state.images == set()


def test_a_machine_whose_host_is_given_up_is_not_suspended(quick: Larder) -> None:
    stats = quick.state.stats

    def looked(params: Any) -> Any:
        if not quick.state.kept:
            return stats(params)
        with quick.store.write() as session:
            facts = session.vms.get(quick.vm_id).facts
            session.vms.update_facts(quick.vm_id, replace(facts, status=VmStatus.DOWN, host_id=None))
        raise HostUnreachable(host="oven", verb="VM.getStats", reason="it is away")

    quick.hosts.answers["VM.getStats"] = looked
    assert "its host was given up" in quick.act("suspend", 409)
    assert quick.status == "down"
    assert quick.state_disks == []
