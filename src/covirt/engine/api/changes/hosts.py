# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of hosts, and what is done with them."""

from dataclasses import replace
from typing import Final

from covirt.engine.api.call import Call
from covirt.engine.api.changes.bodies import NotOffered, called, refuse_set, seen, told
from covirt.engine.api.changes.running import ran
from covirt.engine.api.node import Body
from covirt.engine.api.reading import at, require_fields
from covirt.engine.api.registry import Done
from covirt.engine.auth.permits import Right
from covirt.engine.commands.hosts import errors, messages
from covirt.engine.commands.hosts import host as hosts
from covirt.engine.commands.hosts.maintenance import MaintenanceVds
from covirt.engine.model.access import ObjectType, Subject
from covirt.engine.model.host import Host
from covirt.engine.store.errors import NoSuchObject

_DEFAULT_CLUSTER: Final = "Default"  # oVirt's, where the body names none


def add_host(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """What the body has to log in with is not looked at: the engine never logs in to hosts."""
    del ids
    require_fields("Host", body, "add", "name", "address")
    cluster_id = _cluster_id(call, body)
    activate = call.params.others.get("activate", "true").lower() != "false"
    with call.changing() as change:
        host = _told(Host(id="", cluster_id=cluster_id, address=""), body)
        host_id = hosts.add_host(change, host, activate=activate)
        if activate:
            added = change.session.hosts.get(host_id)
            change.tell(messages.WAITS_FOR_ENROLMENT, hosts.about(added), host=added.name)
    call.services.hosts.look()
    return Done(id=host_id)


def update_host(call: Call, ids: tuple[str, ...], body: Body) -> None:
    cluster = body.get("cluster")
    cluster_id = seen(call, call.session.clusters, cluster, "cluster").id if cluster is not None else None
    with call.changing() as change:
        before = change.session.hosts.get(ids[-1])
        host = _told(before, body)
        hosts.update_host(change, replace(host, cluster_id=cluster_id or before.cluster_id))
    call.services.hosts.look()


def remove_host(call: Call, ids: tuple[str, ...]) -> None:
    with call.changing() as change:
        hosts.remove_host(change, ids[-1])
    call.services.hosts.look()


def activate(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    with call.changing() as change:
        hosts.activate_host(change, ids[-1])
    call.services.hosts.look()
    return Done()


def deactivate(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    refuse_set(body, stop_gluster_service="Gluster")
    done = ran(call, MaintenanceVds(host_id=ids[-1], reason=told(body, "reason", "")))
    call.services.hosts.look()
    call.services.hosts.prepare_again()
    return done


def approve(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    refuse_set(body, cluster="other cluster for a host that is approved; edit the host")
    with call.changing() as change:
        hosts.approve_host(change, ids[-1])
    call.services.hosts.look()
    return Done()


def fence(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    """By hand only: somebody has seen that the host is off, or was rebooted."""
    require_fields("Action", body, "fence", "fence_type")
    kind = str(body["fence_type"]).lower()
    if kind != "manual":
        name = call.session.hosts.get(ids[-1]).name
        raise errors.NoPowerManagement(action=f"fence ({kind[:20]})", host=name)
    with call.changing() as change:
        hosts.confirm_rebooted(change, ids[-1])
    call.services.hosts.prepare_again()
    return Done()


def refresh(call: Call, ids: tuple[str, ...], body: Body) -> Done:
    del body
    with call.changing() as change:
        change.require(Right.MANIPULATE_HOST, Subject(type=ObjectType.HOST, id=ids[-1]))
    call.services.hosts.refresh(ids[-1])
    with call.changing() as change:
        host = change.session.hosts.get(ids[-1])
        change.tell(messages.REFRESHED, hosts.about(host), host=host.name)
    return Done()


def _cluster_id(call: Call, body: Body) -> str:
    named = body.get("cluster")
    if named is not None:
        return str(seen(call, call.session.clusters, named, "cluster").id)
    found = call.session.clusters.find(name=_DEFAULT_CLUSTER)
    if found is None:
        raise NoSuchObject(noun="Cluster", id=_DEFAULT_CLUSTER)
    return str(found.id)


def _told(host: Host, body: Body) -> Host:
    """The host with what the body says of it."""
    refuse_set(
        body,
        hosted_engine="hosted engine",
        external_host_provider="external host providers",
        external_network_provider_configurations="external network providers",
    )
    if at(body, "power_management.enabled"):
        raise NotOffered(field="power_management.enabled", what="power management")
    if at(body, "protocol") == "xml":
        raise NotOffered(field="protocol", what="protocol but STOMP")
    return replace(
        called(host, body),
        address=told(body, "address", host.address).strip(),
        port=told(body, "port", host.port),
        ssh_port=told(body, "ssh.port", host.ssh_port),
        ssh_fingerprint=told(body, "ssh.fingerprint", host.ssh_fingerprint),
        spm_priority=max(-1, min(10, told(body, "spm.priority", host.spm_priority))),
        override_iptables=told(body, "override_iptables", host.override_iptables),
    )
