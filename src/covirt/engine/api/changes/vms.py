# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of machines and of what they are made of, and what is done to them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from covirt.common.errors import InvalidRequest
from covirt.engine.api.call import Call
from covirt.engine.api.changes import snapshots
from covirt.engine.api.changes.bodies import called, refuse_set, told, told_word
from covirt.engine.api.changes.copies import copies_of
from covirt.engine.api.changes.hardware import boot_devices, changed_hardware, placement, sized_like
from covirt.engine.api.changes.initialization import changed_initialization
from covirt.engine.api.changes.running import ran
from covirt.engine.api.node import Body
from covirt.engine.api.params import flag
from covirt.engine.api.reading import at, items, referred, referred_object, require_fields
from covirt.engine.api.registry import Act, Done
from covirt.engine.api.resources.values import reference
from covirt.engine.commands.vms.add import add_vm as add
from covirt.engine.commands.vms.add_with_disks import AddVmWithDisks
from covirt.engine.commands.vms.discs import ChangeDisc
from covirt.engine.commands.vms.guest import Guest
from covirt.engine.commands.vms.kept_state import state_disks
from covirt.engine.commands.vms.nics import ActivateDeactivateVmNic, AddVmInterface, UpdateVmInterface, new_nic
from covirt.engine.commands.vms.nics import remove_nic as remove_one
from covirt.engine.commands.vms.power import RebootVm, ResetVm, ResumeVm, ShutdownVm, StopVm
from covirt.engine.commands.vms.remove import RemoveVm
from covirt.engine.commands.vms.run import RunVm
from covirt.engine.commands.vms.suspend import HibernateVm
from covirt.engine.commands.vms.update import update_vm as update
from covirt.engine.console.request import StreamRequest
from covirt.engine.model.disk import DiskContentType
from covirt.engine.model.template import Template
from covirt.engine.model.vm import BLANK_TEMPLATE_ID, Nic, Vm, VmFacts, VmStatus
from covirt.engine.store.query import ListQuery
from covirt.engine.store.session import Session
from covirt.engine.vms.kinds import ACTIONS, Stream, require_action

_VNC_ID: Final = b"vnc".hex()  # of a graphics console
# Of the machine in a start's body: what may be said for one run alone.
_RUN_ONCE: Final = frozenset({"id", "href", "name", "os", "placement_policy", "start_paused", "initialization"})
_RUN_ONCE_OS: Final = frozenset({"boot"})
_START_ABSENT: Final = {
    "use_sysprep": "Sysprep",
    "authorized_key": "keys of one start; send them as vm.initialization",
    "volatile": "runs that are forgotten",
}


class NotForOneRun(InvalidRequest):
    """Fields: field."""

    template = "Cannot run VM. '{field}' cannot be had for one run alone; change the machine, then start it."


class NotInBody(InvalidRequest):
    """Fields: field, place."""

    template = "A machine is added without '{field}'; add them afterwards, at {place}."


class NoProxyForConsole(InvalidRequest):
    """Fields: protocol."""

    template = "The engine shows consoles of protocol vnc only, and this is one of {protocol}."


class TemplateStays(InvalidRequest):
    template = "Cannot edit VM. What it was made of is a fact: its template cannot be changed."


def add_vm(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del ids
    require_fields("Vm", body, "add", "name", "cluster.id|name")
    _refuse_parts(body, "nics", "snapshots")
    template = _template(call, call.session, body)
    attached = call.session.disk_attachments.list(ListQuery(where={"template_id": template.id}))
    if not attached:
        _refuse_parts(body, "disk_attachments")
        with call.changing() as change:
            return Done(id=add(change, _wanted(call, change.session, body)))
    vm = replace(_wanted(call, call.session, body), id=call.new_id("machine"))
    copies = copies_of(call, attached, body, body, source=f"Template {template.name}", vm_id=vm.id)
    return ran(call, AddVmWithDisks(vm=vm, copies=copies), id=vm.id)


def _refuse_parts(body: Body, *fields: str) -> None:
    for field in fields:
        if items(body, field):
            raise NotInBody(field=field, place=f"vms/ID/{field.replace('_', '')}")


def _wanted(call: Call, session: Session, body: Body) -> Vm:
    cluster = referred_object(session.clusters, body["cluster"], "cluster")
    template = _template(call, session, body)
    type_id, base = sized_like(session, template.hardware, body)
    vm = Vm(
        id="",
        cluster_id=cluster.id,
        template_id=template.id,
        original_template_id=template.id,
        instance_type_id=type_id,
        hardware=changed_hardware(session, call.services.vault, base, body),
        origin=told(body, "origin", "ovirt"),
        cpu_profile_id=_cpu_profile(session, body, None, cluster.id),
        created_at=datetime.now(UTC),
    )
    return called(vm, body)


def clone_vm(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """POST vms/ID/clone, of a machine that is down: with its interfaces and copies of its disks."""
    source = call.session.vms.get(ids[-1])
    require_fields("Action", body, "clone", "vm.name")
    given = body["vm"]
    attached = call.session.disk_attachments.list(ListQuery(where={"vm_id": source.id}))
    vm = replace(
        source,
        id=call.new_id("clone"),
        name="",
        template_id=BLANK_TEMPLATE_ID,
        hardware=replace(source.hardware, delete_protected=False),
        next_run=False,
        facts=VmFacts(),
    )
    told_of: Body = given if isinstance(given, dict) else {}
    vm = called(vm, told_of)
    copies = copies_of(call, attached, told_of, body, source=f"VM {source.name}", vm_id=vm.id)
    done = ran(call, AddVmWithDisks(vm=vm, source_id=source.id, copies=copies))
    return replace(done, values={"vm": reference("Vm", vm.id)})


def update_vm(call: Call, ids: tuple[str, ...], body: Body) -> None:
    with call.changing() as change:
        session = change.session
        vm = session.vms.get(ids[-1])
        cluster = referred(session.clusters, body, "cluster")
        template = referred(session.templates, body, "template")
        if template is not None and template.id != vm.template_id:
            raise TemplateStays
        type_id, base = sized_like(session, vm.hardware, body)
        cluster_id = cluster.id if cluster else vm.cluster_id
        vm = replace(
            vm,
            cluster_id=cluster_id,
            instance_type_id=type_id or vm.instance_type_id,
            hardware=changed_hardware(session, call.services.vault, base, body),
            cpu_profile_id=_cpu_profile(session, body, vm.cpu_profile_id, cluster_id),
        )
        update(change, called(vm, body))


def remove_vm(call: Call, ids: tuple[str, ...]) -> None:
    """With its disks; with detach_only they stay."""
    call.run(RemoveVm(vm_id=ids[-1], detach_only=flag(call.params.others.get("detach_only", "false"))))


def _template(call: Call, session: Session, body: Body) -> Template:
    """The one that the body names, if the caller sees it; everybody has Blank. Raises NoSuchObject."""
    templates = session.templates
    found: Template = referred(templates, body, "template") or templates.get(BLANK_TEMPLATE_ID)
    return found if found.id == BLANK_TEMPLATE_ID else templates.get_visible(found.id, call.viewer)


def _cpu_profile(session: Session, body: Body, default: str | None, cluster_id: str) -> str | None:
    """By its id, or by its name among those of the machine's cluster."""
    found = referred(session.cpu_profiles, body, "cpu_profile", cluster_id=cluster_id)
    return found.id if found else default


def start_vm(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """oVirt's start also lets a paused machine go on."""
    vm = call.session.vms.get(ids[-1])
    refuse_set(body, **_START_ABSENT)
    once = body.get("vm")
    given: Body = once if isinstance(once, dict) else {}
    _check_once(given)
    if vm.facts.status is VmStatus.PAUSED:
        return ran(call, ResumeVm(vm_id=vm.id))
    hosts = placement(call.session, given, ())
    own = vm.hardware.initialization
    once_settings = given.get("initialization")
    command = RunVm(
        vm_id=vm.id,
        host_id=hosts[0] if hosts else None,
        boot_devices=boot_devices(given, "os.boot.devices", ()),
        paused=told(body, "pause", told(given, "start_paused", False)),
        initialize=_initialize(body),
        initialization=changed_initialization(call.services.vault, own, once_settings) if once_settings else None,
    )
    return ran(call, command)


def _initialize(body: Body) -> bool | None:
    """use_cloud_init says yes or no; use_initialization says yes once more."""
    if told(body, "use_initialization", False):
        return True
    return told(body, "use_cloud_init", False) if body.get("use_cloud_init") is not None else None


def _check_once(given: Body) -> None:
    system = given.get("os")
    strange = sorted(set(given) - _RUN_ONCE)
    if isinstance(system, dict):
        strange += [f"os.{name}" for name in sorted(set(system) - _RUN_ONCE_OS)]
    if strange:
        raise NotForOneRun(field=f"vm.{strange[0]}")


def _stop(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    return ran(call, StopVm(vm_id=ids[-1], reason=told(body, "reason", "")))


def _shut_down(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    return ran(call, ShutdownVm(vm_id=ids[-1], reason=told(body, "reason", "")))


def _reboot(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    return ran(call, RebootVm(vm_id=ids[-1]))


def _reset(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    return ran(call, ResetVm(vm_id=ids[-1]))


def _suspend(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    names = [(call.new_id(f"{word} disk"), call.new_id(f"{word} volume")) for word in ("state", "description")]
    vm = call.session.vms.get(ids[-1])
    return ran(call, HibernateVm(vm_id=vm.id, disks=state_disks(call.session, vm, names)))


def _freeze(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    _guest(call, ids[-1]).freeze()
    return Done()


def _thaw(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    _guest(call, ids[-1]).thaw()
    return Done()


def set_ticket(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """Of a machine, or of one of its consoles."""
    ticket = _guest(call, ids[0]).set_ticket(
        value=told(body, "ticket.value", ""), expiry_seconds=told(body, "ticket.expiry", 0)
    )
    return Done(values={"ticket": {"value": ticket.value, "expiry": ticket.expiry_seconds}})


def proxy_ticket(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """Of a console: opens it over the engine's WebSocket, without another password."""
    del body
    if ids[-1] != _VNC_ID:
        raise NoProxyForConsole(protocol=bytes.fromhex(ids[-1]).decode(errors="replace"))
    call.reader.release()
    request = StreamRequest(stream=Stream.VNC, told="the display")
    ticket = call.services.consoles.issue(call.asked, call.principal.session_id, ids[0], request)
    return Done(values={"proxy_ticket": {"value": ticket}})


def _guest(call: Call, vm_id: str) -> Guest:
    call.reader.release()
    return Guest(call.services.store, call.services.hosts, call.asked, vm_id)


def _of_kind(name: str, act: Act | None) -> Act:
    """The action, for kinds that have it."""

    def acted(call: Call, ids: tuple[str, ...], body: Body) -> Done:
        vm = call.session.vms.get(ids[-1])
        require_action(name, vm.kind, name=vm.name)
        if act is None:
            raise TypeError(f"nobody does {name}")
        return act(call, ids, body)

    return acted


_DONE: Final[dict[str, Act]] = {
    "clone": clone_vm,
    "commitsnapshot": snapshots.commit_snapshot,
    "freezefilesystems": _freeze,
    "previewsnapshot": snapshots.preview_snapshot,
    "reboot": _reboot,
    "reset": _reset,
    "shutdown": _shut_down,
    "start": start_vm,
    "stop": _stop,
    "suspend": _suspend,
    "thawfilesystems": _thaw,
    "ticket": set_ticket,
    "undosnapshot": snapshots.undo_snapshot,
}
VM_ACTIONS: Final[dict[str, Act]] = {
    name: _of_kind(name, _DONE.get(name)) for name in sorted({name for kind in ACTIONS.values() for name in kind})
}


def add_nic(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    require_fields("Nic", body, "add", "name")
    nic = new_nic(call.session, _nic(call.session, Nic(id="", vm_id=ids[-1]), body))
    nic = replace(nic, id=call.new_id("interface"))
    call.run(AddVmInterface(nic=nic))
    return Done(id=nic.id)


def update_nic(call: Call, ids: tuple[str, ...], body: Body) -> None:
    nic = _nic(call.session, call.session.nics.get(ids[-1]), body)
    call.run(UpdateVmInterface(nic=replace(nic, mac=new_nic(call.session, nic).mac)))


def remove_nic(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        remove_one(change, ids[-1])


def _nic(session: Session, nic: Nic, body: Body) -> Nic:
    refuse_set(body, network_filter_parameters="parameters of network filters")
    return replace(
        called(nic, body),
        interface=told_word(body, "interface", nic.interface),
        mac=told(body, "mac.address", nic.mac),
        vnic_profile_id=_profile(session, nic, body),
        linked=told(body, "linked", nic.linked),
        plugged=told(body, "plugged", nic.plugged),
    )


def _profile(session: Session, nic: Nic, body: Body) -> str | None:
    """By its id; or, among those of the machine's data center, by its name or that of its network. An empty reference
    takes it away."""
    value, center = body.get("vnic_profile"), {"data_center_id": _data_center_id(session, nic)}
    if value is None:
        network = body.get("network")
        if not isinstance(network, dict):
            return nic.vnic_profile_id
        found = referred_object(session.networks, network, "network", **center)
        profile = session.vnic_profiles.find(network_id=found.id)
        return profile.id if profile else None
    if isinstance(value, dict) and not value.get("id") and not value.get("name"):
        return None
    networks = tuple(each.id for each in session.networks.list(ListQuery(where=center)))
    profile_id: str = referred_object(session.vnic_profiles, value, "vnic_profile", network_id=networks).id
    return profile_id


def _data_center_id(session: Session, nic: Nic) -> str:
    return session.clusters.get(session.vms.get(nic.vm_id).cluster_id).data_center_id


def plug_nic(*, plugged: bool) -> Act:
    def switched(call: Call, ids: tuple[str, ...], body: Body) -> Done:
        del body
        nic = replace(call.session.nics.get(ids[-1]), plugged=plugged)
        return ran(call, ActivateDeactivateVmNic(nic=nic))

    return switched


def update_disc(call: Call, ids: tuple[str, ...], body: Body) -> None:
    """An empty file takes the disc out."""
    wanted = at(body, "file.id")
    name = at(body, "file.name")
    if wanted is None and name:
        discs = {"content_type": DiskContentType.ISO}
        wanted = referred_object(call.session.disks, {"name": name}, "file", **discs).id
    file_id = call.session.disks.get(str(wanted).lower()).id if wanted else None
    call.run(ChangeDisc(vm_id=ids[0], file_id=file_id, current=call.params.current))
