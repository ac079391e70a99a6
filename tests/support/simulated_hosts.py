# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts without anything below them: the real wire, and answers shaped as a host's, for engines to be tested with.

tests/system/engine/test_hosts.py compares what they answer with a real covirt-host.
"""

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from covirt.engine.hosts.connections import EVENTS
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Answer, Json, Request
from covirt.rpc.server import RpcServer
from covirt.rpc.settings import ServerSettings
from tests.support.host_answers import Words, capabilities, hardware_info, statistics, vm_stats

_QUIET: Final = ServerSettings(workers=2, priority_workers=1, stop_seconds=1.0, flush_seconds=0.2)


class SimulatedHost:
    """``vms`` are the statistics of its guests, by their ids; a test changes everything at will."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", port: int = 0) -> None:
        self.vms: dict[str, Words] = {}
        self.capabilities = capabilities()
        self.refusals: dict[str, tuple[int, str]] = {}  # verb -> code and text
        self.calls: list[tuple[str, Any]] = []
        self.flows: list[str] = []
        self.held = threading.Event()  # while it is not set, nothing is answered
        self.held.set()
        self._tls = tls
        self._address = address
        self._port = port
        self._server: RpcServer | None = None

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        """After the first time on the same port."""
        self._server = RpcServer(self, tls=self._tls, listen=self._address, port=self._port, settings=_QUIET)
        self._server.start()
        self._port = self._server.port

    def stop(self) -> None:
        """As a host that is switched off, without a word about its guests."""
        self.held.set()
        if self._server is not None:
            server, self._server = self._server, None
            server.stop()

    def tell(self, vm_id: str, **words: Json) -> None:
        """The guest changes, and an event says so."""
        self.vms[vm_id] = {**self.vms.get(vm_id, vm_stats(vm_id)), **words}
        self.event(f"|virt|VM_status|{vm_id}", {vm_id: dict(words)})

    def event(self, topic: str, params: Mapping[str, Json]) -> None:
        assert self._server is not None
        self._server.publish(EVENTS, topic, params)

    def asked(self, verb: str) -> list[Any]:
        return [params for name, params in list(self.calls) if name == verb]

    # What answers calls, for RpcServer.

    def is_inline(self, method: str) -> bool:
        del method
        return False

    def is_quick(self, method: str) -> bool:
        return method == "VM.destroy"

    def answer(self, request: Request, *, client: str, flow_id: str) -> Answer:
        del client
        self.held.wait(60)
        self.calls.append((request.method, request.params))
        self.flows.append(flow_id)
        if request.method in self.refusals:
            code, text = self.refusals[request.method]
            return Answer(id=request.id, code=code, message=text)
        params = request.params if isinstance(request.params, dict) else {}
        match request.method:
            case "Host.getCapabilities":
                return Answer(id=request.id, result=self.capabilities)
            case "Host.getHardwareInfo":
                return Answer(id=request.id, result=hardware_info())
            case "Host.getStats":
                return Answer(id=request.id, result=statistics(vmCount=len(self.vms), vmActive=len(self.vms)))
            case "Host.getAllVmStats":
                return Answer(id=request.id, result=list(self.vms.values()))
            case "VM.getStats" | "VM.destroy":
                return self._of_vm(request, str(params.get("vmID", "")))
        return Answer(id=request.id, code=Code.NO_SUCH_METHOD, message=f"no method {request.method}")

    def _of_vm(self, request: Request, vm_id: str) -> Answer:
        if vm_id not in self.vms:
            text = f"Virtual machine does not exist: {{'vmId': '{vm_id}'}}"
            return Answer(id=request.id, code=Code.NO_SUCH_VM, message=text)
        if request.method == "VM.destroy":
            del self.vms[vm_id]
            return Answer(id=request.id, result=True)
        return Answer(id=request.id, result=[self.vms[vm_id]])


@contextmanager
def serve_simulated_host(*, tls: ssl.SSLContext | None = None) -> Iterator[SimulatedHost]:
    host = SimulatedHost(tls=tls)
    host.start()
    try:
        yield host
    finally:
        host.stop()
