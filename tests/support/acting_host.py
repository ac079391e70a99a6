# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of a host that remembers its guests, for FakeHosts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree

from covirt.engine.hosts.errors import HostRefused
from covirt.engine.hosts.fake import FakeHosts
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json

Params = Mapping[str, Json]


@dataclass
class ActingHost:
    """``fails``: why a start ends badly after it was accepted. ``declared``: volumes of every container image."""

    hosts: FakeHosts
    guests: dict[str, str] = field(default_factory=dict)  # id to XML
    fails: str = ""
    declared: list[str] = field(default_factory=list)
    macs: dict[str, set[str]] = field(default_factory=dict)
    secrets: dict[str, Json] = field(default_factory=dict)  # as each guest was given them

    def __post_init__(self) -> None:
        self.hosts.answers |= {
            "VM.create": self.create,
            "VM.getStats": self.stats,
            "VM.destroy": self.destroy,
            "VM.shutdown": self._known,
            "VM.reset": self._known,
            "VM.cont": self._known,
            "VM.setTicket": self._known,
            "VM.freeze": self._known,
            "VM.thaw": self._known,
            "VM.changeCD": self._known,
            "VM.updateDevice": self._known,
            "Host.dumpxmls": self.xmls,
            "VM.hotplugNic": self.plug,
            "VM.hotunplugNic": self.unplug,
            "ContainerImage.inspect": lambda _params: {"volumes": list(self.declared)},
        }

    def create(self, params: Params) -> Json:
        vm_id, settings = str(params["vmID"]), params["vmParams"]
        if vm_id in self.guests:
            raise HostRefused(
                host="oven", verb="VM.create", code=Code.VM_EXISTS, text="Virtual machine already exists"
            )
        assert isinstance(settings, dict)
        self.guests[vm_id] = str(settings["xml"])
        self.secrets[vm_id] = settings.get("secrets")
        found = etree.fromstring(self.guests[vm_id]).findall("devices/interface/mac")
        self.macs[vm_id] = {each.get("address", "") for each in found}
        return {"vmId": vm_id, "status": "WaitForLaunch"}

    def xmls(self, params: Params) -> Json:
        asked = params["vmList"]
        assert isinstance(asked, list)
        return {str(vm_id): self._xml(str(vm_id)) for vm_id in asked if vm_id in self.guests}

    def _xml(self, vm_id: str) -> str:
        macs = "".join(f"<interface><mac address='{mac}'/></interface>" for mac in sorted(self.macs[vm_id]))
        return f"<domain><devices>{macs}</devices></domain>"

    def stats(self, params: Params) -> Json:
        vm_id = self._known(params)
        if self.fails:
            return [{"vmId": vm_id, "status": "Down", "exitMessage": self.fails, "exitCode": 1, "exitReason": 3}]
        network: Json = {f"vnet{n}": {"macAddr": mac} for n, mac in enumerate(sorted(self.macs[str(vm_id)]))}
        return [{"vmId": vm_id, "status": "Up", "network": network}]

    def destroy(self, params: Params) -> Json:
        del self.guests[str(self._known(params))]
        return True

    def plug(self, params: Params) -> Json:
        return self._plugged(params, add=True)

    def unplug(self, params: Params) -> Json:
        return self._plugged(params, add=False)

    def _plugged(self, params: Params, *, add: bool) -> Json:
        vm_id, device = str(self._known(params)), params["params"]
        assert isinstance(device, dict)
        (mac,) = etree.fromstring(str(device["xml"])).iterfind("devices/interface/mac")
        address, there = mac.get("address", ""), self.macs[vm_id]
        if (address in there) is add:
            raise HostRefused(host="oven", verb="plug", code=Code.HOT_PLUG_NIC, text="it is as it was")
        there.symmetric_difference_update({address})
        return {}

    def _known(self, params: Params) -> Json:
        if params["vmID"] not in self.guests:
            raise HostRefused(host="oven", verb="?", code=Code.NO_SUCH_VM, text="Virtual machine does not exist")
        return params["vmID"]
