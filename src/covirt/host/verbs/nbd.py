# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""NBD servers for volumes of storage domains."""

from collections.abc import Mapping

from covirt.common.undo import undo_on_failure
from covirt.host.storage.image_volumes import NBD_PREFIX, ImageVolumes, check_writable
from covirt.host.storage.nbd import NbdExport, NbdServers
from covirt.host.storage.operation import checked_id
from covirt.host.storage.storage_paths import checked_uuid, named_uuid
from covirt.host.verbs.dispatch import CallContext, Handler
from covirt.host.verbs.sdm import NO_POOL
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.json import JsonValue
from covirt.hostapi.nbd import NbdServerConfig, StartServerParams, StopServerParams


class NbdVerbs:
    def __init__(self, *, servers: NbdServers, volumes: ImageVolumes) -> None:
        self._servers = servers
        self._volumes = volumes

    def handlers(self) -> Mapping[str, Handler]:
        return {"NBD.start_server": self.start, "NBD.stop_server": self.stop}

    def give_back(self) -> None:
        """What servers held that ended without us, or never began, when the agent was killed."""
        for user in self._volumes.all_users():
            server_id = user.removeprefix(NBD_PREFIX)
            if user.startswith(NBD_PREFIX) and not self._servers.runs(server_id):
                self._volumes.release(user)

    def start(self, params: StartServerParams, _context: CallContext) -> JsonValue:
        server_id, ref = checked_id(params.server_id, "server_id"), _ref(params.config)
        self._servers.check_free(server_id)
        volume = self._volumes.volume(ref)
        config = params.config
        with undo_on_failure() as undo:
            user = _user(server_id)
            self._volumes.prepare(ref, user=user, as_is=True)
            undo.add("give the volume back", lambda: self._volumes.release(user))
            if not config.readonly:
                check_writable(self._volumes, volume)
            export = NbdExport(
                volume=volume.layer,
                readonly=bool(config.readonly),
                discard=bool(config.discard),
                detect_zeroes=bool(config.detect_zeroes),
                backing_chain=config.backing_chain,
                bitmap=None if config.bitmap is None else checked_id(config.bitmap, "bitmap"),
            )
            self._volumes.bounded(ref.domain_id, export.check)  # storage that hangs keeps no other server waiting
            return self._servers.start(server_id, export)

    def stop(self, params: StopServerParams, _context: CallContext) -> JsonValue:
        server_id = checked_id(params.server_id, "server_id")
        self._servers.stop(server_id)
        self._volumes.release(_user(server_id))
        return None


def _user(server_id: str) -> str:
    return f"{NBD_PREFIX}{server_id}"


def _ref(config: NbdServerConfig) -> VolumeRef:
    return VolumeRef(
        pool_id=NO_POOL,
        domain_id=checked_uuid("sd_id", config.sd_id),
        image_id=named_uuid("img_id", config.img_id),
        volume_id=named_uuid("vol_id", config.vol_id),
    )
