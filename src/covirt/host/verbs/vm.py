# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class VM, answered: what a kind cannot do is refused before anything else is looked at."""

from collections.abc import Mapping

from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.virt.container_secrets import GivenSecret
from covirt.host.virt.errors import BadVm
from covirt.host.virt.hibernation import state_volume
from covirt.host.virt.host_devices import host_devices
from covirt.host.virt.kinds import Kind, require_allowed
from covirt.host.virt.vm import Vm
from covirt.host.virt.vms import Vms
from covirt.hostapi.errors import CallRefused, Code
from covirt.hostapi.host import DevicesParams
from covirt.hostapi.json import JsonValue
from covirt.hostapi.verb import Params
from covirt.hostapi.vm import (
    CreateParams,
    DestroyParams,
    HibernateParams,
    ShutdownParams,
    VmFullListParams,
    VmListParams,
    VmParams,
    VmSecret,
)

# Verbs that no kind has here; their reasons are in kinds.py.
_NEVER = ("VM.migrate", "VM.migrateCancel")


class VmVerbs:
    def __init__(self, vms: Vms) -> None:
        self._vms = vms

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "VM.create": self.create,
            "VM.destroy": self.destroy,
            "VM.shutdown": self.shutdown,
            "VM.reset": self.reset,
            "VM.pause": self.pause,
            "VM.cont": self.cont,
            "VM.hibernate": self.hibernate,
            "VM.setDestroyOnReboot": self.set_destroy_on_reboot,
            "VM.getStats": self.get_stats,
            "VM.getMigrationStatus": self.get_migration_status,
            **{name: self._never(name) for name in _NEVER},
            "Host.getVMList": self.get_list,
            "Host.getVMFullList": self.get_full_list,
            "Host.dumpxmls": self.dump_xmls,
            "Host.hostdevListByCaps": self.list_devices,
            "Host.getAllVmStats": self.get_all_stats,
        }

    def allowed(self, verb: str, vm_id: str) -> Vm:
        """The Vm, if its kind has the verb. Raises NoSuchVm, NotForThisKind."""
        vm = self._vms.get(vm_id)
        require_allowed(verb, vm.kind, name=vm.name)
        return vm

    def create(self, params: CreateParams, _context: CallContext) -> JsonValue:
        settings = params.settings
        given = [_given(secret) for secret in settings.secrets]
        vm = self._vms.create(settings.xml, given, state_handle=settings.state_handle)
        return {**vm.summary(), "xml": settings.xml}

    def destroy(self, params: DestroyParams, _context: CallContext) -> JsonValue:
        self._vms.destroy(params.vm_id, graceful_attempts=params.graceful_attempts)
        return True

    def shutdown(self, params: ShutdownParams, _context: CallContext) -> JsonValue:
        vm = self.allowed("VM.shutdown", params.vm_id)
        self._vms.actions.shut_down(
            vm, timeout_seconds=params.timeout_seconds, force=params.force, reboot=params.reboot
        )
        return True

    def reset(self, params: VmParams, _context: CallContext) -> JsonValue:
        self._vms.actions.reset(self.allowed("VM.reset", params.vm_id))
        return True

    def pause(self, params: VmParams, _context: CallContext) -> JsonValue:
        self._vms.actions.pause(self.allowed("VM.pause", params.vm_id))
        return {"vmList": {}}

    def cont(self, params: VmParams, _context: CallContext) -> JsonValue:
        self._vms.actions.resume(self.allowed("VM.cont", params.vm_id))
        return {"vmList": {}}

    def hibernate(self, params: HibernateParams, _context: CallContext) -> JsonValue:
        vm = self.allowed("VM.hibernate", params.vm_id)
        self._vms.hibernation.save(vm, state_volume(params.state_handle))
        return True

    def set_destroy_on_reboot(self, params: VmParams, _context: CallContext) -> JsonValue:
        self.allowed("VM.setDestroyOnReboot", params.vm_id).destroys_on_reboot()
        return True

    def get_stats(self, params: VmParams, _context: CallContext) -> JsonValue:
        return [self._vms.stats(self._vms.get(params.vm_id))]

    def get_migration_status(self, params: VmParams, _context: CallContext) -> JsonValue:
        self._vms.get(params.vm_id)
        raise CallRefused(Code.MIGRATION_NOT_IN_PROGRESS, "Migration not in progress")

    def get_list(self, params: VmListParams, _context: CallContext) -> JsonValue:
        vms = self._chosen(params.vm_list)
        if params.only_uuid:
            return [vm.vm_id for vm in vms]
        if params.full_status:
            return [{**vm.summary(), "vmName": vm.name, "vmType": vm.kind.value} for vm in vms]
        return [vm.summary() for vm in vms]

    def get_full_list(self, params: VmFullListParams, _context: CallContext) -> JsonValue:
        return [vm.summary() for vm in self._chosen(params.vm_list)]

    def dump_xmls(self, params: VmFullListParams, _context: CallContext) -> JsonValue:
        # None is asked for by name: none is told. One that ended just now keeps the others from nobody.
        vms = self._chosen(params.vm_list) if params.vm_list else []
        return {vm.vm_id: vm.domain_xml() for vm in vms}

    def list_devices(self, params: DevicesParams, _context: CallContext) -> JsonValue:
        return host_devices(self._vms.connections[Kind.MACHINE].get(), params.capabilities or ())

    def get_all_stats(self, _params: Params, _context: CallContext) -> JsonValue:
        return [self._vms.stats(vm) for vm in self._vms.all()]

    def _chosen(self, vm_ids: list[str]) -> list[Vm]:
        wanted = {vm_id.lower() for vm_id in vm_ids}
        return [vm for vm in self._vms.all() if not wanted or vm.vm_id in wanted]

    def _never(self, verb: str) -> Handler:
        def refuse(params: VmParams, _context: CallContext) -> JsonValue:
            self.allowed(verb, params.vm_id)
            raise BadVm(reason=f"{verb} is refused for every kind")

        return refuse


def _given(secret: VmSecret) -> GivenSecret:
    return GivenSecret(
        name=secret.name,
        value=secret.value.get_secret_value(),
        path=secret.path,
        mode=secret.mode,
        uid=secret.uid,
        gid=secret.gid,
        environment=secret.environment,
    )
