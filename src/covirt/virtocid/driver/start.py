# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Starting a container: what is made, in which order, and how it is all taken back when a step fails.

    record "preparing"                        so that a killed daemon cleans up
    user and network namespace, cgroup, mounts, config.json
    conmon with the runtime's create; while these work, spoof filter and interfaces
    record "created"
    runtime start (or stay created, which is what "paused at start" means)
    record "running"

What the runtime waits for comes first and alone, since threads of ours would only wait for each other.
"""

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID

from covirt.common.errors import Conflict, Error
from covirt.common.files import make_directory, remove_tree
from covirt.common.undo import UndoStack, undo_on_failure
from covirt.common.units import KIB
from covirt.oci.bundle import (
    BundleRequest,
    RootLayer,
    namespaces_directory,
    write_config,
)
from covirt.oci.cgroup_limits import CgroupLimits
from covirt.oci.idmap import IdMap
from covirt.oci.image.model import ContainerImage
from covirt.oci.monitor import MonitoredContainer
from covirt.oci.namespaces import Namespaces
from covirt.oci.resources import Resources, unweighed
from covirt.oci.runtime import Runtime
from covirt.oci.spec import Mount, build_spec
from covirt.oci.supervisor import RunCgroup
from covirt.oci.users import resolve_user
from covirt.virtocid.driver.disk_limits import with_disk_limits
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml import model
from covirt.virtocid.driver.domain_xml.format import format_domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.domain_xml.run_names import with_run_names
from covirt.virtocid.driver.health_plan import plan_of
from covirt.virtocid.driver.mounts import discarded_mounts, root_disk
from covirt.virtocid.driver.plan import Places, Plan, id_map
from covirt.virtocid.driver.resources import require_here
from covirt.virtocid.driver.run import BUNDLE, Run, run_of
from covirt.virtocid.driver.secrets.giving import SecretValues, values_of
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.slice_limits import within_slice
from covirt.virtocid.driver.store import RunPhase

log = logging.getLogger(__name__)

_DISCARDED_LAYER_SHARE: Final = 2  # a root layer in memory may fill half of the container's memory


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What every step of one start needs."""

    run: Run
    runtime: Runtime
    image: ContainerImage
    plan: Plan
    idmap: IdMap
    secrets: SecretValues


class StillLeft(Conflict):
    template = (
        "something of the last run of domain '{name}' cannot be removed: {reason}; it is tried again with every start"
    )


class Starter:
    """Makes containers run. Thread-safe."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def start(
        self, domain: Domain, config: DomainConfig, *, paused: bool, domain_id: int, rebooting: bool = False
    ) -> Run:
        """Run the domain; returns its run, which waits in phase created when ``paused``. Undone on failure."""
        services = self._services
        try:
            remove_left(services, domain.uuid)
        except Error as error:  # its container may still write to the root layer
            raise StillLeft(name=domain.name, reason=error) from error
        with undo_on_failure() as undo:
            start = self._prepare(domain, config, domain_id, undo)
            run = replace(start.run, rebooting=rebooting)
            undo.add(f"forget run {run.container_id}", lambda: services.runs.remove(run.uuid))
            undo.add(f"clean up run {run.container_id}", lambda: clean_up(services, run))
            services.runs.save(run.record)
            services.bundles.prepare_directory(run.bundle, start.idmap)
            namespaces = services.namespaces.make(start.idmap, namespaces_directory(run.bundle))
            container = self._create(start, namespaces)
            created = replace(run, phase=RunPhase.CREATED, container=container.container, monitor=container.monitor)
            created = replace(created, paused=paused)
            services.runs.save(created.record)
            if paused:
                return created
            start.runtime.start(run.container_id)
            running = replace(created, phase=RunPhase.RUNNING, rebooting=False)
            services.runs.save(running.record)
            return running

    def _prepare(self, domain: Domain, config: DomainConfig, domain_id: int, undo: UndoStack) -> _Start:
        """Find everything by name first: most mistakes show here, before anything is made."""
        services = self._services
        runtime = services.runtime_of(config)
        image = services.image_of(config)
        plan = Plan(config=config, image=image, defaults=services.config.container)
        secrets = values_of(config.settings.secrets, services.secrets)
        idmap = self._id_map(domain, config)
        bridges = tuple(services.network.bridge_of(interface) for interface in config.interfaces)
        log_path = services.console_log(domain.uuid, config, persistent=domain.persistent)
        number = domain.facts.run_number + 1
        container_id = f"{domain.uuid}-{number}"
        config = with_run_names(services.network.complete(config, owner=container_id))
        undo.add("release interface names", lambda: services.network.release(container_id))
        run = Run(
            uuid=domain.uuid,
            boot_id=services.boot_id,
            domain_id=domain_id,
            run_number=number,
            runtime=runtime.name,
            config=config,
            xml=format_domain(config, secure=True),
            first_id=domain.facts.first_id,
            persistent=domain.persistent,
            bridges=bridges,
            directory=services.runs.directory(domain.uuid),
            log=log_path,
            cgroup_path=services.supervisor.adopt(container_id).container_path,
            image_path=str(image.path),
            started_at=time.time(),
            stop_signal=config.settings.stop_signal or image.config.stop_signal,
            health=plan_of(config.settings.health, image.config.healthcheck),
        )
        return _Start(run=run, runtime=runtime, image=image, plan=plan, idmap=idmap, secrets=secrets)

    def _id_map(self, domain: Domain, config: DomainConfig) -> IdMap:
        idmap = id_map(config, domain.facts.first_id)
        if config.idmap is not None:
            self._services.ids.require_apart(domain.uuid, idmap)
            ranges = ", ".join(f"{each.outside}+{each.count}" for each in dict.fromkeys((*idmap.uids, *idmap.gids)))
            log.warning("Less isolated: host ids were chosen by <idmap> domain=%s ids=%s", config.name, ranges)
        return idmap

    def _create(self, start: _Start, namespaces: Namespaces) -> MonitoredContainer:
        services, plan, run = self._services, start.plan, start.run
        cgroup = services.supervisor.prepare(run.container_id)
        bundle = services.bundles.prepare(
            BundleRequest(
                directory=run.bundle,
                image=start.image.path,
                image_digest=start.image.digest,
                idmap=start.idmap,
                namespaces=namespaces,
                root_layer=self._root_layer(start),
                hostname=plan.hostname,
                addresses=plan.addresses,
                nameservers=plan.nameservers,
                search_domains=run.config.settings.dns.search,
                dns_options=run.config.settings.dns.options,
                volumes=services.mounts(run.uuid, run.config, start.image, persistent=run.persistent),
                no_new_privileges=run.config.settings.no_new_privileges,
            )
        )
        user = resolve_user(bundle.rootfs, plan.user)
        secrets = services.bundles.give_secrets(run.bundle, start.secrets.files, start.idmap, user)
        places = Places(
            rootfs=bundle.rootfs,
            user=user,
            idmap=start.idmap,
            user_namespace=namespaces.user,
            network_namespace=namespaces.network,
            cgroups_path=cgroup.container_path,
            mounts=(*bundle.mounts, *secrets, *plan.memory_mounts, *self._discarded(start, bundle.rootfs)),
            secret_environment=start.secrets.environment,
        )
        wanted = plan.complete(places)
        require_here(wanted.resources)
        request = replace(wanted, resources=self._for_the_runtime(wanted.resources))
        write_config(run.bundle, build_spec(request))
        make_directory(run.log.parent)
        container = services.monitor.create(
            runtime=start.runtime,
            container_id=run.container_id,
            paths=run.monitor_paths,
            terminal=run.config.terminal,
            cgroup=cgroup,
            meanwhile=lambda: self._plug(run),
        )
        present, whole = unweighed(wanted.resources), with_disk_limits(wanted.resources, run)
        if present != whole:
            CgroupLimits(services.supervisor.layout).change(cgroup.container_path, present, whole)
        return container

    def _for_the_runtime(self, resources: Resources) -> Resources:
        """Without what would fail its create: swap that the kernel does not count, a quota beyond the slice's, and
        weights (crun 1.8.1 knows only the name of a file that kernels no longer have).
        """
        layout = self._services.supervisor.layout
        resources = within_slice(unweighed(resources), self._services.config.slice, layout)
        if layout.counts_swap():
            return resources
        return replace(resources, memory_swap_limit_bytes=None)

    def _root_layer(self, start: _Start) -> RootLayer:
        """Kept for persistent domains unless their XML says otherwise; a transient one has nothing to keep it for."""
        run = start.run
        disk = root_disk(run.config)
        if disk is not None:
            return RootLayer(disk=disk, discarded=False)
        if run.persistent and run.config.settings.root_layer is not model.RootLayer.DISCARDED:
            directory = self._services.store.directory(run.uuid) / "root-layer"
            make_directory(directory.parent)
            return RootLayer(directory=directory, discarded=False)
        return RootLayer(tmpfs_size_bytes=_discarded_bytes(run.config))

    def _discarded(self, start: _Start, rootfs: Path) -> tuple[Mount, ...]:
        config = start.run.config
        return discarded_mounts(config, rootfs, start.idmap, default_size_bytes=_discarded_bytes(config))

    def _plug(self, run: Run) -> None:
        for number in range(len(run.config.interfaces)):
            self._services.network.plug(run, number)
        self._services.namespaces.warm_up()


def _discarded_bytes(config: DomainConfig) -> int:
    return config.current_memory_kib * KIB // _DISCARDED_LAYER_SHARE


def clean_up(services: Services, run: Run) -> None:
    """Remove everything a run has, whatever state it is in; what is gone already is fine.

    Every step is tried, so that one that fails does not keep the others; the first error is raised at the end, and
    the run is remembered for remove_left().
    """
    cgroup = services.supervisor.adopt(run.container_id)
    errors: list[Error] = []
    for what, step in _clean_up_steps(services, run, cgroup):
        try:
            step()
        except (Error, OSError) as error:
            log.warning("Clean-up step failed domain=%s step=%r: %s", run.config.name, what, error)
            errors.append(error if isinstance(error, Error) else Error(message=f"{what}: {error}"))
    if errors:
        _remember_left(services, run)
        raise errors[0]
    services.left.remove(run.uuid)


def remove_left(services: Services, uuid: UUID) -> None:
    """Try again to remove what is left of a domain's last run; raises what clean_up() raises."""
    directory = services.left.directory(uuid)
    if not directory.exists():
        return
    for record in services.left.load_all()[0]:
        if record.uuid == uuid:
            clean_up(services, run_of(record, services.runs.directory(uuid)))


def remove_all_left(services: Services) -> None:
    """At start-up: try again to remove what is left of runs that an earlier daemon saw end."""
    for record in services.left.load_all()[0]:
        try:
            remove_left(services, record.uuid)
        except Error as error:
            log.error("Something of a run is still left uuid=%s: %s", record.uuid, error)


def _remember_left(services: Services, run: Run) -> None:
    try:
        services.left.save(run.record)
    except (Error, OSError) as error:
        log.error("What is left of a run is not on record container=%s: %s", run.container_id, error)


def _clean_up_steps(services: Services, run: Run, cgroup: RunCgroup) -> list[tuple[str, Callable[[], object]]]:
    runtime = services.runtimes.by_name.get(run.runtime)
    steps: list[tuple[str, Callable[[], object]]] = [
        ("give leases back", lambda: services.addressing.release(run)),
    ]
    if runtime is not None:
        steps.append(("delete container", lambda: runtime.delete(run.container_id, force=True)))
    # The leases' farewells went on their way while the runtime worked.
    steps.append(("end DHCP clients", lambda: services.addressing.forget(run)))
    steps.append(("remove cgroup", cgroup.remove))
    steps.append(("forget statistics", lambda: services.reader.forget(run.cgroup_path)))
    steps += [
        (f"unplug {name}", functools.partial(services.network.unplug, run, number))
        for number, name in enumerate(run.interface_names)
        if name
    ]
    steps.append(("release interface names", lambda: services.network.release(run.container_id)))
    steps.append(("remove bundle", lambda: services.bundles.remove(run.bundle)))
    steps.append(("remove run directory", lambda: _remove_run_directory(services, run.directory)))
    return steps


def _remove_run_directory(services: Services, directory: Path) -> None:
    """All but the record, since the run's end is still to be handled, and the bundle: if that could not be removed,
    mounts may lie below it.
    """
    if not directory.exists():
        return
    for entry in directory.iterdir():
        if entry.name != BUNDLE and not services.runs.is_record(entry):
            remove_tree(entry)
    if not any(directory.iterdir()):
        directory.rmdir()
