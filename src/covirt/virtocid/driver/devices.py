# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Devices that come and go: attach, detach, update, in the running container, in the definition, or in both.

What will be is worked out and checked first. Then what is about to happen is written into the run's record, then it
happens, then the definition is stored, then the record says that it is over. So a daemon that is killed in between
leaves a successor that knows what to finish or to take back, see finish_change().
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from covirt.common.errors import Error
from covirt.common.undo import UndoStack, undo_on_failure
from covirt.virtocid.driver.affect import affected_by
from covirt.virtocid.driver.definitions import Definitions
from covirt.virtocid.driver.device_config import attached, detached, find, find_by_alias, replaced, words_for
from covirt.virtocid.driver.device_errors import DeviceFixed, NoSuchDevice
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.domain_xml.complete import generate_mac
from covirt.virtocid.driver.domain_xml.format import format_domain
from covirt.virtocid.driver.domain_xml.model import DomainConfig
from covirt.virtocid.driver.domain_xml.model_devices import Console, Filesystem, Interface
from covirt.virtocid.driver.domain_xml.parse import Device, parse_device, parse_domain
from covirt.virtocid.driver.domain_xml.run_names import stored_device
from covirt.virtocid.driver.hot_interfaces import with_changes
from covirt.virtocid.driver.hotplug import part_for
from covirt.virtocid.driver.records import domain_record
from covirt.virtocid.driver.run import Run
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.store import DeviceChange, DeviceStep

log = logging.getLogger(__name__)

Choose = Callable[[DomainConfig], Device]


class Devices:
    """Changes of a domain's devices. Every method raises DomainBusy, DomainIsNotRunning and DomainIsTransient."""

    def __init__(self, services: Services, definitions: Definitions) -> None:
        self._services = services
        self._definitions = definitions

    def attach(self, domain: Domain, xml: str, flags: int) -> None:
        """Raises XmlError, InvalidXml, DeviceExists, DeviceFixed, and what a start with this device raises."""
        with domain.job("attach device"):
            affected = affected_by(flags, domain)
            device = self._with_mac(domain, parse_device(xml))
            stored = self._checked(attached(domain.next_config, device)) if affected.stored else None
            if affected.live:
                self._plug(domain, device, stored)
            else:
                self._store(domain, stored)

    def _plug(self, domain: Domain, device: Device, stored: DomainConfig | None) -> None:
        run = domain.require_run()
        part = part_for(self._services, device)
        _read_again(attached(run.config, device))
        with undo_on_failure() as undo:
            after, device = part.added(run, device)
            undo.add("forget the device's names", lambda: part.forget(device))
            after = self._announce(run, after, DeviceStep.ATTACHING, device, stored, undo)
            after = part.plug(after, device)
            undo.add(f"take away {words_for(device)}", lambda: part.unplug(after, device))
            self._store(domain, stored, undo)
            self._over(domain, after)
        self._tell("attached", domain, device)
        self._services.bus.device_added(domain.remote, device.alias or "")

    def detach(self, domain: Domain, xml: str, flags: int) -> None:
        """Raises XmlError, InvalidXml, NoSuchDevice, SeveralDevices, DeviceFixed, DeviceBusy."""
        wanted = parse_device(xml)
        self._detach(domain, lambda config: find(config, wanted), flags)

    def detach_alias(self, domain: Domain, alias: str, flags: int) -> None:
        """Raises NoSuchDevice, DeviceFixed, DeviceBusy."""
        self._detach(domain, lambda config: find_by_alias(config, alias), flags)

    def _detach(self, domain: Domain, choose: Choose, flags: int) -> None:
        with domain.job("detach device"):
            affected = affected_by(flags, domain)
            config = domain.next_config
            stored = self._checked(detached(config, choose(config))) if affected.stored else None
            if affected.live:
                self._unplug(domain, choose(domain.config), stored)
            else:
                self._store(domain, stored)

    def _unplug(self, domain: Domain, device: Device, stored: DomainConfig | None) -> None:
        run = domain.require_run()
        part = part_for(self._services, device)
        try:
            with undo_on_failure() as undo:
                announced = self._announce(run, run, DeviceStep.DETACHING, device, stored, undo)
                after = part.unplug(announced, device)
        except (Error, OSError):
            self._services.bus.device_removal_failed(domain.remote, device.alias or "")
            raise
        try:
            self._store(domain, stored)
        finally:
            part.forget(device)
            self._over(domain, after)
            self._tell("detached", domain, device)
            self._services.bus.device_removed(domain.remote, device.alias or "")

    def update(self, domain: Domain, xml: str, flags: int) -> None:
        """Raises XmlError, InvalidXml, NoSuchDevice, SeveralDevices, DeviceFixed, and what a wrong bridge raises."""
        wanted = parse_device(xml)
        with domain.job("update device"):
            affected = affected_by(flags, domain)
            stored = self._checked(_updated_definition(domain.next_config, wanted)) if affected.stored else None
            if affected.live:
                self._change(domain, wanted, stored)
            else:
                self._store(domain, stored)

    def _change(self, domain: Domain, wanted: Device, stored: DomainConfig | None) -> None:
        run = domain.require_run()
        present = find(run.config, wanted)
        part = part_for(self._services, present)
        after, device = part.updated(run, present, wanted)
        _read_again(after.config)
        with undo_on_failure() as undo:
            after = self._announce(run, after, DeviceStep.UPDATING, device, stored, undo)
            undo.add(f"change {words_for(device)} back", lambda: part.apply(run, present))
            part.apply(after, device)
            self._store(domain, stored, undo)
            self._over(domain, after)
        self._tell("changed", domain, device)

    def _announce(
        self,
        before: Run,
        after: Run,
        step: DeviceStep,
        device: Device,
        stored: DomainConfig | None,
        undo: UndoStack,
    ) -> Run:
        """Write down what is about to happen to a device."""
        change = DeviceChange(step=step, alias=device.alias or "", configured=stored is not None)
        after = replace(after, device_change=change)
        self._services.runs.save(after.record)
        undo.add("restore the run's record", lambda: self._services.runs.save(before.record))
        return after

    def _over(self, domain: Domain, run: Run) -> None:
        run = replace(run, device_change=None)
        self._services.runs.save(run.record)
        domain.update(run=run)

    def _tell(self, what: str, domain: Domain, device: Device) -> None:
        log.info("Device %s domain=%s device=%r alias=%s", what, domain.name, words_for(device), device.alias)

    def _store(self, domain: Domain, config: DomainConfig | None, undo: UndoStack | None = None) -> None:
        if config is None:
            return
        before = domain.next_config
        if undo is not None:
            undo.add("restore the definition", lambda: self._definitions.replace_config(domain, before))
        self._services.images.hold(self._services.image_of(config), domain.uuid)
        self._definitions.replace_config(domain, config)
        self._services.hold_images(domain)

    def _checked(self, config: DomainConfig) -> DomainConfig:
        """A definition that passed everything that define() checks, with what it completes."""
        return self._definitions.completed(_read_again(config))

    def _with_mac(self, domain: Domain, device: Device) -> Device:
        """The same address in the running container and in the definition."""
        if not isinstance(device, Interface) or device.mac is not None:
            return device
        taken = {*self._definitions.macs_in_use(), *(each.mac for each in domain.config.interfaces if each.mac)}
        return replace(device, mac=generate_mac(taken))


def _read_again(config: DomainConfig) -> DomainConfig:
    """What no single device can tell is checked where a whole definition is read. Raises InvalidXml."""
    return parse_domain(format_domain(config, secure=True), live=True, image_required=False)


def _updated_definition(config: DomainConfig, wanted: Device) -> DomainConfig:
    """As with libvirt's own drivers the new device takes the place of the old one."""
    if isinstance(wanted, Filesystem | Console):
        raise DeviceFixed(what=f"the {words_for(wanted)}", reason="detach it and attach another one")
    present = find(config, wanted)
    if isinstance(wanted, Interface) and wanted.mac is None:
        wanted = replace(wanted, mac=present.mac)  # type: ignore[union-attr]  # find() gives its like
    return replaced(config, present, replace(wanted, alias=wanted.alias or present.alias))


def finish_change(services: Services, domain: Domain, run: Run) -> Run:
    """After a restart of the daemon: finish or take back what its predecessor was doing to a device of this run.

    An attach that its client was not told of is taken back, unless it reached the definition; a detach is finished;
    an update is made once more.
    """
    change = run.device_change
    if change is None:
        return run
    try:
        run = _finished(services, domain, run, change)
    except (Error, OSError) as error:
        log.error("A change of a device could not be finished domain=%s alias=%s: %s",
                  run.config.name, change.alias, error)  # fmt: skip
    run = replace(run, device_change=None)
    services.runs.save(run.record)
    return run


def _finished(services: Services, domain: Domain, run: Run, change: DeviceChange) -> Run:
    device = find_by_alias(run.config, change.alias)
    part = part_for(services, device)
    defined = _defined(domain, device) if change.configured else None
    if change.step is DeviceStep.UPDATING:
        part.apply(run, device)
        if isinstance(device, Interface) and isinstance(defined, Interface):
            _define(services, domain, replaced(domain.next_config, defined, with_changes(defined, device)))
        return run
    if change.step is DeviceStep.ATTACHING and defined is not None:
        return run
    run = part.unplug(run, device)
    part.forget(device)
    if defined is not None:
        _define(services, domain, detached(domain.next_config, defined))
    return run


def _define(services: Services, domain: Domain, config: DomainConfig) -> None:
    domain.update(config=config)
    services.store.save(domain_record(domain))


def _defined(domain: Domain, device: Device) -> Device | None:
    try:
        return find(domain.next_config, stored_device(device))
    except NoSuchDevice:
        return None
