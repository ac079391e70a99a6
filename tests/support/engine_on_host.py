# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine's API, commands and watch over one real covirt-host with libvirtd and virtocid, and the stock SDK."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import ovirtsdk4 as sdk

from covirt.engine.auth.seed import seed_access
from covirt.engine.commands.runner import Commands
from covirt.engine.commands.services import CommandServices
from covirt.engine.commands.table import COMMANDS
from covirt.engine.hosts.config import HostsConfig
from covirt.engine.hosts.manager import HostManager
from covirt.engine.model.access import User
from covirt.engine.model.host import Host, HostStatus
from covirt.engine.store.seed import seed
from covirt.engine.store.seed_data import made_id
from covirt.engine.store.store import Store
from covirt.rpc.tls import TlsFiles, client_context
from tests.support.covirt_host import CovirtHost, HostClient, serve_covirt_host
from tests.support.engine_api import api_app_of, serve_api
from tests.support.engine_changing import SUPER_USER, give
from tests.support.engine_samples import ADMIN_ID
from tests.support.libvirtd import Libvirtd
from tests.support.roots import new_root
from tests.support.vaults import new_vault
from tests.support.virtocid import Virtocid
from tests.support.waiting import free_port, wait_until

NETWORK: Final = "ovirtmgmt"
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOnHost:
    connection: sdk.Connection
    store: Store
    hosts: HostManager
    host: CovirtHost
    host_id: str

    @property
    def system(self) -> Any:
        return self.connection.system_service()

    @property
    def vms(self) -> Any:
        return self.system.vms_service()

    def on_host(self) -> dict[str, str]:
        """What the host itself says it has: names and statuses; of what has ended the id."""
        with self.host.client() as client:
            return {vm.get("vmName", vm["vmId"]): vm["status"] for vm in client.call("Host.getAllVmStats")}

    def macs_on_host(self, vm_id: str) -> set[str]:
        with self.host.client() as client:
            (stats,) = client.call("VM.getStats", {"vmID": vm_id})
        return {nic["macAddr"] for nic in stats["network"].values()}

    def wait_status(self, vm_id: str, *wanted: sdk.types.VmStatus) -> Any:
        service = self.vms.vm_service(vm_id)
        wait_until(lambda: service.get().status in wanted, timeout_seconds=_SECONDS, what=f"the VM to be {wanted}")
        return service.get()


@contextmanager
def serve_engine_on_host(directory: Path, libvirtd: Libvirtd, virtocid: Virtocid) -> Iterator[EngineOnHost]:
    """The host is up, has the network ovirtmgmt, and runs containers."""
    url = f"sqlite:///{directory}/engine.db"
    store = Store.open(url)
    host_id = str(uuid4())
    configuration = (
        f'[virt]\nqemu_uri = "{libvirtd.uri}"\noci_uri = "{virtocid.uri}"\nsample_seconds = 1\nhost_files = ["/"]\n'
        "[containers]\nenabled = true\n"
    )
    with ExitStack() as stack:
        stack.callback(store.close)
        root = stack.enter_context(new_root())
        host = stack.enter_context(serve_covirt_host(root, configuration=configuration, port=free_port()))
        with host.client() as client:
            _prepare(client)
        stack.callback(_clean_up, host)
        _install(store, host_id, host.port)
        hosts = HostManager(store, HostsConfig(poll_seconds=1), tls=client_context(TlsFiles.in_directory(host.pki)))
        commands = Commands(CommandServices(store=store, hosts=hosts, vault=new_vault()), COMMANDS, database_url=url)
        stack.callback(hosts.stop)
        hosts.start()
        stack.callback(commands.stop)
        commands.start()
        _wait_up(store, hosts, host_id)
        base = stack.enter_context(serve_api(api_app_of(store, commands=commands, hosts=hosts)))
        connection = sdk.Connection(url=base, token="admin", timeout=60)  # noqa: S106 - the test's own
        stack.callback(connection.close, logout=False)
        yield EngineOnHost(connection=connection, store=store, hosts=hosts, host=host, host_id=host_id)


def _wait_up(store: Store, hosts: HostManager, host_id: str) -> None:
    try:
        wait_until(lambda: hosts.is_up(host_id), timeout_seconds=_SECONDS / 4, what="the host to be up")
    finally:
        with store.read() as session:
            facts = session.hosts.get(host_id).facts
            print(f"The engine says of its host: {facts.status} {facts.status_detail}")  # noqa: T201


def _prepare(client: HostClient) -> None:
    wait_until(lambda: bool(client.call("Host.getCapabilities")["containers"]), what="containers")
    options = {"connectivityCheck": False}
    client.call("Host.setupNetworks", {"networks": {NETWORK: {"bridged": True}}, "bondings": {}, "options": options})


def _clean_up(host: CovirtHost) -> None:
    with host.client() as client:
        for vm in client.call("Host.getVMList"):
            client.call("VM.destroy", {"vmID": vm["vmId"]})
        removed = {NETWORK: {"remove": True}}
        client.call(
            "Host.setupNetworks", {"networks": removed, "bondings": {}, "options": {"connectivityCheck": False}}
        )


def _install(store: Store, host_id: str, port: int) -> None:
    with store.write() as session:
        seed(session)
        seed_access(session)
        session.users.add(User(id=ADMIN_ID, name="admin", principal="admin"))
        (cluster,) = session.clusters.list()
        session.clusters.update(replace(cluster, features=frozenset({made_id("feature", "containers", "4.8")})))
        host = Host(id=host_id, name="one", cluster_id=cluster.id, address="localhost", port=port)
        session.hosts.add(replace(host, facts=replace(host.facts, status=HostStatus.UNASSIGNED)))
    give(store, ADMIN_ID, SUPER_USER)
