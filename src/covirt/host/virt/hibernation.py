# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A machine's state kept in a volume while it is off, and begun again from there.

libvirt writes the state, and says by the reason of the domain's stop that it is whole; so that is all there is to
know when the agent was killed meanwhile. A state is begun from once: its guest stands still until it is written down
that it runs, for a guest that went on must never be begun from its older state again.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import libvirt
from lxml import etree

from covirt.common.errors import Conflict, Error, InvalidRequest
from covirt.common.log import carrying_flow
from covirt.common.undo import undo_on_failure
from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.errors import HypervisorUnavailable, LibvirtFailed
from covirt.host.virt.libvirt_errors import translated
from covirt.host.virt.parts import VmParts
from covirt.host.virt.records import Phase
from covirt.host.virt.vm import Vm
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.statuses import VmStatus

log = logging.getLogger(__name__)


class BadStateVolume(InvalidRequest):
    template = (
        "{handle!r} does not say where the state is: six UUIDs are wanted, of the storage domain, the pool, and "
        "image and volume of the state and of its description"
    )


class NotSaved(LibvirtFailed):
    pass


class CannotBeSaved(Conflict):
    template = "{name} is {status}, and only the state of one that is up or paused can be kept"


def state_volume(handle: str) -> VolumeRef:
    """Of Vdsm's hiberVolHandle (API.py, _getHibernationPathsFromString), whose second volume is of a description that
    libvirt has within the state. Raises BadStateVolume."""
    try:
        domain, pool, image, volume, _, _ = (str(UUID(part.strip())) for part in handle.split(","))
    except ValueError:
        raise BadStateVolume(handle=handle[:300]) from None
    return VolumeRef(pool_id=pool, domain_id=domain, image_id=image, volume_id=volume)


class Hibernation:
    """Saves go on in threads of their own; how one went is the Vm's status."""

    def __init__(self, parts: VmParts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._saving: set[str] = set()

    def save(self, vm: Vm, state: VolumeRef) -> None:
        """Begin to; one that is being saved is fine. Raises VmIsDown, CannotBeSaved, HypervisorUnavailable, and what
        storage refuses with."""
        domain = vm.running_domain()
        with self._lock:
            if vm.vm_id in self._saving:
                return
            if vm.list_status not in (VmStatus.UP, VmStatus.PAUSED):
                raise CannotBeSaved(name=vm.name, status=vm.list_status.value)
            self._saving.add(vm.vm_id)
        with undo_on_failure() as undo:
            undo.add("it is saved no more", lambda: self._forget(vm))
            undo.add("it does not hold the volume of its state", lambda: give_state_back(vm, state, self._parts))
            vm.holds((*vm.volumes, state))
            path = self._parts.volumes.prepare(state, user=vm.vm_id)
            paused = vm.list_status is VmStatus.PAUSED
            thread = threading.Thread(
                target=carrying_flow(self._save),
                args=(vm, domain, state, path, paused),
                name=f"vm-save-{vm.vm_id[:8]}",
                daemon=True,  # libvirt goes on with it when we end
            )
            vm.set_status(VmStatus.SAVING_STATE)
            thread.start()

    def _save(self, vm: Vm, domain: Any, state: VolumeRef, path: str, paused: bool) -> None:  # noqa: FBT001 - a thread's
        try:
            with translated("save", vm.name, failure=NotSaved):
                domain.saveFlags(path, None, 0)
        except HypervisorUnavailable as error:  # recovery finds out how it went
            log.warning("libvirt went away during a save vm=%s reason=%s", vm.vm_id, error)
        except Error as error:
            if vm.record.phase is Phase.RUNNING:
                log.warning("The state of a Vm could not be kept vm=%s reason=%s", vm.vm_id, error)
                give_state_back(vm, state, self._parts)
                vm.set_status(VmStatus.PAUSED if paused else VmStatus.UP)
        except Exception:  # a thread top
            log.exception("Saving a Vm failed vm=%s", vm.vm_id)
        else:
            log.info("The state of a Vm is kept vm=%s volume=%s", vm.vm_id, state)
        finally:
            self._forget(vm)

    def _forget(self, vm: Vm) -> None:
        with self._lock:
            self._saving.discard(vm.vm_id)


def give_state_back(vm: Vm, state: VolumeRef, parts: VmParts) -> None:
    """What cannot be given back now is tried again when it has ended."""
    try:
        parts.volumes.teardown(state, user=vm.vm_id)
    except (Error, OSError) as error:
        log.warning("A state could not be given back vm=%s volume=%s reason=%s", vm.vm_id, state, error)
    else:
        vm.holds(tuple(ref for ref in vm.volumes if ref != state))


def restore(connection: Any, path: str, *, name: str, fit: Callable[[etree._Element], None]) -> None:
    """The domain stands still at the place where it was saved. ``fit``: makes its XML one of this host, and refuses
    what it may not have. Raises LibvirtFailed, HypervisorUnavailable, BadXml, and as ``fit`` does."""
    with translated("look at the kept state of", name):
        kept = connection.saveImageGetXMLDesc(path, libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
    root = read_xml(kept)
    fit(root)
    with translated("begin again", name):
        connection.restoreFlags(path, write_xml(root), libvirt.VIR_DOMAIN_SAVE_PAUSED)
