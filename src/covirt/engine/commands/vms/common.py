# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What changes of machines have in common."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from covirt.engine.commands.audit import About
from covirt.engine.commands.command import Doing
from covirt.engine.commands.vms.errors import VmInStatus, VmIsNotRunning, VmIsRunning
from covirt.engine.hosts.errors import HostRefused
from covirt.engine.hosts.words import entries, table
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.vm import Vm, VmFacts, VmStatus
from covirt.engine.store.session import Session
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

# Nothing of the machine is on any host, and nothing of it goes on later.
_AT_REST: Final = frozenset({VmStatus.DOWN, VmStatus.UNASSIGNED})


def subject_of(vm_id: str) -> Subject:
    return Subject(type=ObjectType.VM, id=vm_id)


def about(vm: Vm, *, host_id: str | None = None) -> About:
    return About(vm_id=vm.id, cluster_id=vm.cluster_id, host_id=host_id or vm.facts.host_id)


def is_running(vm: Vm) -> bool:
    """Also of one that is about to, or of which nobody knows, and of a suspended one, which goes on as it was."""
    return vm.facts.status not in _AT_REST or vm.facts.host_id is not None


def require_down(vm: Vm, action: str) -> None:
    """Raises VmIsRunning, VmInStatus."""
    if vm.image_locked:
        raise VmInStatus(action=action, status=VmStatus.IMAGE_LOCKED)
    if is_running(vm):
        if vm.facts.status in (VmStatus.UNKNOWN, VmStatus.NOT_RESPONDING, VmStatus.SUSPENDED):
            raise VmInStatus(action=action, status=vm.facts.status)
        raise VmIsRunning(action=action)


def require_running(vm: Vm, action: str) -> str:
    """The host that it runs on. Raises VmIsNotRunning."""
    if vm.facts.host_id is None or not is_running(vm):
        raise VmIsNotRunning(action=action)
    return vm.facts.host_id


def host_name(session: Session, host_id: str | None) -> str:
    host = session.hosts.find(id=host_id) if host_id else None
    return host.name if host else "unknown"


def domain_xml_on(doing: Doing, host_id: str, vm_id: str) -> str:
    """As the machine is on its host at this moment; empty where the host has none. Raises what Hosts.call raises."""
    flow_id = doing.asked.correlation_id
    answer = doing.services.hosts.call(host_id, "Host.dumpxmls", {"vmList": [vm_id]}, flow_id=flow_id)
    xml = answer.get(vm_id) if isinstance(answer, Mapping) else None
    return xml if isinstance(xml, str) else ""


def stats_on(doing: Doing, host_id: str, vm_id: str) -> Mapping[str, Json] | None:
    """What the host says of it; None when it does not know it. Raises what Hosts.call raises."""
    try:
        answer = doing.services.hosts.call(host_id, "VM.getStats", {"vmID": vm_id})
    except HostRefused as error:
        if error.code != Code.NO_SUCH_VM:
            raise
        return None
    return table({"stats": next(iter(entries({"list": answer}, "list")), {})}, "stats")


def held(session: Session, vm_id: str) -> Vm:
    """The machine, whose facts nobody else writes until the transaction ends. Raises NoSuchObject."""
    session.vms.hold_facts([vm_id])
    return session.vms.get(vm_id)


def write_down(
    session: Session, vm: Vm, *, reason: str = "", message: str = "", log_host_id: str | None = None
) -> None:
    """It runs nowhere."""
    facts = VmFacts(
        status=VmStatus.DOWN,
        stop_time=datetime.now(UTC),
        stop_reason=reason,
        exit_code=0,
        exit_message=message,
        log_host_id=log_host_id,
    )
    session.vms.update_facts(vm.id, facts)
