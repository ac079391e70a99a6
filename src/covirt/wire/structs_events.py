# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies of the messages a server sends by itself. ``callback_id`` is the number the registration answered."""

from covirt.wire.codec import I32, U64, String, wire_struct
from covirt.wire.structs import Params2048, RemoteDomain


@wire_struct
class ConnectionClosedMsg:
    reason: I32


@wire_struct
class LifecycleMsg:
    callback_id: I32
    dom: RemoteDomain
    event: I32
    detail: I32


@wire_struct
class DomainMsg:
    """Reboot and control error."""

    callback_id: I32
    dom: RemoteDomain


@wire_struct
class BalloonChangeMsg:
    """``actual`` in KiB."""

    callback_id: I32
    dom: RemoteDomain
    actual: U64


@wire_struct
class DeviceAliasMsg:
    """Device added, removed, and not removed."""

    callback_id: I32
    dom: RemoteDomain
    dev_alias: String


@wire_struct
class TunableMsg:
    callback_id: I32
    dom: RemoteDomain
    params: Params2048


@wire_struct
class AgentLifecycleMsg:
    callback_id: I32
    dom: RemoteDomain
    state: I32
    reason: I32


@wire_struct
class MetadataChangeMsg:
    callback_id: I32
    dom: RemoteDomain
    type: I32
    nsuri: String | None
