# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine, by oVirt's own SDK as it is on PyPI; what oVirt has no words for, by plain JSON."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import ovirtsdk4
from ovirtsdk4 import types

from covirt.client.engine import EngineApi
from tools.demo.errors import NotRefused, WrongAnswer
from tools.demo.waiting import wait_for

_SECONDS: Final = 60.0
_PERCENT: Final = "cpu.current.total"
_USED: Final = "memory.used"


class Ovirt:
    """A logged-in client. ``leases``: dnsmasq's file of addresses, for guests without an agent."""

    def __init__(self, connection: ovirtsdk4.Connection, own: EngineApi, leases: Path) -> None:
        self._own = own
        self._leases = leases
        system = connection.system_service()
        self._system = system
        self._vms = system.vms_service()

    def import_image(self, reference: str, storage: str) -> dict[str, Any]:
        """What the engine tells of it. Raises EngineRefused."""
        body = {
            "reference": reference,
            "storage_domain": {"name": storage},
            "tls_verify": False,
            "wait_seconds": 120,
        }
        return self._own.post("/covirt/containerimages", body)

    def remove_images(self) -> None:
        for image in self._own.get("/covirt/containerimages")["container_image"]:
            self._own.delete(f"/covirt/containerimages/{image['id']}")

    def add(self, vm: types.Vm) -> str:
        """With an interface in the first network; its id."""
        added = self._vms.add(vm)
        profile = self._system.vnic_profiles_service().list()[0]
        nics = self._vms.vm_service(added.id).nics_service()
        nics.add(types.Nic(name="nic1", vnic_profile=types.VnicProfile(id=profile.id)))
        return str(added.id)

    def start(self, vm_id: str) -> None:
        self._vms.vm_service(vm_id).start()

    def start_when_possible(self, vm_id: str) -> None:
        """As soon as its host is able to: after a loss of virtocid covirt-host takes a moment. Raises TooLate."""

        def started() -> bool:
            try:
                self.start(vm_id)
            except ovirtsdk4.Error:
                return False
            return True

        wait_for(started, seconds=_SECONDS, what="a start", every_seconds=0.5)

    def wait_up(self, vm_id: str) -> None:
        """Raises TooLate."""
        wait_for(lambda: self.status(vm_id) in ("up", "powering_up"), seconds=_SECONDS, what=f"{vm_id} up")

    def status(self, vm_id: str) -> str:
        return str(self._vms.vm_service(vm_id).get().status.value)

    def get(self, vm_id: str) -> types.Vm:
        return self._vms.vm_service(vm_id).get()

    def host_of(self, vm_id: str) -> str:
        host = self.get(vm_id).host
        return str(self._system.hosts_service().host_service(host.id).get().name) if host else "-"

    def address(self, vm_id: str) -> str:
        """As the engine knows it from the host; of a guest without an agent the lease tells."""
        service = self._vms.vm_service(vm_id)
        for device in service.reported_devices_service().list():
            for ip in device.ips or []:
                if ip.version is types.IpVersion.V4:
                    return str(ip.address)
        (nic,) = service.nics_service().list()
        return self._leased().get(nic.mac.address.lower(), "")

    def _leased(self) -> dict[str, str]:
        lines = self._leases.read_text().splitlines() if self._leases.exists() else []
        return {words[1]: words[2] for words in map(str.split, lines) if len(words) > 2}

    def wait_address(self, vm_id: str) -> str:
        """Raises TooLate."""
        wait_for(lambda: bool(self.address(vm_id)), seconds=_SECONDS, what="an address")
        return self.address(vm_id)

    def figures(self, vm_id: str) -> tuple[float, int]:
        """CPU in percent and memory in bytes, as soon as the host has sampled it. Raises TooLate."""
        found: dict[str, Any] = {}

        def sampled() -> bool:
            listed = self._vms.vm_service(vm_id).statistics_service().list()
            found.update({each.name: each.values[0].datum if each.values else None for each in listed})
            return bool(found.get(_USED))

        wait_for(sampled, seconds=_SECONDS, what="figures")
        return float(found.get(_PERCENT) or 0), int(found[_USED])

    def refusal_to_migrate(self, vm_id: str) -> str:
        """Raises NotRefused."""
        try:
            self._vms.vm_service(vm_id).migrate()
        except ovirtsdk4.Error as error:
            return str(error.fault.detail if error.fault else error).strip("[]")
        raise NotRefused(what="migrating a container")

    def wait_down(self, vm_id: str) -> str:
        """Why it stopped, in the engine's words. Raises TooLate."""
        wait_for(lambda: self.status(vm_id) == "down", seconds=_SECONDS, what="the end")
        return str(self.get(vm_id).stop_reason or "")

    def shut_down(self, vm_id: str) -> None:
        """Ask it to end, wait, and forget it."""
        self._vms.vm_service(vm_id).shutdown()
        self.wait_down(vm_id)
        self.remove(vm_id)

    def remove(self, vm_id: str) -> None:
        self._vms.vm_service(vm_id).remove()


@contextmanager
def logged_in(status: Mapping[str, Any], leases: Path) -> Iterator[Ovirt]:
    """With nothing but what ``covirt status --output json`` tells. Raises WrongAnswer."""
    if not status["ready"]:
        raise WrongAnswer(who="covirt status", answer=json.dumps(status["daemons"]))
    password = Path(status["password_file"]).read_text().strip()
    ca_file = Path(status["ca_file"])
    connection = ovirtsdk4.Connection(
        url=status["url"], username=status["user"], password=password, ca_file=str(ca_file)
    )
    with contextlib.closing(connection):
        own = EngineApi(status["url"].removesuffix("/ovirt-engine/api"), ca_file).log_in(status["user"], password)
        yield Ovirt(connection, own, leases)
