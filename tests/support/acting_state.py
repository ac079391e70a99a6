# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An acting host that has storage, and keeps the states of its guests there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from covirt.engine.hosts.errors import HostRefused
from covirt.engine.store.store import Store
from covirt.hostapi.errors import Code
from covirt.rpc.jsonrpc import Json
from tests.support import engine_samples as s
from tests.support.acting_host import ActingHost

Params = Mapping[str, Json]


@dataclass
class ActingState:
    """``images``: what is on the storage. ``kept``: guests whose state is there, with the handle of it. ``begun``:
    the handle that each guest began from. ``words``: what the host says of a guest that is being saved, one look
    after the other, before it says that it is saved."""

    host: ActingHost
    images: set[str] = field(default_factory=set)
    kept: dict[str, str] = field(default_factory=dict)
    begun: dict[str, Json] = field(default_factory=dict)
    words: list[dict[str, Any]] = field(default_factory=lambda: [{"status": "Saving State"}])

    def __post_init__(self) -> None:
        self.host.hosts.answers |= {
            "Volume.create": self.make_volume,
            "Volume.getInfo": self.info,
            "Image.delete": self.remove_image,
            "Task.getStatus": lambda _params: {"taskState": "finished", "taskResult": "success"},
            "Task.clear": lambda _params: True,
            "VM.hibernate": self.save,
            "VM.getStats": self.stats,
            "VM.create": self.create,
            "VM.destroy": self.destroy,
        }

    def manage(self, store: Store) -> None:
        """The data center's storage."""
        with store.write() as session:
            center = session.data_centers.get(session.clusters.get(s.CLUSTER_ID).data_center_id)
            session.data_centers.update(replace(center, spm_host_id=s.HOST_ID))

    def make_volume(self, params: Params) -> Json:
        if params["imageID"] in self.images:
            raise HostRefused(host="oven", verb="Volume.create", code=Code.VOLUME_EXISTS, text="it exists")
        self.images.add(str(params["imageID"]))
        return "task"

    def info(self, params: Params) -> Json:
        self._there(params)
        return {"capacity": "1", "truesize": "1"}

    def remove_image(self, params: Params) -> Json:
        self._there(params)
        self.images.remove(str(params["imageID"]))
        return "task"

    def _there(self, params: Params) -> None:
        if params["imageID"] not in self.images:
            raise HostRefused(host="oven", verb="?", code=Code.NO_SUCH_IMAGE, text="no such image")

    def save(self, params: Params) -> Json:
        assert params["vmID"] in self.host.guests
        self.kept[str(params["vmID"])] = str(params["hibernateVolHandle"])
        return True

    def stats(self, params: Params) -> Json:
        vm_id = str(params["vmID"])
        if vm_id not in self.host.guests or vm_id not in self.kept:
            return self.host.stats(params)
        if self.words:
            return [{"vmId": vm_id, **self.words.pop(0)}]
        return [{"vmId": vm_id, "status": "Down", "exitCode": 0, "exitReason": 5, "exitMessage": "saved"}]

    def create(self, params: Params) -> Json:
        answer = self.host.create(params)
        settings = params["vmParams"]
        assert isinstance(settings, dict)
        self.begun[str(params["vmID"])] = settings.get("hiberVolHandle")
        return answer

    def destroy(self, params: Params) -> Json:
        self.kept.pop(str(params["vmID"]), None)
        return self.host.destroy(params)
