# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures of libvirt's remote protocol: jobs, snapshots, checkpoints, backups and filters.

``procedures`` says where the facts come from.
"""

from types import NoneType
from typing import Final

from covirt.wire import structs as s
from covirt.wire import structs_absent as a
from covirt.wire.declare import read, write

DOMAIN_ABORT_JOB: Final = write(164, "domain_abort_job", s.DomainArgs, NoneType)
CONNECT_LIST_NWFILTERS: Final = read(179, "connect_list_nwfilters", s.MaxNamesArgs, s.NamesRet, priority=True)
DOMAIN_SNAPSHOT_LIST_NAMES: Final = read(
    188,
    "domain_snapshot_list_names",
    a.DomainSnapshotListNamesArgs,
    a.DomainSnapshotListNamesRet,
    priority=True,
)
DOMAIN_SNAPSHOT_LOOKUP_BY_NAME: Final = read(
    189, "domain_snapshot_lookup_by_name", a.DomainNameFlagsArgs, a.DomainSnapshotRet, priority=True
)
DOMAIN_SNAPSHOT_CURRENT: Final = read(191, "domain_snapshot_current", s.DomainFlagsArgs, a.DomainSnapshotRet)
DOMAIN_GET_BLOCK_JOB_INFO: Final = read(
    238, "domain_get_block_job_info", a.DomainPathFlagsArgs, a.DomainGetBlockJobInfoRet
)
DOMAIN_CHECKPOINT_LOOKUP_BY_NAME: Final = read(
    415, "domain_checkpoint_lookup_by_name", a.DomainNameFlagsArgs, a.DomainCheckpointRet, priority=True
)
DOMAIN_BACKUP_GET_XML_DESC: Final = read(422, "domain_backup_get_xml_desc", s.DomainFlagsArgs, s.XmlRet)
DOMAIN_ABORT_JOB_FLAGS: Final = write(442, "domain_abort_job_flags", s.DomainFlagsArgs, NoneType)
