# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the engine is told of this machine. Each step looks whether it is done, so all of it may be repeated."""

import os
import socket
import tempfile
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from covirt.cli.up.errors import AnotherEnginesHost, NotReady
from covirt.cli.up.installation import NETWORK, Choices, Installation
from covirt.cli.up.network import machine_address
from covirt.client.engine import EngineApi
from covirt.client.errors import EngineRefused
from covirt.common.files import make_directory
from covirt.common.process import run

CLUSTER: Final = "Default"
STORAGE: Final = "local"
FEATURE: Final = "containers"
_OWNER: Final = 36  # of all files in storage domains, user and group
_HOST_SECONDS: Final = 90.0
_ENROL_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.1

Tell = Callable[[str], object]
Found = TypeVar("Found")


class SetUp:
    """One telling of it all, to an engine that is logged in to."""

    def __init__(
        self,
        installation: Installation,
        choices: Choices,
        api: EngineApi,
        tell: Tell,
        *,
        start_host: Callable[[], object] = lambda: None,
    ) -> None:
        self._installation = installation
        self._choices = choices
        self._api = api
        self._tell = tell
        self._start_host = start_host

    def run(self) -> None:
        """Raises EngineRefused, EngineSilent, NotReady, CommandFailed."""
        cluster = self._cluster()
        self._data_center(cluster)
        self._containers(cluster)
        self._enrol()
        self._start_host()
        host = self._host()
        self._network(host)
        host = self._host_up(host)
        self._storage(host, cluster)

    def wait_for_host(self) -> None:
        """Until it is up; one that an administrator has put to rest is left alone. Raises NotReady."""

        def settled() -> bool:
            found = self._api.find("hosts", "host", self._choices.host_name)
            return found is None or found["status"] in ("up", "maintenance")

        self._wait(settled, f"the host {self._choices.host_name}")

    def _cluster(self) -> dict[str, Any]:
        found = self._api.find("clusters", "cluster", CLUSTER)
        if found is None:
            raise EngineRefused(what="set up this machine", reason=f"there is no cluster {CLUSTER} any more")
        return found

    def _data_center(self, cluster: dict[str, Any]) -> None:
        path = f"datacenters/{cluster['data_center']['id']}"
        if str(self._api.get(path).get("local")) != "true":
            self._api.put(path, {"local": True})

    def _containers(self, cluster: dict[str, Any]) -> None:
        path = f"clusters/{cluster['id']}/enabledfeatures"
        enabled = self._api.get(path).get("cluster_feature", [])
        version = cluster["version"]
        level = f"{version['major']}.{version['minor']}"
        offered = self._api.get(f"clusterlevels/{level}/clusterfeatures").get("cluster_feature", [])
        wanted = next((each for each in offered if each["name"] == FEATURE), None)
        if wanted is not None and all(each["id"] != wanted["id"] for each in enabled):
            self._api.post(path, {"id": wanted["id"]})

    def _enrol(self) -> None:
        installation, name = self._installation, self._choices.host_name
        known = self._api.find("hosts", "host", name)
        if installation.certificate.exists():
            if installation.host_ca_file.read_text().split() != installation.engine_ca_file.read_text().split():
                raise AnotherEnginesHost(path=installation.host_ca_file, directory=installation.host_pki)
            if known:
                return
        asked = {"host": name} if known else {"name": name, "address": _address(), "cluster": CLUSTER}
        token = str(self._api.post("/covirt/enrolment/tokens", asked)["token"])
        address = str(known["address"]) if known else _address()
        make_directory(installation.root.run_dir)
        with tempfile.NamedTemporaryFile("w", prefix=".token.", dir=installation.root.run_dir) as file:  # mode 0600
            file.write(token)
            file.flush()
            words = ["enrol", "--engine", installation.engine_url(self._choices), "--token-file", file.name]
            program = installation.program("covirt-host")
            run(
                [program, "--root", installation.root.path, *words, "--name", address],
                timeout_seconds=_ENROL_SECONDS,
            )
        self._tell(f"this machine is the host {name}")

    def _host(self) -> dict[str, Any]:
        """As the engine has it; its port may be another than all hosts have."""
        name, port = self._choices.host_name, self._choices.host_port
        found = self._wait(lambda: self._api.find("hosts", "host", name), f"the host {name}")
        if int(found["port"]) != port:
            self._wait(lambda: self._moved(found["id"], port), f"the host's port {port} in the engine")
        return found

    def _moved(self, host_id: str, port: int) -> bool:
        """Refused while the engine tries to connect: it is so until it has given up."""
        try:
            self._api.put(f"hosts/{host_id}", {"port": port})
        except EngineRefused:
            return False
        return True

    def _network(self, host: dict[str, Any]) -> None:
        """A bridge for guests, in which the machine has an address; a host's own cables are left alone."""
        path = f"hosts/{host['id']}"
        self._wait(lambda: self._connected(host), f"the host {host['name']}")
        if self._api.get(f"{path}/networkattachments").get("network_attachment"):
            return
        address, mask = machine_address(self._choices.subnet)
        ip = {"address": address, "netmask": mask, "version": "v4"}
        assignment = {"assignment_method": "static", "ip": ip}
        attachment = {
            "network": {"name": NETWORK},
            "ip_address_assignments": {"ip_address_assignment": [assignment]},
        }
        body = {
            "modified_network_attachments": {"network_attachment": [attachment]},
            "check_connectivity": False,
            "commit_on_success": True,
        }
        self._api.post(f"{path}/setupnetworks", body)
        self._tell(f"network {NETWORK}: {self._choices.subnet}")

    def _connected(self, host: dict[str, Any]) -> bool:
        return str(self._api.get(f"hosts/{host['id']}")["status"]) in ("up", "non_operational", "maintenance")

    def _host_up(self, host: dict[str, Any]) -> dict[str, Any]:
        path = f"hosts/{host['id']}"

        def up() -> dict[str, Any] | None:
            found = self._api.get(path)
            return found if found["status"] == "up" else None

        if self._api.get(path)["status"] in ("maintenance", "non_operational"):
            self._api.post(f"{path}/activate", {})
        return self._wait(up, f"the host {host['name']}")

    def _storage(self, host: dict[str, Any], cluster: dict[str, Any]) -> None:
        """A storage domain in a directory, attached and so active."""
        directory = self._installation.storage_dir
        attached = f"datacenters/{cluster['data_center']['id']}/storagedomains"
        if any(each["name"] == STORAGE for each in self._api.get(attached).get("storage_domain", [])):
            return
        make_directory(directory, mode=0o755)
        os.chown(directory, _OWNER, _OWNER)
        found = self._api.find("storagedomains", "storage_domain", STORAGE)
        if found is None:
            storage = {"type": "localfs", "path": str(directory)}
            body = {"name": STORAGE, "type": "data", "storage": storage, "host": {"id": host["id"]}}
            found = self._api.post("storagedomains", body)
        self._api.post(attached, {"id": found["id"]})
        self._tell(f"storage domain {STORAGE}: {directory}")

    def _wait(self, look: Callable[[], Found | None], what: str) -> Found:
        """What look() finds, as soon as it does. Raises NotReady."""
        deadline = time.monotonic() + _HOST_SECONDS
        while not (found := look()):
            if time.monotonic() > deadline:
                raise NotReady(what=what, seconds=_HOST_SECONDS, hint=self._why())
            time.sleep(_LOOK_SECONDS)
        return found

    def _why(self) -> str:
        """What the engine says of the host."""
        found = self._api.find("hosts", "host", self._choices.host_name)
        if found is None:
            return "the engine has not seen it"
        return f"the engine has it as {found['status']}: {found.get('status_detail') or 'no reason is known'}"


def host_name() -> str:
    """Of this machine, as the engine's list of hosts has it."""
    return socket.gethostname().partition(".")[0] or "host"


def _address() -> str:
    """How the engine reaches the host that it shares the machine with, and others reach it where that is known."""
    name = socket.getfqdn()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return "localhost"
    return name
