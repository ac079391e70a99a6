# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine's API and operations, in the test's own process, and the one host they have: a real one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from covirt.engine.api.app import create_app
from covirt.engine.api.container_images import container_image_routes
from covirt.engine.api.secrets import secret_routes
from covirt.engine.auth.seed import seed_access
from covirt.engine.commands.runner import Commands
from covirt.engine.commands.services import CommandServices
from covirt.engine.commands.table import COMMANDS
from covirt.engine.model.access import User
from covirt.engine.model.host import Host
from covirt.engine.store.seed import seed
from covirt.engine.store.store import Store
from tests.support.covirt_host import CovirtHost
from tests.support.engine_api import api_client, api_services
from tests.support.engine_changing import SUPER_USER, Asker, give
from tests.support.engine_samples import ADMIN_ID
from tests.support.one_host import OneHost
from tests.support.roots import new_root
from tests.support.vaults import new_vault
from tests.support.waiting import free_port, wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An engine's API and commands, and the one host."""

    api: Asker
    store: Store
    hosts: OneHost
    covirt_host: CovirtHost
    center_id: str
    commands: Commands
    database_url: str

    def settle(self) -> None:
        """Until no operation goes on."""

        def idle() -> bool:
            with self.store.read() as session:
                return not session.commands.running()

        wait_until(idle, timeout_seconds=60, what="operations to end")

    def directory(self, name: str) -> Path:
        path = self.covirt_host.root.path / name
        path.mkdir()
        path.chmod(0o755)
        os.chown(path, 36, 36)
        return path

    def add(self, name: str, path: Path, status: int = 201) -> Any:
        storage = {"type": "localfs", "path": str(path)}
        body = {"name": name, "type": "data", "storage": storage, "host": {"name": "one"}}
        return self.api.post("storagedomains", body, status)

    @property
    def attached(self) -> str:
        """Where attached domains are."""
        return f"datacenters/{self.center_id}/storagedomains"

    def facts(self, domain_id: str) -> tuple[str, bool]:
        """Of an attached one."""
        domain = self.api.get(f"{self.attached}/{domain_id}")
        return domain["status"], domain["master"] == "true"

    def new_domain(self, name: str) -> str:
        """An active one; its id."""
        domain_id = str(self.add(name, self.directory(name))["id"])
        self.api.post(self.attached, {"id": domain_id})
        return domain_id

    @property
    def jobs(self) -> list[str]:
        return [f"{job['description']}: {job['status']}" for job in self.api.get("jobs")["job"]]


@contextmanager
def new_site(configuration: str = "", *, database_url: str = "") -> Iterator[Site]:
    """``configuration``: of the host. ``database_url``: of an empty one; else it is a file of the host's root."""
    with new_root() as root:
        url = database_url or f"sqlite:///{root.path}/engine.db"
        store = Store.open(url)
        covirt_host = CovirtHost(root, configuration=configuration, port=free_port())
        covirt_host.start()
        with OneHost(str(uuid4()), covirt_host).connected() as hosts:
            vault = new_vault()
            services = CommandServices(store=store, hosts=hosts, vault=vault)
            commands = Commands(services, COMMANDS, database_url=url)
            commands.start()
            center_id = _installed(store, hosts.host_id)
            api = replace(api_services(store), commands=commands, hosts=hosts)
            app = create_app(api, routes=[*container_image_routes(api), *secret_routes(api, vault)])
            yield Site(
                api=Asker(client=api_client(app)),
                store=store,
                hosts=hosts,
                covirt_host=covirt_host,
                center_id=center_id,
                commands=commands,
                database_url=url,
            )
            commands.stop()
        covirt_host.stop()
        store.close()


def _installed(store: Store, host_id: str) -> str:
    """The only data center, with local storage and the host in its cluster."""
    with store.write() as session:
        seed(session)
        seed_access(session)
        session.users.add(User(id=ADMIN_ID, name="admin", principal="admin"))
        (cluster,) = session.clusters.list()
        center = session.data_centers.get(cluster.data_center_id)
        session.data_centers.update(replace(center, local=True))
        session.hosts.add(Host(id=host_id, name="one", cluster_id=cluster.id, address="localhost"))
    give(store, ADMIN_ID, SUPER_USER)
    return str(center.id)
