# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The networks of a host: which lie on which of its interfaces, changed as one and confirmed by the engine."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from covirt.common.errors import Unavailable
from covirt.engine.auth.permits import Right
from covirt.engine.commands.audit import About, AuditMessage
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.hosts.errors import HostRefused, HostUncertain, HostUnreachable
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.event import Severity
from covirt.rpc.jsonrpc import Json

log = logging.getLogger(__name__)

_CONFIRM_EVERY_SECONDS: Final = 1.0
# Beside the time that the host waits to be confirmed: bonds and leases of addresses take their time.
_SET_UP_SECONDS: Final = 120.0
_SET_UP: Final = AuditMessage(code=10903, text="(1/1): Successfully applied changes on host {host}. (User: {user})")
_FAILED: Final = AuditMessage(
    code=10904,
    text="(1/1): Failed to apply changes on host {host}. (User: {user})",
    severity=Severity.ERROR,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOnHost:
    """As Host.setupNetworks has it; with ``remove`` nothing else counts. Without ``nic`` and ``bond`` it is a bridge
    for guests of this host alone."""

    name: str
    remove: bool = False
    nic: str = ""
    bond: str = ""
    vlan_id: int | None = None
    bridged: bool = True
    mtu: int = 0
    stp: bool = False
    boot_protocol: str = "none"
    address: str = ""
    netmask: str = ""
    gateway: str = ""
    default_route: bool = False

    def as_verb(self) -> dict[str, Json]:
        if self.remove:
            return {"remove": True}
        told: dict[str, Json] = {"bridged": self.bridged, "defaultRoute": self.default_route}
        if self.bridged:
            told["stp"] = self.stp
        below = {"nic": self.nic, "bonding": self.bond, "vlan": self.vlan_id, "mtu": self.mtu}
        static = {"ipaddr": self.address, "netmask": self.netmask, "gateway": self.gateway}
        told |= {name: value for name, value in {**below, **static}.items() if value not in ("", None)}
        if not self.mtu:
            del told["mtu"]
        if self.boot_protocol == "dhcp":
            told["bootproto"] = "dhcp"
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class BondOnHost:
    """``options``: pairs as in "mode=4 miimon=100"."""

    name: str
    remove: bool = False
    nics: tuple[str, ...] = ()
    options: str = ""

    def as_verb(self) -> dict[str, Json]:
        if self.remove:
            return {"remove": True}
        told: dict[str, Json] = {"nics": list(self.nics)}
        return {**told, "options": self.options} if self.options else told


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpHostNetworks(Command):
    """All of it or nothing: the host takes it back when the engine does not reach it any more afterwards."""

    action: ClassVar = "HostSetupNetworks"

    host_id: str
    networks: tuple[NetworkOnHost, ...] = ()
    bonds: tuple[BondOnHost, ...] = ()
    check_connectivity: bool = True
    connectivity_seconds: int = 120
    commit: bool = False

    def begin(self, start: Start) -> None:
        start.require(Right.CONFIGURE_HOST_NETWORK, Subject(type=ObjectType.HOST, id=self.host_id))
        host = start.session.hosts.get(self.host_id)
        start.lock(self.host_id, f"the networks of host {host.name} are being set up")
        start.describe(f"Setting up networks on host {host.name}", {self.host_id})

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Setting up the networks", self._set_up)
        flow.step("Asking the host what it has now", self._refresh)
        return None

    def succeeded(self, finish: Finish) -> None:
        self._tell(finish, _SET_UP)

    def failed(self, finish: Finish, reason: str) -> None:
        del reason
        self._tell(finish, _FAILED)

    def _tell(self, finish: Finish, message: AuditMessage) -> None:
        host = finish.session.hosts.find(id=self.host_id)
        if host is not None:
            about = About(host_id=host.id, cluster_id=host.cluster_id)
            finish.tell(message, about, host=host.name)

    def _set_up(self, doing: Doing) -> JsonValue:
        present = doing.services.hosts.call(self.host_id, "Host.getCapabilities", flow_id=doing.asked.correlation_id)
        # a step may be run again: what is removed already is not there to be removed
        networks = {each.name: each.as_verb() for each in self.networks if _is_to_do(each, present, "networks")}
        bonds = {each.name: each.as_verb() for each in self.bonds if _is_to_do(each, present, "bondings")}
        options: dict[str, Json] = {
            "connectivityCheck": self.check_connectivity,
            "connectivityTimeout": self.connectivity_seconds,
            "commitOnSuccess": self.commit,
        }
        params: dict[str, Json] = {"networks": dict(networks), "bondings": dict(bonds), "options": options}
        with _Confirming(doing, self.host_id, wanted=self.check_connectivity):
            doing.services.hosts.call(
                self.host_id,
                "Host.setupNetworks",
                params,
                flow_id=doing.asked.correlation_id,
                timeout_seconds=_SET_UP_SECONDS + self.connectivity_seconds,
            )
        return None

    def _refresh(self, doing: Doing) -> JsonValue:
        try:
            doing.services.hosts.refresh(self.host_id)
        except Unavailable as error:
            log.warning("A host's new networks are seen later host=%s reason=%s", self.host_id, error)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitHostNetworks(Command):
    """What is there now is there after the host's next boot, too."""

    action: ClassVar = "CommitNetworkChanges"

    host_id: str

    def begin(self, start: Start) -> None:
        start.require(Right.CONFIGURE_HOST_NETWORK, Subject(type=ObjectType.HOST, id=self.host_id))
        host = start.session.hosts.get(self.host_id)
        start.lock(self.host_id, f"the networks of host {host.name} are being saved")
        start.describe(f"Saving the networks of host {host.name}", {self.host_id})

    def run(self, flow: Flow) -> JsonValue:
        flow.step("Saving the networks", self._save)
        return None

    def _save(self, doing: Doing) -> JsonValue:
        doing.services.hosts.call(self.host_id, "Host.setSafeNetworkConfig", flow_id=doing.asked.correlation_id)
        return None


class _Confirming:
    """Tells the host again and again that it is reached, as long as it changes its networks."""

    def __init__(self, doing: Doing, host_id: str, *, wanted: bool) -> None:
        self._hosts = doing.services.hosts
        self._host_id = host_id
        self._done = threading.Event()
        self._thread = (
            threading.Thread(target=self._run, name="network-confirmation", daemon=True) if wanted else None
        )

    def __enter__(self) -> None:
        if self._thread is not None:
            self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join(_SET_UP_SECONDS)

    def _run(self) -> None:
        while not self._done.wait(_CONFIRM_EVERY_SECONDS):
            try:
                self._hosts.call(self._host_id, "Host.confirmConnectivity", timeout_seconds=_CONFIRM_EVERY_SECONDS)
            except (HostRefused, HostUnreachable, HostUncertain):
                continue  # the host waits for the next one, or takes its change back


def _is_to_do(item: NetworkOnHost | BondOnHost, present: Json, kind: str) -> bool:
    if not item.remove:
        return True
    there = present.get(kind) if isinstance(present, Mapping) else None
    return not isinstance(there, Mapping) or item.name in there


HOST_NETWORK_COMMANDS: Final = (SetUpHostNetworks, CommitHostNetworks)
