# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What oVirt has and covirt has not: listed as empty, so that clients that look find nothing."""

from collections.abc import Sequence
from typing import Any, Final

from covirt.engine.api.call import Call
from covirt.engine.api.registry import Collection
from covirt.engine.api.resources.loading import empty, none, nothing


def _never(call: Call, ids: Sequence[str]) -> Sequence[Any]:
    del call, ids
    return ()


def _at_top(path: str, kind: str, what: str = "", *, tag: str | None = None) -> Collection:
    return Collection(**empty(path, kind, tag=tag, refused_add=what), list=none, get=_never)


GLUSTER_VOLUMES: Final = Collection(**empty("glustervolumes", "GlusterVolume", refused_add="Gluster"), below=nothing)
GLUSTER_HOOKS: Final = Collection(**empty("glusterhooks", "GlusterHook", refused_add="Gluster"), below=nothing)
KATELLO_ERRATA: Final = Collection(**empty("katelloerrata", "KatelloErratum", refused_add="Katello"), below=nothing)
AT_TOP: Final = (
    _at_top("vmpools", "VmPool"),
    _at_top("bookmarks", "Bookmark"),
    _at_top("externalvmimports", "ExternalVmImport", "import from other virtualization systems"),
    _at_top("externaltemplateimports", "ExternalTemplateImport", "import from other virtualization systems"),
    _at_top("externalhostproviders", "ExternalHostProvider", "external host providers"),
    _at_top("katelloerrata", "KatelloErratum", "Katello"),
    _at_top("openstackimageproviders", "OpenStackImageProvider", "OpenStack"),
    _at_top("openstacknetworkproviders", "OpenStackNetworkProvider", "OpenStack"),
    _at_top("openstackvolumeproviders", "OpenStackVolumeProvider", "OpenStack"),
)
