# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the choice of a host is told from the database."""

from dataclasses import replace

import pytest

from covirt.engine.commands.vms.gathering import situation_of
from covirt.engine.model.host import HostFacts, HostStatus
from covirt.engine.model.storage_domain import StorageConnection, StorageDomain, StorageType
from covirt.engine.scheduler.choice import NoFittingHost, choose_host
from covirt.engine.scheduler.facts import VmView
from covirt.engine.store.store import Store
from tests.support.engine_objects import add_blank, add_cluster, new_host, new_id, new_vm


def test_a_directory_of_one_host_is_not_reached_from_others(store: Store) -> None:
    with store.write() as session:
        add_blank(session)
        cluster = add_cluster(session)
        up = HostFacts(status=HostStatus.UP, cpu_threads=1)
        oven, stove = (replace(new_host(cluster, name), facts=up) for name in ("oven", "stove"))
        session.hosts.add(oven)
        session.hosts.add(stove)
        connection = StorageConnection(id=new_id(), type=StorageType.LOCALFS, path="/data", host_id=stove.id)
        session.storage_connections.add(connection)
        domain = StorageDomain(
            id=new_id(), name="data", connection_id=connection.id, data_center_id=cluster.data_center_id
        )
        session.storage_domains.add(domain)
        vm = new_vm(cluster)
        session.vms.add(vm)
    with store.read() as session:
        situation = situation_of(session, vm, cluster, lambda _: True)
    view = VmView(id=vm.id, name=vm.name, domains=((domain.id, domain.name),))
    assert choose_host(view, situation).name == "stove"
    pinned = replace(view, host_ids=(oven.id,))
    with pytest.raises(
        NoFittingHost, match=r"host oven .* Storage because storage domain\(s\) data cannot be reached"
    ):
        choose_host(pinned, situation)
