# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments and results of procedures about jobs, snapshots, checkpoints and backups."""

from typing import Annotated

from covirt.wire.codec import I32, U32, U64, Limit, String, wire_struct
from covirt.wire.structs import LIST_LIMIT, RemoteDomain, RemoteDomainCheckpoint, RemoteDomainSnapshot


@wire_struct
class DomainPathFlagsArgs:
    """``path``: a disk's target name or its file."""

    dom: RemoteDomain
    path: String
    flags: U32


@wire_struct
class DomainGetBlockJobInfoRet:
    """``found`` 0: the disk has no job, and the rest means nothing. ``bandwidth`` in MiB/s, ``cur`` of ``end``."""

    found: I32
    type: I32
    bandwidth: U64
    cur: U64
    end: U64


@wire_struct
class DomainNameFlagsArgs:
    """``name``: of a snapshot or checkpoint."""

    dom: RemoteDomain
    name: String
    flags: U32


@wire_struct
class DomainSnapshotListNamesArgs:
    dom: RemoteDomain
    maxnames: I32
    flags: U32


@wire_struct
class DomainSnapshotListNamesRet:
    names: Annotated[tuple[String, ...], Limit(LIST_LIMIT)]


@wire_struct
class DomainSnapshotRet:
    snap: RemoteDomainSnapshot


@wire_struct
class DomainCheckpointRet:
    checkpoint: RemoteDomainCheckpoint
