# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a container never has, answered as QEMU's driver answers while there is none of it.

Management programs ask for these things all the time; "nothing" is an answer to them, "not supported" an alarm.
"""

from typing import Final, Never

from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import (
    NoJob,
    NoSuchBackup,
    NoSuchCheckpoint,
    NoSuchDisk,
    NoSuchFilter,
    NoSuchSnapshot,
)
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.wire import procedures as proc
from covirt.wire import procedures_absent as absent
from covirt.wire import structs as s
from covirt.wire import structs_absent as a
from covirt.wire import structs_connect as c
from covirt.wire import structs_domain as d
from covirt.wire import structs_host as h

_JOB_STATS: Final = 1 | 2  # VIR_DOMAIN_JOB_STATS_COMPLETED and _KEEP_COMPLETED
_BANDWIDTH_BYTES: Final = 1  # VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES
_LIST_SNAPSHOTS: Final = (1 << 11) - 1  # VIR_DOMAIN_SNAPSHOT_LIST_*: filters of an empty list
_LIST_CHECKPOINTS: Final = (1 << 4) - 1  # VIR_DOMAIN_CHECKPOINT_LIST_*
_POSTCOPY: Final = 1  # VIR_DOMAIN_ABORT_JOB_POSTCOPY
_NO_SNAPSHOTS: Final = "a container has no snapshots"
_NO_CHECKPOINTS: Final = "a container has no checkpoints"
_HOSTS_OWN: Final = "this connection keeps none; libvirt's own daemon has the host's"


class AbsentHandlers:
    """Jobs, saved images, snapshots, checkpoints, backups, disk errors, security labels and filters."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def register(self, table: HandlerTable) -> None:
        self._register_jobs(table)
        self._register_images_of_domains(table)
        self._register_host_objects(table)
        table.add(proc.DOMAIN_GET_DISK_ERRORS, self.no_disk_errors)
        table.add(proc.DOMAIN_GET_SECURITY_LABEL, self.no_security_label)
        table.add(proc.DOMAIN_GET_SECURITY_LABEL_LIST, self.no_security_labels)

    def _register_jobs(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_GET_JOB_INFO, self.no_job_info)
        table.add(proc.DOMAIN_GET_JOB_STATS, self.no_job_stats)
        table.add(absent.DOMAIN_ABORT_JOB, self.no_job_to_abort)
        table.add(absent.DOMAIN_ABORT_JOB_FLAGS, self.no_job_to_abort_flags)
        table.add(absent.DOMAIN_GET_BLOCK_JOB_INFO, self.no_block_job)
        table.add(absent.DOMAIN_BACKUP_GET_XML_DESC, self.no_backup)

    def _register_images_of_domains(self, table: HandlerTable) -> None:
        table.add(proc.DOMAIN_HAS_MANAGED_SAVE_IMAGE, self.no_managed_save)
        table.add(proc.DOMAIN_MANAGED_SAVE_REMOVE, self.remove_no_managed_save)
        table.add(proc.DOMAIN_SNAPSHOT_NUM, self.no_snapshots)
        table.add(proc.DOMAIN_LIST_ALL_SNAPSHOTS, self.list_no_snapshots)
        table.add(absent.DOMAIN_SNAPSHOT_LIST_NAMES, self.name_no_snapshots)
        table.add(proc.DOMAIN_HAS_CURRENT_SNAPSHOT, self.has_no_snapshot)
        table.add(absent.DOMAIN_SNAPSHOT_CURRENT, self.no_current_snapshot)
        table.add(absent.DOMAIN_SNAPSHOT_LOOKUP_BY_NAME, self.no_such_snapshot)
        table.add(proc.DOMAIN_LIST_ALL_CHECKPOINTS, self.list_no_checkpoints)
        table.add(absent.DOMAIN_CHECKPOINT_LOOKUP_BY_NAME, self.no_such_checkpoint)

    def _register_host_objects(self, table: HandlerTable) -> None:
        """Lists of what the host's own libvirt keeps, not this connection.

        Networks and node devices are left out on purpose: NO_SUPPORT hides those tabs in virt-manager.
        """
        table.add(
            proc.CONNECT_LIST_ALL_NWFILTERS, lambda _ctx, _args: c.ConnectListAllNwfiltersRet(filters=(), ret=0)
        )
        table.add(proc.CONNECT_NUM_OF_NWFILTERS, lambda _ctx, _args: s.NumRet(num=0))
        table.add(absent.CONNECT_LIST_NWFILTERS, lambda _ctx, _args: s.NamesRet(names=()))
        table.add(proc.NWFILTER_LOOKUP_BY_NAME, self.no_such_filter)
        table.add(proc.NWFILTER_LOOKUP_BY_UUID, self.no_such_filter)
        table.add(
            proc.CONNECT_GET_CPU_MODEL_NAMES, lambda _ctx, _args: c.ConnectGetCpuModelNamesRet(models=(), ret=0)
        )

    def _domain(self, dom: s.RemoteDomain) -> Domain:
        return self._driver.domains.by_uuid(dom.uuid)

    def no_job_info(self, _ctx: Context, args: s.DomainArgs) -> d.DomainGetJobInfoRet:
        """No job of libvirt's kind (migration, save, block copy) ever runs here."""
        self._domain(args.dom)
        return d.DomainGetJobInfoRet(
            type=0,
            time_elapsed=0,
            time_remaining=0,
            data_total=0,
            data_processed=0,
            data_remaining=0,
            mem_total=0,
            mem_processed=0,
            mem_remaining=0,
            file_total=0,
            file_processed=0,
            file_remaining=0,
        )

    def no_job_stats(self, _ctx: Context, args: s.DomainFlagsArgs) -> d.DomainGetJobStatsRet:
        refuse_unknown(args.flags, _JOB_STATS, "virDomainGetJobStats")
        self._domain(args.dom)
        return d.DomainGetJobStatsRet(type=0, params=())

    def no_job_to_abort(self, _ctx: Context, args: s.DomainArgs) -> None:
        raise NoJob(name=self._domain(args.dom).name)

    def no_job_to_abort_flags(self, _ctx: Context, args: s.DomainFlagsArgs) -> None:
        refuse_unknown(args.flags, _POSTCOPY, "virDomainAbortJobFlags")
        raise NoJob(name=self._domain(args.dom).name)

    def no_block_job(self, _ctx: Context, args: a.DomainPathFlagsArgs) -> a.DomainGetBlockJobInfoRet:
        refuse_unknown(args.flags, _BANDWIDTH_BYTES, "virDomainGetBlockJobInfo")
        domain = self._domain(args.dom)
        if not any(args.path in (disk.target, disk.source) for disk in domain.config.disks):
            raise NoSuchDisk(name=domain.name, path=args.path)
        return a.DomainGetBlockJobInfoRet(found=0, type=0, bandwidth=0, cur=0, end=0)

    def no_backup(self, _ctx: Context, args: s.DomainFlagsArgs) -> Never:
        refuse_unknown(args.flags, 0, "virDomainBackupGetXMLDesc")
        self._domain(args.dom)
        raise NoSuchBackup(reason="no domain backup job is present")

    def no_managed_save(self, _ctx: Context, args: s.DomainFlagsArgs) -> s.ResultRet:
        refuse_unknown(args.flags, 0, "virDomainHasManagedSaveImage")
        self._domain(args.dom)
        return s.ResultRet(result=0)

    def remove_no_managed_save(self, _ctx: Context, args: s.DomainFlagsArgs) -> None:
        refuse_unknown(args.flags, 0, "virDomainManagedSaveRemove")
        self._domain(args.dom)

    def no_snapshots(self, _ctx: Context, args: s.DomainFlagsArgs) -> s.NumRet:
        refuse_unknown(args.flags, _LIST_SNAPSHOTS, "virDomainSnapshotNum")
        self._domain(args.dom)
        return s.NumRet(num=0)

    def list_no_snapshots(self, _ctx: Context, args: s.DomainListArgs) -> d.DomainListAllSnapshotsRet:
        refuse_unknown(args.flags, _LIST_SNAPSHOTS, "virDomainListAllSnapshots")
        self._domain(args.dom)
        return d.DomainListAllSnapshotsRet(snapshots=(), ret=0)

    def name_no_snapshots(self, _ctx: Context, args: a.DomainSnapshotListNamesArgs) -> a.DomainSnapshotListNamesRet:
        refuse_unknown(args.flags, _LIST_SNAPSHOTS, "virDomainSnapshotListNames")
        self._domain(args.dom)
        return a.DomainSnapshotListNamesRet(names=())

    def has_no_snapshot(self, _ctx: Context, args: s.DomainFlagsArgs) -> s.ResultRet:
        refuse_unknown(args.flags, 0, "virDomainHasCurrentSnapshot")
        self._domain(args.dom)
        return s.ResultRet(result=0)

    def no_current_snapshot(self, _ctx: Context, args: s.DomainFlagsArgs) -> Never:
        refuse_unknown(args.flags, 0, "virDomainSnapshotCurrent")
        self._domain(args.dom)
        raise NoSuchSnapshot(reason=_NO_SNAPSHOTS)

    def no_such_snapshot(self, _ctx: Context, args: a.DomainNameFlagsArgs) -> Never:
        refuse_unknown(args.flags, 0, "virDomainSnapshotLookupByName")
        self._domain(args.dom)
        raise NoSuchSnapshot(reason=_NO_SNAPSHOTS)

    def list_no_checkpoints(self, _ctx: Context, args: s.DomainListArgs) -> d.DomainListAllCheckpointsRet:
        refuse_unknown(args.flags, _LIST_CHECKPOINTS, "virDomainListAllCheckpoints")
        self._domain(args.dom)
        return d.DomainListAllCheckpointsRet(checkpoints=(), ret=0)

    def no_such_checkpoint(self, _ctx: Context, args: a.DomainNameFlagsArgs) -> Never:
        refuse_unknown(args.flags, 0, "virDomainCheckpointLookupByName")
        self._domain(args.dom)
        raise NoSuchCheckpoint(reason=_NO_CHECKPOINTS)

    def no_disk_errors(self, _ctx: Context, args: d.DomainGetDiskErrorsArgs) -> d.DomainGetDiskErrorsRet:
        """A container's disks are mounted by the host's kernel, which tells errors to whoever reads or writes.

        ``maxerrors`` 0 asks how many disks there could be errors of.
        """
        refuse_unknown(args.flags, 0, "virDomainGetDiskErrors")
        config = self._domain(args.dom).require_run().config
        return d.DomainGetDiskErrorsRet(errors=(), nerrors=0 if args.maxerrors else len(config.disks))

    def no_security_label(self, _ctx: Context, args: s.DomainArgs) -> d.DomainGetSecurityLabelRet:
        self._domain(args.dom)
        return d.DomainGetSecurityLabelRet(label="", enforcing=0)

    def no_security_labels(self, _ctx: Context, args: s.DomainArgs) -> d.DomainGetSecurityLabelListRet:
        self._domain(args.dom)
        return d.DomainGetSecurityLabelListRet(labels=(), ret=0)

    def no_such_filter(self, _ctx: Context, _args: s.NameArgs | s.UuidArgs) -> h.NwfilterRet:
        raise NoSuchFilter(reason=_HOSTS_OWN)
