# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments and answers of procedures about limits and shares."""

from covirt.wire.codec import I32, U32, String, wire_struct
from covirt.wire.structs import RemoteDomain


@wire_struct
class DomainSetVcpuArgs:
    """``cpumap`` is a list such as ``1-3``; ``state`` 0 switches these CPUs off."""

    dom: RemoteDomain
    cpumap: String
    state: I32
    flags: U32
