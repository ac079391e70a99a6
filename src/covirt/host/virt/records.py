# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the agent remembers of each Vm until an engine destroys it, so that its successor goes on with it.

Written before a step is taken. libvirt knows what runs; this knows what was wanted, and what is to be given back.
"""

import logging
import uuid
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from covirt.common.errors import Error, InvalidRequest
from covirt.common.files import make_directory, read_json, write_json
from covirt.host.virt.container_secrets import SecretRef
from covirt.host.virt.kinds import Kind
from covirt.host.virt.merge_record import Merge
from covirt.host.virt.volumes import VolumeRef
from covirt.hostapi.statuses import ExitCode, ExitReason

log = logging.getLogger(__name__)

_VERSION: Final = 1


class BrokenVmRecord(InvalidRequest):
    template = "{path} is no record of a Vm: {reason}"


class Phase(StrEnum):
    STARTING = "starting"  # nothing of it may be left when the agent dies now
    RUNNING = "running"
    DOWN = "down"  # until the engine destroys it


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Why it is down."""

    code: ExitCode
    reason: ExitReason
    message: str

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(code=ExitCode(value["code"]), reason=ExitReason(value["reason"]), message=str(value["message"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class VmRecord:
    """``started``: seconds since 1970, 0 before the start. ``boot``: the host's, in which it was created.

    ``owns_domain``: libvirt's domain of its id is ours; never touched, stopped or undefined without. ``volumes``:
    what is, or may be, prepared for it. ``secrets``: the same of virtocid's secrets; never with a value.
    """

    vm_id: str
    name: str
    kind: Kind
    xml: str  # as the engine gave it
    phase: Phase = Phase.STARTING
    boot: str = ""
    started: float = 0.0
    owns_domain: bool = False
    volumes: tuple[VolumeRef, ...] = ()
    secrets: tuple[SecretRef, ...] = ()
    merges: tuple[Merge, ...] = ()
    exit: Exit | None = None
    destroy_on_reboot: bool = False
    destroyed: bool = False  # by an engine; it is there for what could not be given back
    stopping: ExitReason | None = None  # a stop is under way, and this will be its reason

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        stopping = value.get("stopping")
        return cls(
            vm_id=str(uuid.UUID(value["vm_id"])),
            name=str(value["name"]),
            kind=Kind(value["kind"]),
            xml=str(value["xml"]),
            phase=Phase(value["phase"]),
            started=float(value["started"]),
            boot=str(value["boot"]),
            owns_domain=bool(value["owns_domain"]),
            volumes=tuple(VolumeRef(**ref) for ref in value["volumes"]),
            secrets=tuple(SecretRef.from_json(ref) for ref in value.get("secrets", ())),
            merges=tuple(Merge.from_json(merge) for merge in value.get("merges", ())),
            exit=None if value["exit"] is None else Exit.from_json(value["exit"]),
            destroy_on_reboot=bool(value.get("destroy_on_reboot", False)),
            destroyed=bool(value.get("destroyed", False)),
            stopping=None if stopping is None else ExitReason(stopping),
        )


class Records:
    """One file a Vm. They outlive the boot: what a host held when it went down is given back after it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save(self, record: VmRecord) -> None:
        # Not durable: a power cut ends its guests too, and what is lost of it then was about them.
        write_json(self._path(record.vm_id), asdict(record), version=_VERSION, durable=False)

    def remove(self, vm_id: str) -> None:
        self._path(vm_id).unlink(missing_ok=True)

    def load(self) -> list[VmRecord]:
        """All of them; one that cannot be read is left where it is, and told."""
        make_directory(self._directory, mode=0o700)
        records: list[VmRecord] = []
        for path in sorted(self._directory.glob("*.json")):
            try:
                records.append(_read(path))
            except Error as error:
                log.error("A Vm is not found again path=%s reason=%s", path, error)
        return records

    def _path(self, vm_id: str) -> Path:
        return self._directory / f"{uuid.UUID(vm_id)}.json"


def _read(path: Path) -> VmRecord:
    try:
        return VmRecord.from_json(read_json(path, versions=range(_VERSION, _VERSION + 1)))
    except (KeyError, TypeError, ValueError) as error:
        raise BrokenVmRecord(path=path, reason=repr(error)) from error


def with_exit(record: VmRecord, exit: Exit) -> VmRecord:  # noqa: A002 - oVirt's word
    return replace(record, phase=Phase.DOWN, exit=exit, stopping=None, merges=())
