# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The stock SDK sets up networks on a real covirt-host, and the far side of its NIC sees them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import ovirtsdk4 as sdk
import pytest
from ovirtsdk4 import types

from covirt.common.process import run
from covirt.engine.api.app import create_app
from covirt.engine.auth.seed import seed_access
from covirt.engine.commands.runner import Commands
from covirt.engine.commands.services import CommandServices
from covirt.engine.commands.table import COMMANDS
from covirt.engine.hosts.host_report import nics_of
from covirt.engine.model.access import User
from covirt.engine.model.host import Host
from covirt.engine.store.query import ListQuery
from covirt.engine.store.seed import seed
from covirt.engine.store.store import Store
from tests.support.covirt_host import CovirtHost
from tests.support.engine_api import api_services, serve_api
from tests.support.engine_changing import SUPER_USER, give
from tests.support.engine_samples import ADMIN_ID
from tests.support.far_side import FarSide, addresses, ip_json, new_far_side
from tests.support.one_host import OneHost
from tests.support.roots import new_root
from tests.support.vaults import new_vault

pytestmark = pytest.mark.root


class Watched(OneHost):
    """What it says is written down when it is asked for."""

    def __init__(self, store: Store, covirt_host: CovirtHost) -> None:
        super().__init__(str(uuid4()), covirt_host)
        self._store = store

    def refresh(self, host_id: str) -> None:
        said = self.call(host_id, "Host.getCapabilities")
        figures = self.call(host_id, "Host.getStats")
        assert isinstance(said, dict)
        assert isinstance(figures, dict)
        with self._store.write() as session:
            names = {network.vdsm_name: network.id for network in session.networks.list()}
            for nic in session.host_nics.list(ListQuery(where={"host_id": host_id})):
                session.host_nics.remove(nic.id)
            for nic in nics_of(host_id, said, figures, names):
                session.host_nics.add(nic)
            host = session.hosts.get(host_id)
            known = said["networks"]
            assert isinstance(known, dict)
            session.hosts.update_facts(host_id, replace(host.facts, networks=tuple(sorted(known))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    system: sdk.services.SystemService
    host: sdk.services.HostService
    far: FarSide
    cluster_id: str
    store: Store

    def network(self, name: str, **values: object) -> types.Network:
        """One that the host's cluster uses."""
        center = types.DataCenter(name="Default")
        made = self.system.networks_service().add(types.Network(name=name, data_center=center, **values))
        used = self.system.clusters_service().cluster_service(self.cluster_id).networks_service()
        used.add(types.Network(id=made.id, required=False))
        return made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    url = f"sqlite:///{tmp_path}/engine.db"
    store = Store.open(url)
    with new_root() as root, new_far_side() as far:
        covirt_host = CovirtHost(root)
        covirt_host.start()
        watched = Watched(store, covirt_host)
        with watched.connected() as hosts:
            cluster_id = _installed(store, hosts.host_id)
            hosts.refresh(hosts.host_id)
            commands = Commands(
                CommandServices(store=store, hosts=hosts, vault=new_vault()), COMMANDS, database_url=url
            )
            commands.start()
            app = create_app(replace(api_services(store), commands=commands, hosts=hosts))
            with serve_api(app) as api_url:
                connection = sdk.Connection(url=api_url, token="admin", timeout=60)  # noqa: S106 - stands for a login
                system = connection.system_service()
                host = system.hosts_service().host_service(hosts.host_id)
                yield Site(system=system, host=host, far=far, cluster_id=cluster_id, store=store)
                connection.close(logout=False)
            commands.stop()
        covirt_host.stop()
    store.close()


def _installed(store: Store, host_id: str) -> str:
    with store.write() as session:
        seed(session)
        seed_access(session)
        session.users.add(User(id=ADMIN_ID, name="admin", principal="admin"))
        (cluster,) = session.clusters.list()
        session.hosts.add(Host(id=host_id, name="one", cluster_id=cluster.id, address="localhost"))
    give(store, ADMIN_ID, SUPER_USER)
    return str(cluster.id)


def test_networks_come_to_a_host_and_leave_it(site: Site) -> None:
    shop, cellar = site.network("shopnet", mtu=1400), site.network("a-cellar-of-guests-alone")
    nics = {nic.name: nic for nic in site.host.nics_service().list()}
    ip = types.Ip(address=site.far.host_address(), netmask="255.255.255.0", version=types.IpVersion.V4)
    static = types.IpAddressAssignment(assignment_method=types.BootProtocol.STATIC, ip=ip)
    site.host.setup_networks(
        modified_network_attachments=[
            types.NetworkAttachment(
                network=types.Network(name="shopnet"),
                host_nic=types.HostNic(name=site.far.nic),
                ip_address_assignments=[static],
            ),
            types.NetworkAttachment(network=types.Network(id=cellar.id)),
        ],
        check_connectivity=True,
        connectivity_timeout=30,
    )
    assert site.far.reaches(site.far.host_address())
    assert addresses("shopnet") == {f"{site.far.host_address()}/24"}
    (bridge,) = ip_json("link", "show", "dev", cellar.vdsm_name)
    assert bridge["mtu"] == 1500
    site.host.commit_net_config()
    told = {each.network.id: each for each in site.host.network_attachments_service().list()}
    assert told.keys() == {shop.id, cellar.id}
    assert (told[shop.id].host_nic.id, told[shop.id].in_sync) == (nics[site.far.nic].id, True)
    assert told[shop.id].ip_address_assignments[0].ip.address == site.far.host_address()
    assert told[cellar.id].host_nic is None
    of_nic = site.host.nics_service().nic_service(nics[site.far.nic].id).network_attachments_service().list()
    assert [each.id for each in of_nic] == [told[shop.id].id]
    with pytest.raises(sdk.Error, match="MTU cannot change while it is set up on these hosts: one"):
        site.system.networks_service().network_service(shop.id).update(types.Network(mtu=1300))
    site.host.setup_networks(
        removed_network_attachments=[types.NetworkAttachment(id=each.id) for each in told.values()]
    )
    assert site.host.network_attachments_service().list() == []
    assert not site.far.reaches(site.far.host_address())
    assert site.system.events_service().list(max=1)[0].code == 10903
    assert {job.status for job in site.system.jobs_service().list()} == {types.JobStatus.FINISHED}
    _one_by_one(site, shop, nics[site.far.nic])
    _refused_by_the_host(site, shop)


def _one_by_one(site: Site, network: types.Network, nic: types.HostNic) -> None:
    """Added below the NIC, with an address; what another tool changes on the host is set up as it is wanted."""
    ip = types.Ip(address=site.far.host_address(), netmask="255.255.255.0", version=types.IpVersion.V4)
    static = types.IpAddressAssignment(assignment_method=types.BootProtocol.STATIC, ip=ip)
    of_nic = site.host.nics_service().nic_service(nic.id).network_attachments_service()
    wanted = types.NetworkAttachment(network=types.Network(id=network.id), ip_address_assignments=[static])
    made = of_nic.add(wanted)
    assert (made.network.id, made.host_nic.id, made.in_sync) == (network.id, nic.id, True)
    assert site.far.reaches(site.far.host_address())
    with pytest.raises(sdk.Error, match="is on the host one already") as refused:
        site.host.network_attachments_service().add(wanted)
    assert refused.value.code == 409
    run(["ip", "link", "set", "dev", site.far.nic, "mtu", "1300"], timeout_seconds=10)
    site.host.refresh()
    attachment = site.host.network_attachments_service().attachment_service(made.id)
    assert attachment.get().in_sync is False
    site.host.sync_all_networks()
    assert attachment.get().in_sync is True
    assert addresses("shopnet") == {f"{site.far.host_address()}/24"}
    attachment.remove()
    assert site.host.network_attachments_service().list() == []


def _refused_by_the_host(site: Site, network: types.Network) -> None:
    """It is told as the host says it, and nothing has changed."""
    static = types.IpAddressAssignment(assignment_method=types.BootProtocol.STATIC, ip=types.Ip(address="nonsense"))
    attachment = types.NetworkAttachment(
        network=types.Network(id=network.id),
        host_nic=types.HostNic(name=site.far.nic),
        ip_address_assignments=[static],
    )
    with pytest.raises(sdk.Error, match=r"has refused Host\.setupNetworks") as refused:
        site.host.setup_networks(modified_network_attachments=[attachment])
    assert refused.value.code == 409
    assert site.host.network_attachments_service().list() == []
    assert site.system.events_service().list(max=1)[0].code == 10904
