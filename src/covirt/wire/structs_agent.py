# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of what others reach through a guest agent; see structs for how they are written."""

from covirt.wire.codec import I32, U32, String, wire_struct
from covirt.wire.structs import RemoteDomain


@wire_struct
class DomainAgentSetResponseTimeoutArgs:
    dom: RemoteDomain
    timeout: I32
    flags: U32


@wire_struct
class QemuDomainAgentCommandArgs:
    """``timeout``: seconds, or -2 for ever, -1 the default, 0 not at all."""

    dom: RemoteDomain
    cmd: String
    timeout: I32
    flags: U32


@wire_struct
class QemuDomainAgentCommandRet:
    result: String | None
