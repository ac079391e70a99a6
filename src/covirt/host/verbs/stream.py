# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs that open streams of a Vm, answered: each gives a ticket, and the stream is opened when it is shown."""

from collections.abc import Mapping

from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.virt.kinds import require_allowed
from covirt.host.virt.streams import OpenConsoles, StreamKind, VmStream
from covirt.host.virt.vms import Vms
from covirt.hostapi.json import JsonValue
from covirt.hostapi.stream import OpenConsoleParams
from covirt.hostapi.vm import VmParams
from covirt.rpc.streams import TicketStreams


class StreamVerbs:
    def __init__(self, vms: Vms, streams: TicketStreams) -> None:
        self._vms = vms
        self._streams = streams
        self._consoles = OpenConsoles()

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "VM.openConsole": self.console,
            "VM.openDisplay": self.display,
            "VM.openExec": self.execute,
            "VM.openLog": self.log,
        }

    def console(self, params: OpenConsoleParams, context: CallContext) -> JsonValue:
        kind = StreamKind.CONSOLE_FORCE if params.force else StreamKind.CONSOLE
        return self._ticket("VM.openConsole", params.vm_id, kind, context)

    def display(self, params: VmParams, context: CallContext) -> JsonValue:
        return self._ticket("VM.openDisplay", params.vm_id, StreamKind.DISPLAY, context)

    def execute(self, params: VmParams, context: CallContext) -> JsonValue:
        return self._ticket("VM.openExec", params.vm_id, StreamKind.EXEC, context)

    def log(self, params: VmParams, context: CallContext) -> JsonValue:
        return self._ticket("VM.openLog", params.vm_id, StreamKind.LOG, context)

    def _ticket(self, verb: str, vm_id: str, kind: StreamKind, context: CallContext) -> JsonValue:
        vm = self._vms.get(vm_id)
        require_allowed(verb, vm.kind, name=vm.name)
        connection = self._vms.connections[vm.kind]
        # Refused now rather than when the ticket is shown. The log of one that is down can be read, too.
        connection.get() if kind is StreamKind.LOG else vm.running_domain()
        source = VmStream(uri=connection.uri, vm_id=vm.vm_id, kind=kind, consoles=self._consoles)
        ticket = self._streams.issue(source, what=f"{kind.value} of {vm.vm_id} flow_id={context.flow_id}")
        return {"ticket": ticket, "validSeconds": int(self._streams.settings.valid_seconds)}
