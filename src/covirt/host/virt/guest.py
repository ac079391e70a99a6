# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A running guest as its changes see it: libvirt's domain, and one change at a time."""

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import libvirt
from lxml import etree

from covirt.common.dialect import OVIRT_VM_NAMESPACE
from covirt.common.errors import Error
from covirt.host.virt.device_errors import GuestIsBusy
from covirt.host.virt.document import read_xml, write_xml
from covirt.host.virt.errors import VmIsDown
from covirt.host.virt.libvirt_errors import is_gone
from covirt.host.virt.vm_block import Edit, new_block
from covirt.host.virt.volumes import VolumeRef

_PREFIX: Final = "ovirt-vm"
_TURN_SECONDS: Final = 60.0


class Guest(Protocol):
    """What a change needs to know of a Vm."""

    @property
    def vm_id(self) -> str: ...

    @property
    def is_container(self) -> bool: ...

    @property
    def volumes(self) -> tuple[VolumeRef, ...]:
        """What is prepared for it, as it is written down."""
        ...

    def holds(self, volumes: tuple[VolumeRef, ...]) -> None:
        """Write down what is prepared for it from now on."""
        ...

    def domain(self) -> Any:
        """libvirt.virDomain, of whichever connection. Raises when the guest is not running."""
        ...


def live_xml(guest: Guest) -> etree._Element:
    return read_xml(guest.domain().XMLDesc(0))


def has_ended(guest: Guest) -> bool:
    """As far as libvirt can be asked: one of which it tells nothing may run."""
    try:
        return not guest.domain().isActive()
    except VmIsDown:
        return True
    except libvirt.libvirtError as error:
        return is_gone(error)
    except Error:
        return False


def edit_block(guest: Guest, edit: Edit) -> None:
    """Change oVirt's block of metadata, in the running domain and in its definition."""
    domain = guest.domain()
    block = _block(domain)
    edit(block)
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, _bare(block), _PREFIX, OVIRT_VM_NAMESPACE, _flags(domain))


def _bare(block: etree._Element) -> str:
    """Without the namespace, which libvirt declares itself and refuses to find declared."""
    bare = copy.deepcopy(block)
    for element in bare.iter():
        name = etree.QName(element)
        if name.namespace == OVIRT_VM_NAMESPACE:
            element.tag = name.localname
    etree.cleanup_namespaces(bare)
    return write_xml(bare)


def _flags(domain: Any) -> int:
    live: int = libvirt.VIR_DOMAIN_AFFECT_LIVE
    return live | libvirt.VIR_DOMAIN_AFFECT_CONFIG if domain.isPersistent() else live


def _block(domain: Any) -> etree._Element:
    try:
        block = read_xml(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, OVIRT_VM_NAMESPACE, 0))
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            raise
        return new_block()
    for element in block.iter():  # libvirt answers as it wants to be asked: with bare names
        if etree.QName(element).namespace is None:
            element.tag = f"{{{OVIRT_VM_NAMESPACE}}}{element.tag}"
    return block


class Turns:
    """One change of a guest at a time; the others wait for their turn, and not for ever.

    It is no lock of the guest's state: what waits for libvirt or storage holds nothing that anybody else needs.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy: set[str] = set()

    @contextmanager
    def turn(self, vm_id: str, *, timeout_seconds: float = _TURN_SECONDS) -> Iterator[None]:
        """Raises GuestIsBusy."""
        with self._changed:
            if not self._changed.wait_for(lambda: vm_id not in self._busy, timeout_seconds):
                raise GuestIsBusy(vm_id=vm_id, timeout_seconds=timeout_seconds)
            self._busy.add(vm_id)
        try:
            yield
        finally:
            with self._changed:
                self._busy.discard(vm_id)
                self._changed.notify_all()
