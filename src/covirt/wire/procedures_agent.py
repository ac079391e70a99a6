# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures of libvirt's remote protocol: what others reach through a guest agent, and channels.

``procedures`` says where the facts come from; those of QEMU's program are in ``src/remote/qemu_protocol.x``.
"""

from typing import Final

from covirt.wire import structs as s
from covirt.wire import structs_agent as a
from covirt.wire.declare import write
from covirt.wire.framing import QEMU_PROGRAM

DOMAIN_GET_GUEST_VCPUS: Final = write(371, "domain_get_guest_vcpus", s.DomainFlagsArgs, s.Params64Ret)
DOMAIN_AGENT_SET_RESPONSE_TIMEOUT: Final = write(
    420, "domain_agent_set_response_timeout", a.DomainAgentSetResponseTimeoutArgs, s.ResultRet
)
QEMU_DOMAIN_AGENT_COMMAND: Final = write(
    3,
    "domain_agent_command",
    a.QemuDomainAgentCommandArgs,
    a.QemuDomainAgentCommandRet,
    program=QEMU_PROGRAM,
)
