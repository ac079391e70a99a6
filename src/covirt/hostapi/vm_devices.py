# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of class VM that change a running guest: its devices, its display, and what it may use.

Engines send numbers and truth as texts, too; both are taken.
"""

from typing import Any, Final

from pydantic import Field, SecretStr

from covirt.hostapi.verb import Params, Verb
from covirt.hostapi.vm import Text, VmParams


class DeviceXml(Params):
    """``xml``: <hotplug> with one device and its metadata."""

    xml: str


class HotPlugParams(VmParams):
    device: DeviceXml = Field(alias="params")


class TicketParams(VmParams):
    """``ttl``: seconds; 0 and less are for ever."""

    password: SecretStr
    valid_seconds: int = Field(alias="ttl")
    connected: str | None = Field(alias="existingConnAction", default=None)
    more: dict[str, Any] | None = Field(alias="params", default=None)


class DeviceChange(Params):
    """Of an interface (alias, linkActive, network, or xml) or of a display (graphicsType, password, ttl)."""

    device_type: str = Field(alias="deviceType")
    alias: str = ""
    xml: str | None = None
    link: bool | None = Field(alias="linkActive", default=None)
    network: str | None = None
    graphics_type: str | None = Field(alias="graphicsType", default=None)
    password: SecretStr | None = None
    valid_seconds: int = Field(alias="ttl", default=0)
    connected: str | None = Field(alias="existingConnAction", default=None)


class UpdateDeviceParams(VmParams):
    change: DeviceChange = Field(alias="params")


class DiscSpec(Params):
    """``drive_spec``: poolID, domainID, imageID and volumeID, or nothing; ``path``: the older way to say it."""

    interface: str = Field(alias="iface")
    index: int
    volume: dict[str, Text] | str | None = Field(alias="drive_spec", default=None)
    path: str | None = None


class ChangeDiscParams(VmParams):
    spec: DiscSpec = Field(alias="driveSpec")


class CpusParams(VmParams):
    count: int = Field(alias="numberOfCpus")
    cpusets: list[str] | None = None


class BalloonParams(VmParams):
    target_kib: int = Field(alias="target")


class DiskTune(Params):
    """A disk by its name or its four UUIDs; ``maximum`` by libvirt's names, a second, 0 for no limit."""

    name: str = ""
    pool_id: str = Field(alias="poolID", default="")
    domain_id: str = Field(alias="domainID", default="")
    image_id: str = Field(alias="imageID", default="")
    volume_id: str = Field(alias="volumeID", default="")
    maximum: dict[str, int] = Field(default_factory=dict)


class PolicyChange(Params):
    vcpu_limit: int | None = Field(alias="vcpuLimit", default=None)
    disks: list[DiskTune] | None = Field(alias="ioTune", default=None)


class PolicyParams(VmParams):
    policy: PolicyChange = Field(alias="params")


class ExtendDiskParams(VmParams):
    """``driveSpecs``: poolID, domainID, imageID and volumeID; ``newSize``: bytes."""

    device: dict[str, Text] = Field(alias="driveSpecs")
    size_bytes: int = Field(alias="newSize", ge=1, le=1 << 62)


class SnapshotDrive(Params):
    """The volume ``volumeID`` is there already, empty, and builds on ``baseVolumeID``."""

    domain_id: str = Field(alias="domainID")
    image_id: str = Field(alias="imageID")
    base_id: str = Field(alias="baseVolumeID")
    volume_id: str = Field(alias="volumeID")


class SnapshotParams(VmParams):
    """``frozen``: the guest's writes were stopped. ``jobUUID``: answer at once, and tell the end as a job's."""

    drives: list[SnapshotDrive] = Field(alias="snapDrives", max_length=128)
    memory: str | None = Field(alias="snapMemory", default=None)
    frozen: bool = False
    job_id: str | None = Field(alias="jobUUID", default=None)
    timeout_minutes: int = Field(alias="timeout", default=30, ge=1)
    freeze_timeout_minutes: int = Field(alias="freeze_timeout", default=8, ge=1)


class MergeDrive(Params):
    """``volumeID``: the one on top."""

    domain_id: str = Field(alias="domainID")
    image_id: str = Field(alias="imageID")
    volume_id: str = Field(alias="volumeID", default="")
    pool_id: str = Field(alias="poolID", default="")


class MergeVolumesParams(VmParams):
    """``topVolUUID`` builds on ``baseVolUUID``. VM.getStats tells how far it is, by ``jobUUID``, until it has ended.

    ``bandwidth``: at most so many MiB a second."""

    drive: MergeDrive
    base_id: str = Field(alias="baseVolUUID")
    top_id: str = Field(alias="topVolUUID")
    bandwidth: int = Field(default=0, ge=0, le=1 << 20)
    job_id: str | None = Field(alias="jobUUID", default=None)


_VM_LIST: Final = dict[str, Any]

VERBS: Final = (
    Verb(name="VM.hotplugDisk", summary="Adds a disk to a running guest.", params=HotPlugParams, result=_VM_LIST,
         changes=True),
    Verb(name="VM.hotunplugDisk", summary="Takes a disk from a running guest, once it let go of it.",
         params=HotPlugParams, result=_VM_LIST, changes=True),
    Verb(name="VM.hotplugNic", summary="Adds an interface to a running guest.", params=HotPlugParams,
         result=_VM_LIST, changes=True),
    Verb(name="VM.hotunplugNic", summary="Takes an interface from a running guest, once it let go of it.",
         params=HotPlugParams, result=_VM_LIST, changes=True),
    Verb(name="VM.updateDevice", summary="Changes an interface's link or network, or opens a display.",
         params=UpdateDeviceParams, result=_VM_LIST, changes=True),
    Verb(name="VM.changeCD", summary="Puts a disc into a drive, or takes it out.", params=ChangeDiscParams,
         result=_VM_LIST, changes=True),
    Verb(name="VM.diskSizeExtend", summary="Lets a running guest have a larger disk; the size it has then, in bytes.",
         params=ExtendDiskParams, result=str, changes=True),
    Verb(name="VM.setTicket", summary="Opens a guest's display to a password, for a while.", params=TicketParams,
         changes=True),
    Verb(name="VM.setNumberOfCpus", summary="Changes how many CPUs a running guest has, and where they run.",
         params=CpusParams, result=_VM_LIST, changes=True),
    Verb(name="VM.setBalloonTarget", summary="Changes how much memory, in KiB, a running guest has.",
         params=BalloonParams, changes=True),
    Verb(name="VM.updateVmPolicy", summary="Changes the limits of CPU time and disks of a running guest.",
         params=PolicyParams, changes=True),
    Verb(name="VM.snapshot", summary="Lets a running guest's disks go on in new volumes; the old ones keep what was.",
         params=SnapshotParams, changes=True),
    Verb(name="VM.merge", summary="Begins to write a volume of a running guest into the one that it builds on.",
         params=MergeVolumesParams, changes=True),
    Verb(name="VM.freeze", summary="Lets the guest's file systems stand still.", params=VmParams, changes=True),
    Verb(name="VM.thaw", summary="Lets the guest's file systems go on.", params=VmParams, changes=True),
)  # fmt: skip
