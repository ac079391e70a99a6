# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A host is put to rest: nothing runs on it, it gives its storage back, and nobody asks it for anything."""

from dataclasses import dataclass
from typing import ClassVar, Final

from covirt.common.errors import Unavailable
from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.hosts import errors, messages
from covirt.engine.commands.hosts.host import about, held, set_status
from covirt.engine.commands.transfers.facts import GOING
from covirt.engine.hosts.guests import guests_of, names
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.host import Host, HostStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session

_ALLOWED: Final = frozenset(
    (
        HostStatus.CONNECTING,
        HostStatus.INSTALLING,
        HostStatus.INSTALL_FAILED,
        HostStatus.NON_OPERATIONAL,
        HostStatus.NON_RESPONSIVE,
        HostStatus.UNASSIGNED,
        HostStatus.UP,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceVds(Command):
    """Refused while guests run there: none of them can be migrated."""

    action: ClassVar = "MaintenanceVds"

    host_id: str
    reason: str = ""

    def begin(self, start: Start) -> None:
        start.require(Right.MANIPULATE_HOST, Subject(type=ObjectType.HOST, id=self.host_id))
        host = held(start, self.host_id)
        if host.facts.status not in _ALLOWED:
            allowed = ", ".join(sorted(_ALLOWED))
            raise errors.WrongHostStatus(
                action="deactivate", host=host.name, status=host.facts.status, allowed=allowed
            )
        _require_idle(start.session, host)
        start.lock(self.host_id, f"Host {host.name} is being switched to Maintenance mode")
        start.describe(f"Moving Host {host.name} to Maintenance", {self.host_id})
        set_status(start, host, HostStatus.PREPARING_FOR_MAINTENANCE)

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Releasing its storage", self._release)
        flow.step("Looking for guests", self._look)
        return None

    def succeeded(self, finish: Finish) -> None:
        host = held(finish, self.host_id)
        set_status(finish, host, HostStatus.MAINTENANCE)
        message = messages.MAINTENANCE_WITH_REASON if self.reason else messages.MAINTENANCE
        finish.tell(message, about(host), host=host.name, reason=self.reason)

    def failed(self, finish: Finish, reason: str) -> None:
        """As if it had been activated: what it can do is found out anew."""
        host = held(finish, self.host_id)
        set_status(finish, host, HostStatus.UNASSIGNED)
        finish.tell(messages.MAINTENANCE_FAILED, about(host), host=host.name, reason=reason)

    def _release(self, doing: Doing) -> JsonValue:
        """One that does not respond has nothing to be asked for."""
        try:
            doing.services.hosts.release(self.host_id)
        except Unavailable:
            if doing.services.hosts.is_connected(self.host_id):
                raise
        return None

    def _look(self, doing: Doing) -> JsonValue:
        with doing.services.store.read() as session:
            _require_idle(session, session.hosts.get(self.host_id))
        return None


def _require_idle(session: Session, host: Host) -> None:
    found = guests_of(session, host.id)
    if found and host.facts.status is HostStatus.NON_RESPONSIVE:
        raise errors.SilentHostRunsVms(host=host.name, vms=names(found))
    if found:
        raise errors.HostRunsVms(action="deactivate", host=host.name, vms=names(found))
    moving = session.image_transfers.list(ListQuery(where={"host_id": (host.id,), "phase": GOING}))
    if moving:
        disks = session.disks.by_ids({each.disk_id for each in moving}).values()
        raise errors.HostTransfersDisks(host=host.name, disks=", ".join(sorted(disk.name for disk in disks)))
    if host.facts.status is HostStatus.NON_RESPONSIVE and session.data_centers.keys_where(spm_host_id=host.id):
        raise errors.SilentHostIsSpm(host=host.name)
