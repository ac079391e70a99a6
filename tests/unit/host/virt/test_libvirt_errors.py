# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What libvirt's numbers mean is decided in one place, and a change whose outcome nobody knows is not undone."""

import libvirt
import pytest

from covirt.common.errors import Error
from covirt.common.process import Secret
from covirt.host.virt.device_errors import (
    AgentSilent,
    BadDevice,
    DiskNotPlugged,
    DisplayNotOpened,
    GuestCannot,
)
from covirt.host.virt.display import set_ticket
from covirt.host.virt.errors import DestroyFailed, HypervisorUnavailable, LibvirtFailed, VmIsDown
from covirt.host.virt.guest import Turns
from covirt.host.virt.hotplug import HotPlug
from covirt.host.virt.libvirt_errors import told_as, translated
from covirt.host.virt.nic_update import update_nic
from covirt.host.virt.volumes import VolumeRef
from tests.support.engine_xml import POOL, STORAGE, disk_xml
from tests.support.fake_volumes import FakeVolumes

REF = VolumeRef(pool_id=POOL, domain_id=STORAGE, image_id=POOL, volume_id=STORAGE)


def libvirt_error(code: int, domain: int = libvirt.VIR_FROM_QEMU) -> libvirt.libvirtError:
    error = libvirt.libvirtError("words")
    error.err = (code, domain, "words", libvirt.VIR_ERR_ERROR, "", "", "", -1, -1)
    return error


@pytest.mark.parametrize(
    ("error", "device", "action"),
    [
        (libvirt_error(libvirt.VIR_ERR_NO_DOMAIN), VmIsDown, VmIsDown),
        (libvirt_error(libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_RPC),) + (HypervisorUnavailable,) * 2,
        (libvirt_error(libvirt.VIR_ERR_AGENT_UNRESPONSIVE), AgentSilent, AgentSilent),
        (libvirt_error(libvirt.VIR_ERR_OPERATION_UNSUPPORTED), GuestCannot, GuestCannot),
        (libvirt_error(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED), DiskNotPlugged, LibvirtFailed),
        (libvirt_error(libvirt.VIR_ERR_CONFIG_UNSUPPORTED), DiskNotPlugged, LibvirtFailed),
        (libvirt_error(libvirt.VIR_ERR_INTERNAL_ERROR), DiskNotPlugged, LibvirtFailed),
    ],
)
def test_one_number_means_one_thing(error: libvirt.libvirtError, device: type[Error], action: type[Error]) -> None:
    with pytest.raises(device), told_as(DiskNotPlugged, name="web"):
        raise error
    with pytest.raises(action), translated("pause", "web"):
        raise error


def test_a_failure_says_what_was_wanted() -> None:
    with pytest.raises(DestroyFailed, match="libvirt could not destroy web: words"):  # noqa: SIM117 - what it is about
        with translated("destroy", "web", failure=DestroyFailed):
            raise libvirt_error(libvirt.VIR_ERR_OPERATION_FAILED)


class Guest:
    """covirt.host.virt.guest.Guest, and its domain, which answers an attachment with an error."""

    vm_id = POOL
    is_container = False
    devices = ""
    active = True

    def __init__(self, error: libvirt.libvirtError) -> None:
        self.volumes: tuple[VolumeRef, ...] = ()
        self._error = error

    def holds(self, volumes: tuple[VolumeRef, ...]) -> None:
        self.volumes = volumes

    def domain(self) -> "Guest":
        return self

    def XMLDesc(self, _flags: int) -> str:  # noqa: N802 - libvirt's names
        return f"<domain><devices>{self.devices}</devices></domain>"

    def metadata(self, *_words: object) -> str:
        raise libvirt_error(libvirt.VIR_ERR_NO_DOMAIN_METADATA)

    def setMetadata(self, *_words: object) -> None:  # noqa: N802
        """Kept by nobody."""

    def isActive(self) -> bool:  # noqa: N802
        return self.active

    def isPersistent(self) -> bool:  # noqa: N802
        return False

    def attachDeviceFlags(self, *_words: object) -> None:  # noqa: N802
        raise self._error


@pytest.mark.parametrize(
    ("domain", "caught", "held"),
    [(libvirt.VIR_FROM_QEMU, DiskNotPlugged, ()), (libvirt.VIR_FROM_RPC, HypervisorUnavailable, (REF,))],
)
def test_a_disk_the_guest_may_have_stays_its_own(
    domain: int, caught: type[Error], held: tuple[VolumeRef, ...]
) -> None:
    volumes = FakeVolumes({REF: "/some/file"})
    guest = Guest(libvirt_error(libvirt.VIR_ERR_INTERNAL_ERROR, domain))
    with pytest.raises(caught):
        HotPlug(volumes=volumes).plug_disk(guest, disk_xml("vdb", REF))
    assert guest.volumes == held
    assert tuple(volumes.users) == held


def test_a_change_of_a_guest_that_has_ended_meanwhile() -> None:
    """It does not matter what libvirt calls that."""
    volumes = FakeVolumes({REF: "/some/file"})
    guest = Guest(libvirt_error(libvirt.VIR_ERR_OPERATION_INVALID))
    guest.active = False
    with pytest.raises(VmIsDown):
        HotPlug(volumes=volumes).plug_disk(guest, disk_xml("vdb", REF))
    assert (guest.volumes, volumes.users) == ((), {})


def test_a_password_that_xml_cannot_have_is_refused_and_not_told() -> None:
    guest = Guest(libvirt_error(1))
    guest.devices = "<graphics type='vnc'/>"
    with pytest.raises(DisplayNotOpened, match="control characters") as caught:
        set_ticket(guest, Secret("se\0cret"), valid_seconds=60)
    assert "cret" not in str(caught.value)


def test_a_network_that_xml_cannot_have() -> None:
    with pytest.raises(BadDevice, match="control characters"):
        update_nic(Guest(libvirt_error(1)), Turns(), mac="52:54:00:00:00:01", network="a\0")
