# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A start: fit the XML to the host, take hold of its volumes, define the domain, start it; undone when a step fails.

When libvirt goes away in the middle nobody knows whether the guest runs. It is then neither up nor down, for an
engine that is told "down" may start it elsewhere; recovery ends it once libvirt is back.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import libvirt
from lxml import etree

from covirt.common.errors import Conflict, Error, InvalidRequest
from covirt.common.undo import UndoStack, undo_on_failure
from covirt.host.virt.container_secrets import define_secret, name_secrets, undefine_secrets
from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.errors import HypervisorUnavailable, NotGivenBack
from covirt.host.virt.hibernation import give_state_back, restore
from covirt.host.virt.libvirt_errors import is_connection_loss, is_gone, is_missing, translated
from covirt.host.virt.parts import VmParts
from covirt.host.virt.payloads import Payload, insert_disc
from covirt.host.virt.records import Exit, Phase
from covirt.host.virt.stop_causes import exit_for
from covirt.host.virt.vm import Vm
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.statuses import ExitReason, VmStatus

log = logging.getLogger(__name__)

_LAUNCH_PAUSED: Final = "launchPaused"
_UNDEFINE_MACHINE: Final = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE


class Cancelled(Conflict):
    template = "it was destroyed while it started"


class DomainExists(Conflict):
    template = "libvirt has a domain {name} with this id that covirt-host did not make: undefine it first"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotKept:
    """What a start needs beside the record. ``values``: of the secrets there, by their UUIDs."""

    values: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    payload: Payload | None = None
    state: VolumeRef | None = None  # to begin again from


def start_vm(vm: Vm, parts: VmParts, not_kept: NotKept) -> bool:
    """In a thread of its own; how it went is the Vm's status. False: libvirt is away; recovery has to find out."""
    try:
        paused = _start(vm, parts, not_kept)
    except HypervisorUnavailable as error:
        if vm.record.owns_domain:
            log.warning("libvirt went away during a start vm=%s reason=%s", vm.vm_id, error)
            return False
        _failed(vm, str(error))
    except Error as error:
        _failed(vm, str(error))
    except Exception:  # a thread top: whatever went wrong, the engine must learn that it does not run
        log.exception("A start failed vm=%s", vm.vm_id)
        vm.set_down(exit_for(ExitReason.START_FAILED))
    else:
        log.info("Vm started vm=%s name=%s kind=%s", vm.vm_id, vm.name, vm.kind)
        vm.set_running(paused=paused or not_kept.state is not None, first=True)
        if not_kept.state is not None:
            give_state_back(vm, not_kept.state, parts)
            if not paused:
                _go_on(vm)
    return True


def _go_on(vm: Vm) -> None:
    """One that was begun again from its kept state, now that it is written down that it runs."""
    try:
        with translated("continue", vm.name):
            vm.domain().resume()
    except Error as error:
        log.warning("A Vm stays paused after it was begun again vm=%s reason=%s", vm.vm_id, error)
    else:
        vm.set_resumed()


def _failed(vm: Vm, reason: str) -> None:
    log.warning("A Vm could not be started vm=%s reason=%s", vm.vm_id, reason)
    vm.set_down(exit_for(ExitReason.START_FAILED, reason))


def _start(vm: Vm, parts: VmParts, not_kept: NotKept) -> bool:
    connection = parts.hypervisors[vm.kind].get()
    with undo_on_failure() as undo:
        root = read_xml(vm.record.xml)
        undo.add("it holds nothing", partial(_give_volumes_back, vm, parts))
        state = (not_kept.state,) if not_kept.state else ()
        vm.holds((*parts.preparer.volumes_of(root), *state))
        parts.preparer.prepare(root, vm.kind, vm_id=vm.vm_id, undo=undo)
        if not_kept.payload is not None:
            undo.add("remove its disc of files", partial(parts.discs.remove, vm.vm_id))
            insert_disc(root, not_kept.payload.drive, parts.discs.make(vm.vm_id, not_kept.payload))
        name_secrets(root, vm.record.secrets)
        with translated("look for", vm.name):
            _require_absent(connection, vm)
        vm.take_domain()
        try:
            _define_secrets(vm, parts, not_kept.values, undo)
            return _run(vm, connection, write_xml(root), undo, _restoring(vm, root, parts, not_kept))
        except HypervisorUnavailable:
            undo.keep()
            raise


def _restoring(vm: Vm, root: etree._Element, parts: VmParts, not_kept: NotKept) -> Callable[[Any], None] | None:
    """How it begins again from its kept state, given a connection."""
    if not_kept.state is None:
        return None
    path = parts.volumes.prepare(not_kept.state, user=vm.vm_id)
    files = frozenset(source.get("file", "") for source in root.iterfind("devices/disk/source"))
    fit = partial(parts.preparer.fit_saved, prepared=files)
    return partial(restore, path=path, name=vm.name, fit=fit)


def _define_secrets(vm: Vm, parts: VmParts, values: Mapping[str, bytes], undo: UndoStack) -> None:
    if not vm.record.secrets:
        return
    undo.add("undefine its secrets", partial(give_secrets_back, vm, parts))
    connection = parts.hypervisors[vm.kind].get()
    for ref in vm.record.secrets:
        with translated(f"give the secret {ref.name} to", vm.name):
            define_secret(connection, ref, values[ref.uuid], vm_name=vm.name)


def _run(vm: Vm, connection: Any, xml: str, undo: UndoStack, restoring: Callable[[Any], None] | None) -> bool:
    undo.add("it owns nothing", vm.leave_domain)
    with translated("define", vm.name):
        domain = connection.defineXML(xml)
    undo.add("undefine the domain", partial(undefine, vm, domain))
    if vm.cancelled:
        raise Cancelled()
    paused = vm.facts.values.get(_LAUNCH_PAUSED, "").lower() == "true"
    undo.add("stop the domain", partial(_stop, domain))
    if restoring is not None:
        vm.set_status(VmStatus.RESTORING_STATE)
        restoring(connection)
    else:
        with translated("start", vm.name):
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)
    if vm.cancelled:
        raise Cancelled()
    with translated("look at", vm.name):
        vm.look_at(domain)
    return paused


def _require_absent(connection: Any, vm: Vm) -> None:
    try:
        connection.lookupByUUIDString(vm.vm_id)
    except libvirt.libvirtError as error:
        if not is_missing(error):
            raise
    else:
        raise DomainExists(name=vm.name)


def _stop(domain: Any) -> None:
    try:
        domain.destroy()
    except libvirt.libvirtError as error:
        if not is_gone(error):
            raise


def undefine(vm: Vm, domain: Any) -> None:
    """Forget a domain that does not run; one that is gone is fine. Raises libvirtError when libvirt is away."""
    try:
        domain.undefineFlags(0 if vm.is_container else _UNDEFINE_MACHINE)
    except libvirt.libvirtError as error:
        if is_connection_loss(error):
            raise
        log.debug("Undefining failed vm=%s error=%s", vm.vm_id, error)


def give_back(vm: Vm, parts: VmParts) -> None:
    """The volumes and the domain of one that is down.

    Raises HypervisorUnavailable, NotGivenBack, and can be called again then.
    """
    with vm.giving_back:
        if vm.record.owns_domain:
            try:
                undefine(vm, vm.domain())
            except libvirt.libvirtError as error:
                if not is_missing(error):
                    raise HypervisorUnavailable(name="libvirt", reason=error.get_error_message()) from error
            vm.leave_domain()
        _give_back_but_log(vm, parts)


def give_back_but_log(vm: Vm, parts: VmParts) -> None:
    """Of one that has ended, and that its engine keeps for its log. Raises and may be called again as give_back()."""
    with vm.giving_back:
        _give_back_but_log(vm, parts)


def end_vm(vm: Vm, parts: VmParts, exit: Exit) -> None:  # noqa: A002 - oVirt's word
    """It has ended. Who is told so finds none of its volumes in use; what cannot be given back now is tried again."""
    if vm.record.phase is not Phase.DOWN and vm.giving_back.acquire(blocking=False):  # or somebody is at it
        try:
            with contextlib.suppress(NotGivenBack):
                _give_volumes_back(vm, parts)
        finally:
            vm.giving_back.release()
    vm.set_down(exit)


def _give_back_but_log(vm: Vm, parts: VmParts) -> None:
    give_secrets_back(vm, parts)
    parts.discs.remove(vm.vm_id)
    _give_volumes_back(vm, parts)


def give_secrets_back(vm: Vm, parts: VmParts) -> None:
    """Of one that has none any more, or is down. Raises HypervisorUnavailable, NotGivenBack; may be called again."""
    if not vm.record.secrets:
        return
    try:
        undefine_secrets(parts.hypervisors[vm.kind].get(), vm.record.secrets)
    except libvirt.libvirtError as error:
        reason = error.get_error_message()
        if is_connection_loss(error):
            raise HypervisorUnavailable(name="libvirt", reason=reason) from error
        raise NotGivenBack(name=vm.name, volumes="secrets", reason=reason) from error
    vm.without_secrets()


def _give_volumes_back(vm: Vm, parts: VmParts) -> None:
    """What fails stays on record. Raises NotGivenBack."""
    failed: dict[VolumeRef, Exception] = {}
    for ref in vm.volumes:
        try:
            parts.volumes.teardown(ref, user=vm.vm_id)
        except InvalidRequest as error:  # there can be no such volume, now or later
            log.warning("A volume that cannot be is given back vm=%s volume=%s reason=%s", vm.vm_id, ref, error)
        except (Error, OSError) as error:
            log.warning("A volume could not be given back vm=%s volume=%s reason=%s", vm.vm_id, ref, error)
            failed[ref] = error
    vm.holds(tuple(failed))
    if failed:
        names = ", ".join(map(str, failed))
        raise NotGivenBack(name=vm.name, volumes=names, reason=next(iter(failed.values())))
