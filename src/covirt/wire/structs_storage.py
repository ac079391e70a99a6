# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of the storage procedures that change or move something; ``structs_host`` has those that only look."""

from typing import Annotated

from covirt.wire.codec import I32, U32, U64, Limit, String, wire_struct
from covirt.wire.structs import LIST_LIMIT, RemoteStoragePool, RemoteStorageVol


@wire_struct
class StoragePoolListVolumesArgs:
    pool: RemoteStoragePool
    maxnames: I32


@wire_struct
class StoragePoolListVolumesRet:
    names: Annotated[tuple[String, ...], Limit(LIST_LIMIT)]


@wire_struct
class StorageVolTransferArgs:
    """Of a download or an upload; a ``length`` of 0 is all there is from ``offset`` on. Bytes."""

    vol: RemoteStorageVol
    offset: U64
    length: U64
    flags: U32
