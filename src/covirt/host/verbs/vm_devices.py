# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class VM that change a running guest, answered."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from covirt.common.process import Secret
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.virt.device_errors import BadDevice, GuestCannot
from covirt.host.virt.disk_growth import extend_disk
from covirt.host.virt.display import set_ticket
from covirt.host.virt.document import attribute_of, read_xml
from covirt.host.virt.guest_agent import freeze, thaw
from covirt.host.virt.hotplug import HotPlug
from covirt.host.virt.kinds import require_allowed
from covirt.host.virt.limits import DiskLimits, Policy, set_balloon, set_cpus, set_policy
from covirt.host.virt.nic_update import update_nic
from covirt.host.virt.removable import Discs, Drive, disc_of
from covirt.host.virt.vm_guest import VmGuest
from covirt.host.virt.vms import Vms
from covirt.host.virt.volumes import GrowingVolumes
from covirt.hostapi.json import JsonValue
from covirt.hostapi.vm import VmParams
from covirt.hostapi.vm_devices import (
    BalloonParams,
    ChangeDiscParams,
    CpusParams,
    DeviceChange,
    DiskTune,
    ExtendDiskParams,
    HotPlugParams,
    PolicyParams,
    TicketParams,
    UpdateDeviceParams,
)

_NO_LIST: Final[JsonValue] = {"vmList": {}}
_NIC: Final = "interface"
_GRAPHICS: Final = "graphics"

# Takes the guest and the verb's params.
Change = Callable[[VmGuest, Any], JsonValue]


class VmDeviceVerbs:
    def __init__(self, vms: Vms, hotplug: HotPlug, growing: GrowingVolumes) -> None:
        self._vms = vms
        self._growing = growing
        self._hotplug = hotplug
        self._discs = Discs(hotplug=hotplug)

    def handlers(self) -> Mapping[str, Handler]:
        changes: dict[str, Change] = {
            "VM.hotplugDisk": self.plug_disk,
            "VM.hotunplugDisk": self.unplug_disk,
            "VM.hotplugNic": self.plug_nic,
            "VM.hotunplugNic": self.unplug_nic,
            "VM.updateDevice": self.update_device,
            "VM.changeCD": self.change_disc,
            "VM.diskSizeExtend": self.extend_disk,
            "VM.setTicket": self.set_ticket,
            "VM.setNumberOfCpus": self.set_cpus,
            "VM.setBalloonTarget": self.set_balloon,
            "VM.updateVmPolicy": self.update_policy,
            "VM.freeze": self.freeze,
            "VM.thaw": self.thaw,
        }
        return {verb: self._handler(verb, change) for verb, change in changes.items()}

    def _handler(self, verb: str, change: Change) -> Handler:
        def handle(params: VmParams, _context: CallContext) -> JsonValue:
            vm = self._vms.get(params.vm_id)
            require_allowed(verb, vm.kind, name=vm.name)
            guest = VmGuest(vm, self._vms.actions)
            guest.domain()  # one that is down is told so, before anything else of it is looked at
            return change(guest, params)

        return handle

    def plug_disk(self, guest: VmGuest, params: HotPlugParams) -> JsonValue:
        self._hotplug.plug_disk(guest, params.device.xml)
        guest.look_again()
        return _NO_LIST

    def unplug_disk(self, guest: VmGuest, params: HotPlugParams) -> JsonValue:
        self._hotplug.unplug_disk(guest, params.device.xml)
        guest.look_again()
        return _NO_LIST

    def plug_nic(self, guest: VmGuest, params: HotPlugParams) -> JsonValue:
        nic = self._hotplug.plug_nic(guest, params.device.xml)
        guest.look_again()
        return {"vmList": {"devices": [{"macAddr": nic.mac, "alias": nic.alias}], "xml": nic.domain_xml}}

    def unplug_nic(self, guest: VmGuest, params: HotPlugParams) -> JsonValue:
        self._hotplug.unplug_nic(guest, params.device.xml)
        guest.look_again()
        return _NO_LIST

    def update_device(self, guest: VmGuest, params: UpdateDeviceParams) -> JsonValue:
        change = params.change
        if change.device_type == _NIC:
            self._update_nic(guest, change)
        elif change.device_type == _GRAPHICS:
            require_allowed("VM.setTicket", guest.vm.kind, name=guest.vm.name)
            if change.password is None:
                raise BadDevice(reason="it has no password")
            password = Secret(change.password.get_secret_value())
            set_ticket(
                guest,
                password,
                valid_seconds=change.valid_seconds,
                kind=change.graphics_type,
                connected=change.connected,
            )
        else:
            raise GuestCannot(reason=f"devices of type {change.device_type!r} are not changed while they are used")
        guest.look_again()
        return _NO_LIST

    def _update_nic(self, guest: VmGuest, change: DeviceChange) -> None:
        if change.xml is None:
            update_nic(guest, self._hotplug.turns, alias=change.alias, link=change.link, network=change.network)
            return
        root = read_xml(change.xml)
        nic = root if root.tag == _NIC else root.find(f"devices/{_NIC}")
        if nic is None:
            raise BadDevice(reason="its XML holds no <interface>")
        state = attribute_of(nic, "link", "state")
        update_nic(
            guest,
            self._hotplug.turns,
            alias=attribute_of(nic, "alias", "name"),
            mac=attribute_of(nic, "mac", "address"),
            link=state != "down" if state else None,
            network=attribute_of(nic, "source", "bridge") or None,
        )

    def change_disc(self, guest: VmGuest, params: ChangeDiscParams) -> JsonValue:
        spec = params.spec
        drive = Drive(interface=spec.interface, index=spec.index)
        self._discs.change(guest, drive, disc_of(spec.volume if spec.volume is not None else spec.path))
        guest.look_again()
        return _NO_LIST

    def extend_disk(self, guest: VmGuest, params: ExtendDiskParams) -> JsonValue:
        size_bytes = extend_disk(
            guest, self._hotplug.turns, self._growing, device=params.device, asked_bytes=params.size_bytes
        )
        return str(size_bytes)

    def set_ticket(self, guest: VmGuest, params: TicketParams) -> JsonValue:
        password = Secret(params.password.get_secret_value())
        set_ticket(guest, password, valid_seconds=params.valid_seconds, connected=params.connected)
        return True

    def set_cpus(self, guest: VmGuest, params: CpusParams) -> JsonValue:
        set_cpus(guest, params.count, cpusets=params.cpusets or ())
        return _NO_LIST

    def set_balloon(self, guest: VmGuest, params: BalloonParams) -> JsonValue:
        set_balloon(guest, params.target_kib)
        guest.look_again()
        return True

    def update_policy(self, guest: VmGuest, params: PolicyParams) -> JsonValue:
        disks = tuple(_limits(disk) for disk in params.policy.disks or ())
        set_policy(guest, Policy(cpu_percent=params.policy.vcpu_limit, disks=disks))
        return True

    def freeze(self, guest: VmGuest, _params: VmParams) -> JsonValue:
        freeze(guest)
        return True

    def thaw(self, guest: VmGuest, _params: VmParams) -> JsonValue:
        thaw(guest)
        return True


def _limits(disk: DiskTune) -> DiskLimits:
    device = {
        "name": disk.name,
        "poolID": disk.pool_id,
        "domainID": disk.domain_id,
        "imageID": disk.image_id,
        "volumeID": disk.volume_id,
    }
    return DiskLimits(device=device, maximum=disk.maximum)
