# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments, results and messages of procedures about secrets. A value is in no representation of them."""

from dataclasses import field
from typing import Annotated, Final

from covirt.wire.codec import I32, U32, String, wire_struct
from covirt.wire.structs import RemoteSecret
from covirt.wire.xdr import OpaqueCodec

VALUE_BYTES: Final = 65536  # REMOTE_SECRET_VALUE_MAX


@wire_struct
class SecretLookupByUsageArgs:
    """``usage_type``: VIR_SECRET_USAGE_TYPE_*."""

    usage_type: I32
    usage_id: String


@wire_struct
class SecretArgs:
    secret: RemoteSecret


@wire_struct
class SecretFlagsArgs:
    secret: RemoteSecret
    flags: U32


@wire_struct
class SecretSetValueArgs:
    secret: RemoteSecret
    value: Annotated[bytes, OpaqueCodec(VALUE_BYTES)] = field(repr=False)
    flags: U32


@wire_struct
class SecretGetValueRet:
    value: Annotated[bytes, OpaqueCodec(VALUE_BYTES)] = field(repr=False)


@wire_struct
class SecretLifecycleMsg:
    """``event``: VIR_SECRET_EVENT_*, which has no details."""

    callback_id: I32
    secret: RemoteSecret
    event: I32
    detail: I32


@wire_struct
class SecretMsg:
    """The value of a secret was changed."""

    callback_id: I32
    secret: RemoteSecret
