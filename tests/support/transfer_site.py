# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An engine's API, a real covirt-host and oVirt's imageio daemon, for uploads and downloads. A process has one."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from covirt.common.root import Root
from covirt.engine.model.disk import ImageTransfer
from covirt.engine.storage.transfer_watch import TransferWatch
from covirt.host.storage.socket_program import SocketProgram
from tests.support.storage_site import Site, new_site
from tests.support.transfers import ImageClient
from tests.support.waiting import free_port

MIB: Final = 1 << 20
DATA: Final = bytes(range(256)) * 4096  # one MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    site: Site
    domain_id: str

    def disk(self, name: str, image_format: str = "raw", **more: object) -> dict[str, Any]:
        body = {"alias": name, "format": image_format, "provisioned_size": MIB, **more}
        made: dict[str, Any] = self.site.api.post("disks", body)
        return made

    def begin(self, disk: Mapping[str, Any], direction: str, status: int = 201, **more: object) -> dict[str, Any]:
        body = {"disk": {"id": disk["id"]}, "direction": direction, **more}
        made: dict[str, Any] = self.site.api.post("imagetransfers", body, status)
        return made

    def act(self, transfer: Mapping[str, Any], action: str, status: int = 200) -> Any:
        return self.site.api.post(f"imagetransfers/{transfer['id']}/{action}", {}, status)

    def phase(self, transfer: Mapping[str, Any]) -> str:
        return str(self.site.api.get(f"imagetransfers/{transfer['id']}")["phase"])

    def status(self, disk: Mapping[str, Any]) -> str:
        return str(self.site.api.get(f"disks/{disk['id']}")["status"])

    def client(self, transfer: Mapping[str, Any]) -> ImageClient:
        """By the URL that clients are told."""
        place, _, ticket = str(transfer["transfer_url"]).rpartition("/images/")
        context = ssl.create_default_context(cafile=str(self.site.covirt_host.pki / "certs/cacert.pem"))
        return ImageClient(port=int(place.rpartition(":")[2]), context=context, ticket_id=ticket)

    def path(self, disk: Mapping[str, Any]) -> Path:
        images = self.site.covirt_host.root.path / "data" / self.domain_id / "images"
        return images / str(disk["id"]) / str(disk["image_id"])

    @property
    def told(self) -> list[str]:
        """Codes of events, newest first."""
        return [event["code"] for event in self.site.api.get("events")["event"]]

    def watch(self) -> TransferWatch:
        return TransferWatch(self.site.store, self.site.hosts, self.site.commands)

    def let_go(self, transfer: ImageTransfer) -> None:
        """At the host, whose engine has given it up."""
        ids = {"storagedomainID": self.domain_id, "storagepoolID": self.site.center_id, "imageID": transfer.disk_id}
        self.site.hosts.call(self.site.hosts.host_id, "Host.remove_image_ticket", {"uuid": transfer.ticket_id})
        self.site.hosts.call(self.site.hosts.host_id, "Image.teardown", ids)

    def tickets_held(self) -> bool:
        return bool((self.site.covirt_host.root.run_dir / "host/storage.json").read_text().count("ticket"))


@contextmanager
def new_place() -> Iterator[Place]:
    with new_site(f"[images]\nimageio_port = {free_port()}\n") as site:
        domain_id = site.new_domain("data")
        site.api.put(f"storagedomains/{domain_id}", {"critical_space_action_blocker": "0"})
        try:
            yield Place(site=site, domain_id=domain_id)
        finally:
            SocketProgram(Root(site.covirt_host.root.path).run_dir / "host/imageio/sock").end(grace_seconds=5)
