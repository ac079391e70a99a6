# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a new engine tells the stock SDK, over TLS and after a log-in."""

from covirt.engine.api.resources.registered import REGISTRY
from covirt.engine.api.services import API_PATH
from tests.support.covirt_engine import CovirtEngine


def test_a_new_engine_has_what_clients_look_for_first(any_engine: CovirtEngine) -> None:
    with any_engine.connection() as connection:
        system = connection.system_service()
        (cluster,) = system.clusters_service().list(search="name=Default")
        assert connection.follow_link(cluster.data_center).name == "Default"
        (blank,) = system.templates_service().list(search='name="Blank" and datacenter="Default"', max=1)
        assert blank.id == "00000000-0000-0000-0000-000000000000"
        assert "ovirtmgmt" in [network.name for network in system.networks_service().list()]
        assert "Default" in [pool.name for pool in system.mac_pools_service().list()]
        assert "SuperUser" in [role.name for role in system.roles_service().list()]
        (admin,) = system.users_service().list(search="usrname=admin@internal-authz")
        assert admin.principal == "admin"


def test_every_collection_at_the_top_is_read(any_engine: CovirtEngine) -> None:
    with any_engine.connection() as connection:
        for collection in REGISTRY.collections:
            service = connection.system_service().service(collection.path)
            read = getattr(service, "list", None) or getattr(service, "get", None)
            if read is None:
                continue
            for member in read()[:1]:
                assert member.href == f"{API_PATH}/{collection.path}/{member.id}"
