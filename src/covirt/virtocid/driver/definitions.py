# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Domains come and go: define, transient create, undefine, autostart. What is sure to fail later fails here."""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from covirt.common.dialect import HEALTH_NAMESPACE, STOP_CAUSE_NAMESPACE
from covirt.common.undo import undo_on_failure
from covirt.virtocid.driver.domain import Domain, DomainFacts
from covirt.virtocid.driver.domain_xml.complete import complete_definition
from covirt.virtocid.driver.domain_xml.format import storable_text
from covirt.virtocid.driver.domain_xml.model import DiskType, DomainConfig
from covirt.virtocid.driver.domain_xml.parse import parse_domain
from covirt.virtocid.driver.errors import DomainIsTransient, NoSuchDomain, UuidInUse
from covirt.virtocid.driver.mounts import check_mounts
from covirt.virtocid.driver.network import require_own_names
from covirt.virtocid.driver.plan import Plan, id_map
from covirt.virtocid.driver.records import domain_record
from covirt.virtocid.driver.services import Services
from covirt.wire.constants import DefinedDetail, LifecycleEvent, UndefinedDetail

log = logging.getLogger(__name__)

# Written by virtocid into what it shows; what a client gives back of it is not kept.
_OURS: Final = (STOP_CAUSE_NAMESPACE, HEALTH_NAMESPACE)


class Definitions:
    """Keeps registry, store, id pool and image users in step."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()  # one definition at a time: names and UUIDs are checked and taken in one go

    def define(self, xml: str) -> Domain:
        """Make or change a persistent domain; a running one goes on with what it has. Never starts it.

        Raises XmlError, InvalidXml, DomainExists, UuidInUse, NotSupported, and what a missing runtime, image or
        bridge raises.
        """
        config = self._read(xml)
        while True:
            present = self._services.domains.find(config.uuid)
            try:
                domain = self._define_new(config) if present is None else self._redefine(present, config)
            except NoSuchDomain:  # undefined by somebody else between the look and the job: it is new then
                continue
            if domain is not None:
                log.info("Domain defined domain=%s uuid=%s", domain.name, domain.uuid)
                return domain

    def _define_new(self, config: DomainConfig) -> Domain | None:
        """None when somebody else was quicker."""
        with self._lock:
            if self._services.domains.find(config.uuid) is not None:
                return None
            domain = self._make(config, persistent=True)
            with domain.job("define"):  # nobody starts it before its DEFINED event is out
                self._services.domains.add(domain)
                self._services.bus.lifecycle(domain.remote, LifecycleEvent.DEFINED, DefinedDetail.ADDED)
            return domain

    def _redefine(self, domain: Domain, config: DomainConfig) -> Domain:
        if domain.name != config.name:
            raise UuidInUse(uuid=config.uuid, name=domain.name)
        with domain.job("define"), self._lock:
            detail = DefinedDetail.UPDATED if domain.persistent else DefinedDetail.ADDED
            if not config.is_placeholder:
                self._services.images.hold(self._services.image_of(config), domain.uuid, domain=config.name)
            if domain.run is not None and not domain.persistent:
                run = replace(domain.run, persistent=True)
                self._services.runs.save(run.record)
                domain.update(run=run, transient=False)
            self.replace_config(domain, config)
            self._services.hold_images(domain)
            if domain.run is not None:
                self._services.store.mark_running(domain.uuid, domain.run.boot_id)
            self._services.bus.lifecycle(domain.remote, LifecycleEvent.DEFINED, detail)
        return domain

    def create(self, xml: str, start: Callable[[Domain, DomainConfig], None]) -> Domain:
        """Run a domain that is forgotten at its end, or a defined one for this once in another form.

        ``start`` is called while the domain's job is held. Raises what define and start raise.
        """
        config = self._read(xml)
        present = self._services.domains.find(config.uuid)
        if present is not None:
            return self._create_defined(present, config, start)
        with ExitStack() as held:
            with self._lock:
                domain = self._make(config, persistent=False)
                # Taken before anybody can see the domain, and held until it runs: nobody else can start or drop it.
                held.enter_context(domain.job("create"))
                self._services.domains.add(domain)
            try:
                start(domain, config)
            except BaseException:
                self._drop(domain)
                raise
        return domain

    def _create_defined(
        self, domain: Domain, config: DomainConfig, start: Callable[[Domain, DomainConfig], None]
    ) -> Domain:
        if domain.name != config.name:
            raise UuidInUse(uuid=config.uuid, name=domain.name)
        with domain.job("create"):
            domain.require_inactive()
            self._services.images.hold(self._services.image_of(config), domain.uuid, domain=config.name)
            start(domain, config)
        return domain

    def undefine(self, domain: Domain) -> None:
        """Forget the definition with its root layer and log; a running domain goes on and ends with its run."""
        services = self._services
        with domain.job("undefine"), self._lock:
            if not domain.persistent:
                raise DomainIsTransient(name=domain.name)
            dom = domain.remote
            if domain.run is not None:
                services.store.forget(domain.uuid)
                run = replace(domain.run, persistent=False)
                services.runs.save(run.record)
                domain.update(run=run, transient=True, autostart=False)
            else:
                self._drop(domain)
            log.info("Domain undefined domain=%s uuid=%s", dom.name, dom.uuid)
            services.kept_volumes.tell_kept(dom.name, dom.uuid)
            services.bus.lifecycle(dom, LifecycleEvent.UNDEFINED, UndefinedDetail.REMOVED)

    def set_autostart(self, domain: Domain, *, autostart: bool) -> None:
        with domain.job("autostart"):
            if not domain.persistent:
                raise DomainIsTransient(name=domain.name)
            domain.update(autostart=autostart)
            self._services.store.save(domain_record(domain))

    def replace_config(self, domain: Domain, config: DomainConfig) -> None:
        """Swap the configuration of a persistent domain for one that was checked; the caller holds its job.

        Raises XmlTooLarge, and what writing raises; then nothing has changed.
        """
        storable_text(config)
        before = domain.next_config
        with undo_on_failure() as undo:
            undo.add("restore the configuration", lambda: domain.update(config=before))
            domain.update(config=config)
            self._services.store.save(domain_record(domain))

    def _read(self, xml: str) -> DomainConfig:
        config = parse_domain(xml)
        _log_what_has_no_effect(config)
        return self.completed(
            replace(config, metadata=tuple(each for each in config.metadata if each.uri not in _OURS))
        )

    def completed(self, config: DomainConfig) -> DomainConfig:
        """A definition with what its author left away, checked for everything that a start needs by name."""
        config = complete_definition(
            config, macs_in_use=self.macs_in_use(), generated_name_prefix=self._services.root.id
        )
        # What describe() showed of volumes that are kept here: the image, not the XML, says which there are.
        kept = self._services.kept_volumes
        disks = tuple(disk for disk in config.disks if disk.type is not DiskType.DIR or not kept.has(disk.source))
        config = replace(config, disks=disks)
        self._check(config)
        return config

    def macs_in_use(self) -> set[str]:
        """The MAC addresses of all definitions."""
        configs = [domain.next_config for domain in self._services.domains.all()]
        return {interface.mac for config in configs for interface in config.interfaces if interface.mac}

    def _check(self, config: DomainConfig) -> None:
        """Everything a start needs by name. Bridges may still come: only those that are refused for ever are."""
        services = self._services
        storable_text(config)
        services.runtime_of(config)
        image = services.image_of(config) if not config.is_placeholder else None
        services.console_log(config.uuid, config, persistent=True)
        if image is not None:
            check_mounts(config, image)
        services.volumes(config)
        require_own_names(config, (domain.next_config for domain in services.domains.all()))
        if image is not None:
            Plan(config=config, image=image, defaults=services.config.container).check()
        if config.idmap is not None:
            services.ids.require_apart(config.uuid, id_map(config, services.config.ids.first))
        for interface in config.interfaces:
            if interface.type == "network":
                services.network.bridge_of(interface)

    def _make(self, config: DomainConfig, *, persistent: bool) -> Domain:
        """A domain with ids, image and, when persistent, a record; not known to anybody yet."""
        services = self._services
        services.domains.require_free(config.name, config.uuid)
        with undo_on_failure() as undo:
            first_id = services.ids.take(config.uuid)
            undo.add("free ids", lambda: services.ids.free(config.uuid))
            if not config.is_placeholder:
                services.images.hold(services.image_of(config), config.uuid, domain=config.name)
            undo.add("release image", lambda: services.images.release(None, config.uuid))
            domain = Domain(config.uuid, DomainFacts(config=config, first_id=first_id, transient=not persistent))
            if persistent:
                services.store.save(domain_record(domain))
        return domain

    def _drop(self, domain: Domain) -> None:
        services = self._services
        services.store.remove(domain.uuid)
        services.domains.remove(domain)
        services.ids.free(domain.uuid)
        services.images.release(None, domain.uuid)


def _log_what_has_no_effect(config: DomainConfig) -> None:
    """One line a definition: Vdsm's have dozens of such elements, and define twice at every start."""
    places = [f"{each.xpath} (line {each.line})" for each in config.unknown]
    if places or config.machine_devices:
        elements = ", ".join((*places, *config.machine_devices))
        log.info("Elements without a meaning here are kept domain=%s elements=%s", config.name, elements)
    macs = {interface.mac for interface in config.interfaces}
    absent = [item.mac for item in config.settings.interfaces if item.mac is not None and item.mac not in macs]
    if absent:  # of a device to come, or a typing error
        log.info("No <interface> has these MAC addresses yet domain=%s macs=%s", config.name, ", ".join(absent))
    if config.is_placeholder:
        log.info("A placeholder was defined: it names no container image, and cannot start domain=%s", config.name)
