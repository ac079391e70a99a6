# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Starting a machine: a host is chosen and written down, then asked, then watched until it has begun.

From the moment in which a host is asked until it tells what came of it the machine belongs to that host, whatever
happens to the engine: nothing is started a second time elsewhere.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from covirt.engine.auth.permits import Right
from covirt.engine.commands.command import Command, Doing, Finish, Flow, JsonValue, Start
from covirt.engine.commands.secrets.secrets import names_in
from covirt.engine.commands.secrets.using import require_secrets, secrets_of
from covirt.engine.commands.vms.checks import NO_CLOUD_INIT, check_hardware, require_containers
from covirt.engine.commands.vms.common import (
    about,
    held,
    host_name,
    require_down,
    stats_on,
    subject_of,
    write_down,
)
from covirt.engine.commands.vms.errors import NothingToBootFrom, StartFailed, StartUncertain, VmInStatus
from covirt.engine.commands.vms.gathering import domain_of, situation_of, vm_view
from covirt.engine.commands.vms.kept_state import drop_state, handle, put_to_rest
from covirt.engine.commands.vms.messages import START_FAILED, STARTED
from covirt.engine.commands.vms.update import forget_running_hardware
from covirt.engine.hosts.errors import HostRefused, HostUncertain, HostUnreachable
from covirt.engine.hosts.words import table, text, texts, whole
from covirt.engine.model.hardware import BootDevice, Initialization, VmKind
from covirt.engine.model.vm import Vm, VmFacts, VmStatus
from covirt.engine.scheduler.choice import choose_host
from covirt.engine.store.session import Session
from covirt.engine.vault.sealing import open_initialization
from covirt.engine.vault.vault import Vault
from covirt.engine.vms.cloud_init import cloud_init_files
from covirt.engine.vms.container_settings import container_settings
from covirt.engine.vms.domain import Domain, VolumePlace
from covirt.engine.vms.domain_xml import domain_xml
from covirt.engine.vms.errors import NoContainerImage, NotForThisKind, UnmappedVolumes
from covirt.hostapi.errors import Code
from covirt.hostapi.statuses import ExitReason
from covirt.hostapi.statuses import VmStatus as HostWord
from covirt.rpc.jsonrpc import Json

_LAUNCH_SECONDS: Final = 300.0  # storage may take its time
_PATIENCE_SECONDS: Final = 60.0  # with a host that does not answer
_LOOK_SECONDS: Final = 0.5
_NEVER_RAN: Final = (ExitReason.START_FAILED, ExitReason.DESTROYED_ON_STARTUP, ExitReason.DOMAIN_MISSING)
_BEGINNING: Final = (HostWord.WAIT_FOR_LAUNCH, HostWord.RESTORING_STATE)
# In the facts' status_detail: the host may have it, or has said that nothing of it ran.
_ASKED: Final = "asked"
_NEVER_BEGAN: Final = "never began"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunVm(Command):
    """``host_id``: the only one to take; ``boot_devices`` and ``paused`` are for this run alone, and so is an
    ``initialization``, sealed. ``initialize``: whether the guest gets its first settings; None: if it never did."""

    action: ClassVar = "RunVm"

    vm_id: str
    host_id: str | None = None
    boot_devices: tuple[BootDevice, ...] = ()
    paused: bool = False
    initialize: bool | None = None
    initialization: Initialization | None = None

    def begin(self, start: Start) -> None:
        start.require(Right.RUN_VM, subject_of(self.vm_id))
        vm = start.session.vms.get(self.vm_id)
        start.lock(vm.id, f"VM {vm.name} is being started")
        if vm.facts.status is VmStatus.SUSPENDED:
            self._require_plain(vm)
        else:
            require_down(vm, "run")
        require_secrets(start, names_in(vm.hardware), action="run VM")
        if self.host_id is not None:
            start.require(Right.EDIT_ADMIN_VM_PROPERTIES, subject_of(vm.id))
            start.session.hosts.get(self.host_id)
        self._choose_host(start.session, vm, self._checked(start.session, vm), start.services.hosts.is_up)
        start.describe(f"Launching VM {vm.name}", subjects={vm.id})

    def run(self, flow: Flow) -> JsonValue:
        host_id = flow.step("Choosing a host", self._choose, undo=self._release)
        again = flow.step("Creating the VM on its host", self._create, host_id, undo=self._destroy)
        flow.step("Waiting for it to begin", self._wait, host_id)
        if again:
            flow.step("Removing the state that it began from", self._drop_state)
        return {"host": host_id, "again": again}

    def succeeded(self, finish: Finish) -> None:
        vm = held(finish.session, self.vm_id)
        result = finish.result if isinstance(finish.result, dict) else {}
        host_id = str(result.get("host"))
        if not result.get("again"):
            self._note_first_run(finish, vm)
        finish.tell(STARTED, about(vm, host_id=host_id), vm=vm.name, host=host_name(finish.session, host_id))

    def _note_first_run(self, finish: Finish, vm: Vm) -> None:
        """It has all that is wanted of it now; one that goes on has what it had."""
        forget_running_hardware(finish.session, vm)
        self._note_first_settings(finish.session)
        drive = finish.session.cdroms.find(vm_id=vm.id)
        if drive is not None:
            finish.session.cdroms.update(replace(drive, current_file_id=drive.file_id))

    def failed(self, finish: Finish, reason: str) -> None:
        if finish.session.vms.find(id=self.vm_id) is None:
            return
        vm = held(finish.session, self.vm_id)
        if vm.facts.host_id is not None:  # its host was asked and does not answer: nobody knows
            finish.session.vms.update_facts(vm.id, replace(vm.facts, status=VmStatus.UNKNOWN))
        told = reason.removeprefix("Cannot run VM. ").rstrip(".")
        if vm.facts.host_id is None:
            finish.session.vms.update_facts(vm.id, replace(vm.facts, exit_code=1, exit_message=told))
        finish.tell(START_FAILED, about(vm), vm=vm.name, reason=told)

    def _require_plain(self, vm: Vm) -> None:
        """A guest that goes on neither boots nor gets first settings. Raises VmInStatus."""
        if self.boot_devices or self.initialize or self.initialization is not None:
            raise VmInStatus(action="run once", status=vm.facts.status)

    def _first_settings(self, vm: Vm) -> Initialization | None:
        """What the guest gets on a disc of this run."""
        if vm.facts.state_disk_ids:
            return None
        wanted = self.initialization or vm.hardware.initialization
        if vm.kind is VmKind.CONTAINER or wanted is None or self.initialize is False:
            return None
        asked = self.initialize or self.initialization is not None
        return wanted if asked or not wanted.used else None

    def _note_first_settings(self, session: Session) -> None:
        vm = session.vms.get(self.vm_id)
        own = vm.hardware.initialization
        if own is not None and not own.used and self._first_settings(vm) is not None:
            hardware = replace(vm.hardware, initialization=replace(own, used=True))
            session.vms.update(replace(vm, hardware=hardware))

    def _checked(self, session: Session, vm: Vm) -> Domain:
        """All that can be known before a host is asked. Raises what keeps it from starting."""
        cluster = session.clusters.get(vm.cluster_id)
        check_hardware(session, vm.hardware, cluster, vm.kind, action="run")
        if vm.kind is VmKind.CONTAINER and (self.initialize or self.initialization is not None):
            raise NotForThisKind(action="run", name=vm.name, kind="container", reason=NO_CLOUD_INIT)
        domain = domain_of(session, vm, boot_devices=self.boot_devices, paused=self.paused)
        if vm.kind is VmKind.CONTAINER:
            require_containers(session, cluster, action="run")
            if domain.disc is None and not container_settings(vm.hardware.custom_properties, action="run").image:
                raise NoContainerImage(name=vm.name)
            known = session.container_images.find(domain.disc.image_id) if domain.disc else None
            if known is not None:
                _check_volumes(vm, known.volumes)
        else:
            _require_bootable(domain)
        domain_xml(domain)  # refuses what cannot be said
        return domain

    def _choose_host(self, session: Session, vm: Vm, domain: Domain, is_up: Callable[[str], bool]) -> str:
        view = vm_view(session, vm, domain)
        if self.host_id is not None:
            view = replace(view, host_ids=(self.host_id,))
        cluster = session.clusters.get(vm.cluster_id)
        return choose_host(view, situation_of(session, vm, cluster, is_up)).id

    def _choose(self, doing: Doing) -> JsonValue:
        """The choice is written down with it, so that the next choice counts this machine."""
        with doing.services.store.write() as session:
            vm = held(session, self.vm_id)
            if vm.facts.host_id is not None:  # chosen before the engine was killed
                return vm.facts.host_id
            host_id = self._choose_host(session, vm, self._checked(session, vm), doing.services.hosts.is_up)
            facts = VmFacts(
                status=VmStatus.WAIT_FOR_LAUNCH,
                host_id=host_id,
                log_host_id=vm.facts.log_host_id,
                stop_time=vm.facts.stop_time,
                state_disk_ids=vm.facts.state_disk_ids,
            )
            session.vms.update_facts(vm.id, facts)
            return host_id

    def _release(self, doing: Doing) -> JsonValue:
        """Unless the host was asked: then only it can say."""
        with doing.services.store.write() as session:
            vm = held(session, self.vm_id)
            if vm.facts.status_detail != _ASKED and vm.facts.host_id is not None:
                put_to_rest(session, vm, log_host_id=vm.facts.log_host_id)
        return None

    def _create(self, doing: Doing, host_id: str) -> JsonValue:
        """Whether it begins again from its kept state."""
        hosts, flow_id = doing.services.hosts, doing.asked.correlation_id
        with doing.services.store.read() as session:
            vm = session.vms.get(self.vm_id)
            domain = self._checked(session, vm)
            given = _secrets(session, doing.services.vault, vm)
            domain = replace(domain, payload=self._payload(doing.services.vault, vm))
            known = domain.disc is None or session.container_images.find(domain.disc.image_id) is not None
            again = bool(vm.facts.state_disk_ids)
            if again:
                given["hiberVolHandle"] = handle(session, vm.facts.state_disk_ids)
        if domain.disc is not None and vm.kind is VmKind.CONTAINER and not known:
            inspected = hosts.call(host_id, "ContainerImage.inspect", _volume(domain.disc), flow_id=flow_id)
            _check_volumes(vm, texts(table({"facts": inspected}, "facts"), "volumes"))
        self._note(doing, status_detail=_ASKED, log_host_id=None)
        # Their values are in this call and nowhere else.
        params: Mapping[str, Json] = {"vmID": vm.id, "vmParams": {"xml": domain_xml(domain), **given}}
        try:
            hosts.call(host_id, "VM.create", params, flow_id=flow_id)
        except HostRefused as error:
            if error.code != Code.VM_EXISTS:
                self._note(doing, status_detail=_NEVER_BEGAN)
                raise
            # It was asked before the engine was killed; what has ended there already is begun anew, unless it had
            # gone on from a state that is older than its disks now.
            if self._ended(doing, host_id, again=again):
                hosts.call(host_id, "VM.destroy", {"vmID": vm.id}, flow_id=flow_id)
                hosts.call(host_id, "VM.create", params, flow_id=flow_id)
        return again

    def _ended(self, doing: Doing, host_id: str, *, again: bool) -> bool:
        stats = stats_on(doing, host_id, self.vm_id)
        word = text(stats, "status") if stats is not None else HostWord.DOWN
        return word == HostWord.DOWN and (not again or _never_went_on(stats))

    def _note(self, doing: Doing, **changes: Any) -> None:
        """Of the machine's facts."""
        with doing.services.store.write() as session:
            facts = held(session, self.vm_id).facts
            session.vms.update_facts(self.vm_id, replace(facts, **changes))

    def _drop_state(self, doing: Doing) -> JsonValue:
        drop_state(doing, self.vm_id)
        return None

    def _payload(self, vault: Vault, vm: Vm) -> Mapping[str, bytes]:
        settings = self._first_settings(vm)
        if settings is None:
            return {}
        return cloud_init_files(open_initialization(vault, settings), instance_id=str(uuid.uuid4()))

    def _destroy(self, doing: Doing, host_id: str) -> JsonValue:
        with doing.services.store.read() as session:
            vm = session.vms.find(id=self.vm_id)
        if vm is None or (not vm.facts.status_detail and vm.facts.status is VmStatus.WAIT_FOR_LAUNCH):
            return None
        destroy_on_host(doing, host_id, self.vm_id)
        with doing.services.store.write() as session:
            vm = held(session, self.vm_id)
            if vm.facts.status_detail == _NEVER_BEGAN:
                put_to_rest(session, vm)
            else:  # a state that it may have gone on from is never begun from again
                write_down(session, vm)
        return None

    def _wait(self, doing: Doing, host_id: str) -> JsonValue:
        """Until it is something other than about to begin; what it is, the host tells by itself.

        A container may have done its work by now: that it has ended is no failure of its start.
        """
        begun = heard = time.monotonic()
        while time.monotonic() - begun < _LAUNCH_SECONDS:
            try:
                word, failure = self._word(doing, host_id)
                heard = time.monotonic()
            except (HostUncertain, HostUnreachable):  # its agent may be back in a moment
                if time.monotonic() - heard > _PATIENCE_SECONDS:
                    raise
                word, failure = HostWord.WAIT_FOR_LAUNCH, ""
            if failure:
                raise StartFailed(name=self._name(doing), host=self._host(doing, host_id), reason=failure.rstrip("."))
            if word == HostWord.DOWN:
                return str(word)
            if word not in _BEGINNING:
                self._write_word(doing, word)
                return str(word)
            doing.pause(_LOOK_SECONDS)
        raise StartUncertain(name=self._name(doing), host=self._host(doing, host_id))

    def _word(self, doing: Doing, host_id: str) -> tuple[str, str]:
        """The host's word of its status, and why it could not be started."""
        stats = stats_on(doing, host_id, self.vm_id)
        if stats is None:
            return HostWord.DOWN, "it has forgotten it"
        word = text(stats, "status")
        failed = word == HostWord.DOWN and whole(stats, "exitReason", ExitReason.START_FAILED) in _NEVER_RAN
        if failed and _never_went_on(stats):
            self._note(doing, status_detail=_NEVER_BEGAN)
        return word, text(stats, "exitMessage", "it does not say why") if failed else ""

    def _write_word(self, doing: Doing, word: str) -> None:
        status = _WORDS.get(word, VmStatus.POWERING_UP)
        with doing.services.store.write() as session:
            facts = held(session, self.vm_id).facts
            status = status if facts.status is VmStatus.WAIT_FOR_LAUNCH else facts.status
            session.vms.update_facts(self.vm_id, replace(facts, status=status, status_detail=""))

    def _name(self, doing: Doing) -> str:
        with doing.services.store.read() as session:
            return session.vms.get(self.vm_id).name

    @staticmethod
    def _host(doing: Doing, host_id: str) -> str:
        with doing.services.store.read() as session:
            return host_name(session, host_id)


def _never_went_on(stats: Mapping[str, Json] | None) -> bool:
    """Whether the host knows that the guest has not run: a state that it was to begin from is as good as it was."""
    reasons = (ExitReason.START_FAILED, ExitReason.DESTROYED_ON_STARTUP)
    return stats is not None and whole(stats, "exitReason", -1) in reasons


_WORDS: Final[Mapping[str, VmStatus]] = {HostWord.UP: VmStatus.UP, HostWord.PAUSED: VmStatus.PAUSED}


def destroy_on_host(doing: Doing, host_id: str, vm_id: str) -> None:
    """As good as done where the host does not know it. Raises HostRefused, HostUnreachable, HostUncertain."""
    try:
        doing.services.hosts.call(host_id, "VM.destroy", {"vmID": vm_id}, flow_id=doing.asked.correlation_id)
    except HostRefused as error:
        if error.code != Code.NO_SUCH_VM:
            raise


def _require_bootable(domain: Domain) -> None:
    """A machine that finds nothing to start from hangs in its firmware. Raises NothingToBootFrom."""
    hardware = domain.vm.hardware
    ways = {
        BootDevice.HD: bool(domain.disks),
        BootDevice.CDROM: domain.disc is not None,
        BootDevice.NETWORK: any(nic.nic.plugged for nic in domain.nics),
    }
    if not hardware.kernel and not any(ways[device] for device in domain.boot_devices):
        raise NothingToBootFrom


def _secrets(session: Session, vault: Vault, vm: Vm) -> dict[str, Json]:
    """Of a container that is given some. Raises NoSuchSecret, NotForThis, TooMuchSecret, NoSuchKey, BrokenSeal."""
    if vm.kind is not VmKind.CONTAINER:
        return {}
    wanted = container_settings(vm.hardware.custom_properties, action="run").secrets
    return {"secrets": secrets_of(session, vault, wanted, action="run VM")} if wanted else {}


def _volume(disc: VolumePlace) -> Mapping[str, Json]:
    return {"storagepoolID": disc.pool_id, "storagedomainID": disc.domain_id,
            "imageID": disc.image_id, "volumeID": disc.volume_id}  # fmt: skip


def _check_volumes(vm: Vm, declared: Sequence[str]) -> None:
    """Every volume that the image declares has a disk, or is said to be none. Raises UnmappedVolumes."""
    settings = container_settings(vm.hardware.custom_properties, action="run")
    places = {volume.place for volume in settings.volumes} | set(settings.discarded)
    missing = [path for path in declared if path not in places and path.rstrip("/").rpartition("/")[2] not in places]
    if missing:
        raise UnmappedVolumes(name=vm.name, paths=", ".join(missing), example=missing[0])
