# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The storage of a host that has no storage domains: whatever is asked for is not there."""

from covirt.common.errors import NotFound
from covirt.host.virt.volumes import VolumeRef


class NoStorageConnected(NotFound):
    template = "volume {ref} is not here: this host has no storage domain; connect it to a storage pool first"


class NoStorage:
    """A host.virt.volumes.Volumes."""

    def prepare(self, ref: VolumeRef, *, user: str) -> str:  # noqa: ARG002 - the protocol's
        raise NoStorageConnected(ref=ref)

    def teardown(self, ref: VolumeRef, *, user: str) -> None:
        """Nothing is prepared here."""
