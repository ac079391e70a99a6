# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine begins with, on both databases."""

import re

from covirt.engine.model.vm import BLANK_TEMPLATE_ID
from covirt.engine.store.seed import seed
from covirt.engine.store.store import Store


def test_a_new_engine_has_what_clients_expect(store: Store) -> None:
    with store.write() as session:
        seed(session)
    with store.read() as session:
        (cluster,) = session.clusters.list()
        (data_center,) = session.data_centers.list()
        (network,) = session.networks.list()
        (profile,) = session.vnic_profiles.list()
        assert (cluster.name, data_center.name, network.name) == ("Default", "Default", "ovirtmgmt")
        assert cluster.data_center_id == data_center.id
        assert cluster.features == frozenset()
        assert cluster.management_network_id == network.id
        assert profile.network_id == network.id
        assert session.templates.get(BLANK_TEMPLATE_ID).name == "Blank"
        assert {level.id for level in session.cluster_levels.list()} == {"4.7", "4.8"}
        assert session.tags.find(name="root") is not None


def test_seeding_again_changes_nothing(store: Store) -> None:
    with store.write() as session:
        seed(session)
        cluster = session.clusters.list()[0]
        session.clusters.remove(cluster.id)
        before = session.mac_pools.list()
        seed(session)
        assert session.clusters.list() == []
        assert session.mac_pools.list() == before


def test_definitions_of_custom_properties_can_be_read(store: Store) -> None:
    with store.write() as session:
        seed(session)
        option = session.system_options.get("PredefinedVMProperties")
    for value, _level in option.values:
        pairs = dict(entry.split("=", 1) for entry in value.split(";"))
        assert re.fullmatch(pairs["containerImage"], "docker.io/library/x:1")
        assert re.fullmatch(pairs["containerRestart"], "on-failure")
        assert not re.fullmatch(pairs["containerRestart"], "sometimes")
