# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Objects of the engine for tests: whole and valid, with a name and nothing special."""

import uuid
from datetime import UTC, datetime
from typing import Final

from covirt.engine.model.catalogue import SchedulingPolicy
from covirt.engine.model.cluster import Cluster
from covirt.engine.model.data_center import DataCenter
from covirt.engine.model.entity import Version
from covirt.engine.model.host import Host
from covirt.engine.model.network import MacPool, MacRange, Network
from covirt.engine.model.template import Template
from covirt.engine.model.vm import BLANK_TEMPLATE_ID, Vm
from covirt.engine.store.session import Session

NOON: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)


def new_id() -> str:
    return str(uuid.uuid4())


def add_cluster(session: Session, name: str = "kitchen") -> Cluster:
    """A cluster with all that it refers to."""
    pool = MacPool(
        id=new_id(), name=f"{name} pool", ranges=(MacRange(first="56:6f:00:00:00:00", last="56:6f:00:00:ff:ff"),)
    )
    session.mac_pools.add(pool)
    level = Version(major=4, minor=8)
    data_center = DataCenter(id=new_id(), name=f"{name} center", version=level, mac_pool_id=pool.id)
    session.data_centers.add(data_center)
    network = Network(id=new_id(), name=f"{name}-net", vdsm_name=f"{name[:8]}-net", data_center_id=data_center.id)
    session.networks.add(network)
    policy = SchedulingPolicy(id=new_id(), name=f"{name} policy")
    session.scheduling_policies.add(policy)
    cluster = Cluster(
        id=new_id(),
        name=name,
        data_center_id=data_center.id,
        version=level,
        scheduling_policy_id=policy.id,
        mac_pool_id=pool.id,
        management_network_id=network.id,
    )
    session.clusters.add(cluster)
    return cluster


def add_blank(session: Session) -> Template:
    blank = Template(id=BLANK_TEMPLATE_ID, name="Blank", created_at=NOON, base_template_id=BLANK_TEMPLATE_ID)
    session.templates.add(blank)
    return blank


def new_host(cluster: Cluster, name: str = "oven") -> Host:
    return Host(id=new_id(), name=name, cluster_id=cluster.id, address=f"{name}.example.com")


def new_vm(cluster: Cluster, name: str = "soup") -> Vm:
    return Vm(id=new_id(), name=name, cluster_id=cluster.id, created_at=NOON)
