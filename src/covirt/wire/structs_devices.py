# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of procedures that attach, detach and change devices, as far as they are no general ones."""

from covirt.wire.codec import U32, String, wire_struct
from covirt.wire.structs import RemoteDomain


@wire_struct
class DomainDetachDeviceAliasArgs:
    dom: RemoteDomain
    alias: String
    flags: U32
