# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One run of a domain, from its preparation to the end of its clean-up: frozen facts, and the places it has."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID

from covirt.common.process_identity import ProcessIdentity
from covirt.oci.bundle import namespaces_directory
from covirt.oci.monitor import MonitorPaths
from covirt.virtocid.driver.domain_xml.format import storable_text
from covirt.virtocid.driver.domain_xml.model import DomainConfig, LiveState
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.domain_xml.run_names import with_run_names
from covirt.virtocid.driver.health_plan import HealthPlan
from covirt.virtocid.driver.id_pool import RANGE_SIZE
from covirt.virtocid.driver.store import DeviceChange, HotMount, RunPhase, RunRecord, UserRequest
from covirt.wire.constants import DomainState, PausedReason, RunningReason, ShutdownReason

BUNDLE: Final = "bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """``config`` is what runs: complete, with the MACs and host-side names that were chosen.

    ``phase`` is on disk before the step that it names, so a killed daemon knows what to undo or to finish.
    """

    uuid: UUID
    boot_id: str
    domain_id: int
    run_number: int
    runtime: str
    config: DomainConfig
    xml: str  # of ``config``, formatted once for the record
    first_id: int
    persistent: bool
    bridges: tuple[str, ...]
    directory: Path
    log: Path
    cgroup_path: str
    image_path: str
    started_at: float  # seconds since the epoch
    phase: RunPhase = RunPhase.PREPARING
    container: ProcessIdentity | None = None
    monitor: ProcessIdentity | None = None
    request: UserRequest | None = None
    request_sent: bool = False
    stop_signal: str | None = None  # the XML's or the image's, which may be out of reach when it is needed
    paused: bool = False
    resumed: bool = False
    rebooting: bool = False
    device_change: DeviceChange | None = None
    hot_mounts: tuple[HotMount, ...] = ()
    health: HealthPlan | None = None
    limits_changing: bool = False  # the cgroup may have limits that ``config`` does not say: put these back

    @property
    def container_id(self) -> str:
        return f"{self.uuid}-{self.run_number}"

    @property
    def bundle(self) -> Path:
        return self.directory / BUNDLE

    @property
    def root_run_dir(self) -> Path:
        """Of the root, in which all runs have their directories."""
        return self.directory.parents[2]

    @property
    def network_namespace(self) -> Path:
        return namespaces_directory(self.bundle) / "network"

    @property
    def interface_names(self) -> tuple[str, ...]:
        return tuple(interface.target or "" for interface in self.config.interfaces)

    @property
    def monitor_paths(self) -> MonitorPaths:
        return MonitorPaths(directory=self.directory / "monitor", bundle=self.bundle, log=self.log)

    @property
    def executions(self) -> Path:
        """Where processes that are started inside are written down."""
        return self.directory / "exec"

    @property
    def state(self) -> tuple[int, int]:
        """libvirt's state and reason."""
        if self.phase is RunPhase.STOPPING:
            return DomainState.SHUTDOWN, ShutdownReason.UNKNOWN
        if self.paused:
            return DomainState.PAUSED, PausedReason.USER
        return DomainState.RUNNING, RunningReason.UNPAUSED if self.resumed else RunningReason.BOOTED

    @property
    def live(self) -> LiveState:
        """What its XML shows beside the configuration."""
        return LiveState(
            domain_id=self.domain_id,
            interface_names=self.interface_names,
            interface_bridges=self.bridges,
            console_path=str(self.monitor_paths.attach_socket) if self.config.consoles else None,
            runtime=self.runtime,
            agent_connected=self.phase is RunPhase.RUNNING,
        )

    @property
    def user_namespace(self) -> Path:
        return namespaces_directory(self.bundle) / "user"

    def with_config(self, config: DomainConfig) -> "Run":
        """Raises XmlTooLarge."""
        return replace(self, config=config, xml=storable_text(config))

    @property
    def record(self) -> RunRecord:
        """What is written to disk."""
        return RunRecord(
            uuid=self.uuid,
            boot_id=self.boot_id,
            domain_id=self.domain_id,
            run_number=self.run_number,
            runtime=self.runtime,
            phase=self.phase,
            xml=self.xml,
            id_range=(self.first_id, RANGE_SIZE),
            process=self.container,
            monitor=self.monitor,
            interface_names=self.interface_names,
            interface_bridges=self.bridges,
            log=str(self.log),
            cgroup=self.cgroup_path,
            image=self.image_path,
            started_at=self.started_at,
            user_request=self.request,
            request_sent=self.request_sent,
            stop_signal=self.stop_signal,
            paused=self.paused,
            resumed=self.resumed,
            rebooting=self.rebooting,
            limits_changing=self.limits_changing,
            persistent=self.persistent,
            device_change=self.device_change,
            hot_mounts=self.hot_mounts,
            health=None if self.health is None else self.health.as_json(),
        )


def run_of(record: RunRecord, directory: Path) -> Run:
    """The run that a record tells of. An edited one raises XmlError, InvalidXml, BadHealthRecord."""
    return Run(
        uuid=record.uuid,
        boot_id=record.boot_id,
        domain_id=record.domain_id,
        run_number=record.run_number,
        runtime=record.runtime,
        config=with_run_names(parse_domain(record.xml, live=True, image_required=False)),
        xml=record.xml,
        first_id=record.id_range[0] if record.id_range else 0,
        persistent=record.persistent,
        bridges=tuple(bridge or "" for bridge in record.interface_bridges),
        directory=directory,
        log=Path(record.log or directory / "console.log"),
        cgroup_path=record.cgroup or "",
        image_path=record.image or "",
        started_at=record.started_at or 0.0,
        phase=record.phase,
        container=record.process,
        monitor=record.monitor,
        request=record.user_request,
        request_sent=record.request_sent,
        stop_signal=record.stop_signal,
        paused=record.paused,
        resumed=record.resumed,
        rebooting=record.rebooting,
        device_change=record.device_change,
        hot_mounts=record.hot_mounts,
        health=None if record.health is None else HealthPlan.from_json(record.health),
        limits_changing=record.limits_changing,
    )
