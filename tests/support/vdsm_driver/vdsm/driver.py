# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Vdsm's calls in Vdsm's order, on command: a JSON line in, a JSON line out, until stdin ends.

Errors of libvirt come back as ``{"error": CODE, "message": ...}``; what a hook refuses as ``{"refused": ...}``.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import libvirt
from vdsm.common import libvirtconnection

ELEMENT: Final = libvirt.VIR_DOMAIN_METADATA_ELEMENT
VM_NAMESPACE: Final = "http://ovirt.org/vm/1.0"
# What it asks for every 15 seconds.
MASK: Final = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
FLAGS: Final = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
DOWN: Final = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED)


class HookRefused(Exception):
    """A hook ended with 2."""


class Vdsm:
    """``heard`` is the one method that Vdsm registers for every event."""

    def __init__(self) -> None:
        self.events: list[list[Any]] = []
        self.domains: dict[str, Any] = {}

    def heard(self, _connection: Any, domain: Any, *rest: Any) -> None:
        plain = [each for each in rest[:-1] if isinstance(each, int | str)]
        self.events.append([rest[-1], domain.UUIDString(), *plain])

    @property
    def connection(self) -> Any:
        return libvirtconnection.get(self)

    def create(self, uuid: str, name: str, xml: str, custom: dict[str, str]) -> dict[str, Any]:
        self._remove_stale(uuid, name)
        placeholder = (
            f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory>"
            "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"
        )
        held = self.connection.defineXML(placeholder)
        self.domains[uuid] = held
        domain = self.connection.defineXML(run_hook("before_vm_start", xml, custom))
        self.domains[uuid] = domain
        domain.setMetadata(ELEMENT, "<vm><startTime>1</startTime></vm>", "ovirt-vm", VM_NAMESPACE, 0)
        domain.createWithFlags(0)
        self.connection.getMemoryStats(0, 0)
        domain.schedulerParameters()
        return {"state": domain.state(0), "xml": domain.XMLDesc(0)}

    def _remove_stale(self, uuid: str, name: str) -> None:
        for method, key in (("lookupByUUIDString", uuid), ("lookupByName", name)):
            try:
                found = getattr(self.connection, method)(key)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
                continue
            assert found.state(0)[0] in DOWN, f"{name} runs already"
            found.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)

    def call(self, uuid: str, method: str, arguments: list[Any]) -> Any:
        """On the object it got at the start, as Vdsm holds it."""
        return getattr(self.domains[uuid], method)(*arguments)

    def destroy(self, uuid: str) -> None:
        """Also what has ended by itself."""
        domain = self.domains[uuid]
        try:
            domain.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
                raise
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)

    def migrate(self, uuid: str) -> Any:
        domain = self.domains[uuid]
        run_hook("before_vm_migrate_source", domain.XMLDesc(), {})
        return domain.migrateToURI3("qemu+tls://other/system", {}, libvirt.VIR_MIGRATE_LIVE)

    def recover(self) -> dict[str, Any]:
        """What a new Vdsm finds: name and state by UUID, of those with its metadata."""
        found = {}
        for domain in self.connection.listAllDomains():
            if VM_NAMESPACE in domain.XMLDesc():
                self.domains[domain.UUIDString()] = domain
                found[domain.UUIDString()] = [domain.name(), domain.state(0)[0]]
        return found

    def sample(self) -> dict[str, Any]:
        """One bulk question; and how long it took."""
        begin = time.monotonic()
        pairs = self.connection.getAllDomainStats(stats=MASK, flags=FLAGS)
        return {"seconds": time.monotonic() - begin, "stats": {domain.UUIDString(): each for domain, each in pairs}}

    def sample_of(self, uuids: list[str]) -> dict[str, Any]:
        doms = [self.domains[uuid] for uuid in uuids]
        pairs = self.connection.domainListGetStats(doms, stats=MASK, flags=FLAGS)
        return {domain.UUIDString(): each for domain, each in pairs}

    def lookup(self, uuid: str) -> str:
        name: str = self.connection.lookupByUUIDString(uuid).name()
        return name

    def capabilities(self) -> dict[str, Any]:
        given = json.dumps({"kvmEnabled": "true", "additionalFeatures": ["libgfapi_supported"]})
        answer: dict[str, Any] = json.loads(run_hook("after_get_caps", given, {}, variable="_hook_json"))
        return answer

    def reachable(self) -> bool:
        """Whether the add-on has its connection to virtocid; it takes a moment after a start."""
        try:
            self.connection._link.check()  # the add-on's own
        except libvirt.libvirtError:
            return False
        return True

    def kind(self) -> str:
        return type(self.connection).__name__

    def heard_so_far(self) -> list[list[Any]]:
        return self.events


def run_hook(point: str, data: str, custom: dict[str, str], *, variable: str = "_hook_domxml") -> str:
    """A file with the data, its name and the custom properties in the environment, as Vdsm runs its hooks."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "data")
        path.write_text(data)
        program = Path(os.environ["VDSM_DRIVER_HOOKS"], point)
        environment = {**os.environ, **custom, variable: str(path)}
        completed = subprocess.run([program], env=environment, capture_output=True, timeout=60, check=False)
        if completed.returncode:
            raise HookRefused(completed.stderr.decode())
        return path.read_text()


def main() -> None:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirtconnection.start_event_loop()
    vdsm = Vdsm()
    for line in sys.stdin:
        method, arguments = json.loads(line)
        try:
            answer: dict[str, Any] = {"result": getattr(vdsm, method)(*arguments)}
        except libvirt.libvirtError as error:
            answer = {"error": error.get_error_code(), "message": str(error)}
        except HookRefused as error:
            answer = {"refused": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
