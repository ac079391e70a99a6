# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The driver: the parts that together answer what clients ask of domains. It knows no wire and no client."""

import threading
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from covirt.oci import interface
from covirt.oci.runtime import RuntimeInfo
from covirt.virtocid.driver import health, node, restarts
from covirt.virtocid.driver.agent.service import Agent
from covirt.virtocid.driver.capabilities import HostFacts, capabilities_xml, domain_capabilities_xml
from covirt.virtocid.driver.channels import Channels
from covirt.virtocid.driver.console import Consoles
from covirt.virtocid.driver.definitions import Definitions
from covirt.virtocid.driver.devices import Devices
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.format import format_domain
from covirt.virtocid.driver.domain_xml.model import Disk
from covirt.virtocid.driver.executions import Executions
from covirt.virtocid.driver.filter_watch import FilterWatch
from covirt.virtocid.driver.image_pool import ImagePool
from covirt.virtocid.driver.kept_volumes import KeptVolumes
from covirt.virtocid.driver.lifecycle import Lifecycle
from covirt.virtocid.driver.log_rotation import LogRotation
from covirt.virtocid.driver.metadata_service import MetadataService, health_element, stop_cause_element
from covirt.virtocid.driver.recovery import Recovery
from covirt.virtocid.driver.registry import Domains
from covirt.virtocid.driver.secrets.secrets import Secrets
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.statistics import Statistics
from covirt.virtocid.driver.tuning import Tuning

_MACHINE_ID = Path("/etc/machine-id")


class Driver:
    """Composed of one part per subject; handlers talk to the parts."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.definitions = Definitions(services)
        self.executions = Executions(services)
        self.lifecycle = Lifecycle(services, self.executions)
        self.metadata = MetadataService(services, self.definitions)
        self.devices = Devices(services, self.definitions)
        self.agent = Agent(services, self.lifecycle, self.executions.start)
        self.lifecycle.endings.before_clean_up.append(self.agent.forget)
        self.stats = Statistics(services.reader)
        self.tuning = Tuning(services, self.definitions)
        self.consoles = Consoles()
        self.channels = Channels(services, self.executions)
        self.image_pool = ImagePool(
            services.images, services.root.images_dir, installation=f"{_host_uuid()}:{services.root.id}"
        )
        self.recovery = Recovery(services, self.lifecycle)
        self._rotation = LogRotation(services)
        self._filter_watch = FilterWatch(services.network)

    @property
    def domains(self) -> Domains:
        return self._services.domains

    @property
    def secrets(self) -> Secrets:
        return self._services.secrets

    def start(self) -> None:
        """Recover what an earlier daemon left; after this clients may come."""
        services = self._services
        services.limit_slice()
        services.namespaces.warm_up()
        services.addressing.start()
        services.secrets.load()
        self.recovery.run()
        # Only now: an import takes the interpreter's lock from the recovery, for which clients wait.
        threading.Thread(target=interface.warm_up, name="virtocid-warm-up", daemon=True).start()
        self.lifecycle.restarts.open()
        self._rotation.start()
        self._filter_watch.start()

    def close(self) -> None:
        """Stop watching. Containers go on."""
        self._services.timer.stop()
        self.lifecycle.health.begin_close()
        self.agent.close()
        self.executions.close()
        self.channels.close()
        self._rotation.stop()
        self._filter_watch.stop()
        self.lifecycle.health.close()
        self.lifecycle.restarts.close()
        self._services.addressing.close()
        self._services.watcher.stop()
        self.lifecycle.close()
        self.image_pool.close()
        self._services.namespaces.close()

    def create(self, xml: str, *, paused: bool) -> Domain:
        return self.definitions.create(
            xml, lambda domain, config: self.lifecycle.start_within_job(domain, paused=paused, config=config)
        )

    def describe(self, domain: Domain, *, inactive: bool, secure: bool) -> str:
        """The domain's XML, with why it last stopped and how it does among its metadata."""
        run = None if inactive else domain.run
        config = run.config if run else domain.next_config
        if run is None and domain.run is None:
            config = replace(config, disks=(*config.disks, *self._services.kept_volumes.disks(domain.uuid)))
        told = [stop_cause_element(domain, secure=secure)]
        if run:
            told.append(health_element(domain, secure=secure))
        config = replace(config, metadata=(*config.metadata, *(element for element in told if element is not None)))
        return format_domain(config, live=run.live if run else None, secure=secure)

    @property
    def kept_volumes(self) -> KeptVolumes:
        return self._services.kept_volumes

    def disk_path(self, disk: Disk) -> Path:
        """The file behind a disk; an image may be named as in the image store. Raises what ImageStore raises."""
        if disk.device == "cdrom":
            return self._services.images.find(disk.source or "").path
        return Path(disk.source or "")

    def messages(self, domain: Domain) -> tuple[str, ...]:
        """What virsh dominfo shows below the facts."""
        settings = domain.config.settings
        words = [
            ("a placeholder: it names no container image, and cannot start", domain.next_config.is_placeholder),
            ("tainted: host ids chosen by <idmap>", domain.config.idmap is not None),
            ("tainted: no system call filter", settings.seccomp == "unconfined"),
            ("tainted: new privileges allowed", not settings.no_new_privileges),
            (f"tainted: more capabilities: {' '.join(settings.capabilities_add)}", bool(settings.capabilities_add)),
        ]
        volumes = self._services.kept_volumes.of(domain.uuid)
        more = [restarts.message(domain), health.message(domain)]
        more += [f"volume {each.target} is kept in {each.directory}" for each in volumes]
        return (*(text for text, true in words if true), *(text for text in more if text))

    def capabilities_xml(self) -> str:
        shape = node.topology()
        facts = HostFacts(
            uuid=_host_uuid(),
            architecture=shape.model,
            memory_kib=shape.memory_kib,
            sockets=shape.sockets,
            cores=shape.cores,
            threads=shape.threads,
            cpus=node.online_cpus(),
        )
        return capabilities_xml(facts, self._runtimes(), default_runtime=self._default_runtime)

    def domain_capabilities_xml(self, architecture: str | None, max_vcpus: int) -> str:
        return domain_capabilities_xml(
            architecture=architecture or node.topology().model,
            max_vcpus=max_vcpus,
            runtimes=self._runtimes(),
            default_runtime=self._default_runtime,
        )

    def _runtimes(self) -> tuple[RuntimeInfo, ...]:
        return tuple(self._services.runtimes.infos.values())

    @property
    def _default_runtime(self) -> str:
        return self._services.config.container.default_runtime


def _host_uuid() -> UUID | None:
    try:
        return UUID(_MACHINE_ID.read_text().strip())
    except (OSError, ValueError):
        return None
