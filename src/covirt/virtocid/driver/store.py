# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What of a domain outlives the daemon: its definition outlives the boot, its run does not.

``STATE/virtocid/domains/<uuid>/domain.json`` and ``RUN/virtocid/runs/<uuid>/run.json``, both 0600 in directories of
0711, since a root layer below them is entered by a mapped user. One broken file never hides another domain.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from covirt.common.errors import InvalidRequest
from covirt.common.files import BrokenFile, make_directory, read_json, remove_tree, write_atomic, write_json
from covirt.common.process_identity import ProcessIdentity
from covirt.virtocid.driver.errors import DomainExists

log = logging.getLogger(__name__)

Record = TypeVar("Record")
Value = TypeVar("Value")

_VERSION: Final = 1
_READABLE: Final = range(1, _VERSION + 1)
_REMOVED: Final = ".removed-"
_RUNNING: Final = "running"
_HEALTH: Final = "health.json"
_RUN: Final = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRecord:
    """A persistent domain. ``xml`` is what format_domain(config, secure=True) wrote, without a run's facts."""

    uuid: UUID
    name: str
    xml: str
    id_range: tuple[int, int] | None  # first host id and count; None when the XML has an <idmap> of its own
    autostart: bool = False
    last_stop_cause: Mapping[str, Any] | None = None  # as common.stop_cause writes it
    run_number: int = 0  # of the last run, so that no container id comes twice
    restart: Mapping[str, Any] | None = None  # as restart_policy writes it


class RunPhase(StrEnum):
    """How far a run is. What is PREPARING or STOPPING when the daemon starts is undone or finished."""

    PREPARING = "preparing"
    CREATED = "created"
    RUNNING = "running"
    STOPPING = "stopping"


class UserRequest(StrEnum):
    """What a client asked for before the run ended; it decides the stop cause."""

    SHUTDOWN = "shutdown"
    DESTROY = "destroy"
    DESTROY_GRACEFULLY = "destroy_gracefully"  # a destroy that never kills
    REBOOT = "reboot"  # a shutdown after which the domain starts again
    RESET = "reset"  # a destroy after which the domain starts again
    HEALTH = "health"  # no user's: virtocid ends what its health check calls unhealthy


class DeviceStep(StrEnum):
    """What is being done to one device of a run; on disk before it is done."""

    ATTACHING = "attaching"
    DETACHING = "detaching"
    UPDATING = "updating"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChange:
    """A change under way. ``configured``: the domain's definition is changed with it."""

    step: DeviceStep
    alias: str
    configured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HotMount:
    """What was mounted into a running container, and the directories that were ``made`` for it, outermost first."""

    alias: str
    view: str  # the name of the volume's view in the bundle
    mount_id: int = 0  # the kernel's, as in mountinfo; 0 as long as there is nothing inside
    made: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run of a domain, as far as it must be found again by the next daemon of this boot."""

    uuid: UUID
    boot_id: str
    domain_id: int  # libvirt's positive number of this run
    run_number: int
    runtime: str
    phase: RunPhase
    xml: str  # what it runs with, in the form parse_domain(live=True) reads
    id_range: tuple[int, int] | None
    process: ProcessIdentity | None = None
    monitor: ProcessIdentity | None = None  # conmon
    interface_names: tuple[str, ...] = ()
    interface_bridges: tuple[str | None, ...] = ()
    log: str | None = None  # path of the console's log
    cgroup: str | None = None  # the container's, below the controllers' mounts
    image: str | None = None  # path of the image file in use
    started_at: float | None = None  # seconds since the epoch
    user_request: UserRequest | None = None
    request_sent: bool = False  # its signal has reached the container: it is not repeated
    stop_signal: str | None = None
    paused: bool = False
    resumed: bool = False  # it was paused before, which is a reason of libvirt's
    rebooting: bool = False  # not running yet: the second half of a reboot, which a successor begins anew
    limits_changing: bool = False  # a change of limits is under way, and is undone if nobody finishes it
    persistent: bool = True  # False: the domain ends with this run
    device_change: DeviceChange | None = None
    hot_mounts: tuple[HotMount, ...] = ()
    health: Mapping[str, Any] | None = None  # what is checked, as health_plan writes it

    @property
    def container_id(self) -> str:
        return f"{self.uuid}-{self.run_number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRecord:
    """A file that could not be used, and why, for the log."""

    path: Path
    reason: str


class DomainStore:
    """Definitions, durable. Safe to use from any thread, as long as one thread at a time changes one domain."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "virtocid" / "domains"
        self._names: dict[str, UUID] = {}
        self._lock = threading.Lock()

    def directory(self, uuid: UUID) -> Path:
        """Where a domain may keep files (root layer, logs) until it is undefined. Made by save()."""
        return self._directory / str(uuid)

    def load_all(self) -> tuple[tuple[DomainRecord, ...], tuple[BrokenRecord, ...]]:
        """All domains in the order of their UUIDs, and the files that are none; finishes interrupted removals."""
        make_directory(self._directory)
        for leftover in self._directory.glob(f"{_REMOVED}*"):
            try:
                remove_tree(leftover)
            except OSError as error:  # the next start tries again
                log.error("Files of an undefined domain are still there path=%s: %s", leftover, error.strerror)
        records, broken = _load(self._directory, "domain.json", _domain_from_json)
        with self._lock:
            self._names.clear()
            unique = [record for record in records if self._claim(record, broken)]
        return tuple(unique), tuple(broken)

    def _claim(self, record: DomainRecord, broken: list[BrokenRecord]) -> bool:
        owner = self._names.setdefault(record.name, record.uuid)
        if owner != record.uuid:
            reason = f"its name {record.name!r} is that of domain {owner}; edit one of the two files"
            broken.append(BrokenRecord(path=self.directory(record.uuid) / "domain.json", reason=reason))
        return owner == record.uuid

    def save(self, record: DomainRecord) -> None:
        """Write a domain, new or changed. Raises DomainExists when another one has the name."""
        with self._lock:
            owner = self._names.get(record.name, record.uuid)
            if owner != record.uuid:
                raise DomainExists(name=record.name, uuid=owner)
            self._forget_name(record.uuid)
            self._names[record.name] = record.uuid
        make_directory(self.directory(record.uuid))
        write_json(
            self.directory(record.uuid) / "domain.json",
            {
                "name": record.name,
                "xml": record.xml,
                "id_range": record.id_range,
                "autostart": record.autostart,
                "last_stop_cause": record.last_stop_cause,
                "run_number": record.run_number,
                "restart": record.restart,
            },
            version=_VERSION,
        )

    def _forget_name(self, uuid: UUID) -> None:
        self._names = {name: owner for name, owner in self._names.items() if owner != uuid}

    def mark_running(self, uuid: UUID, boot_id: str) -> None:
        """Remember on disk that it runs: /run, which knows the rest, is empty after the host went down under it."""
        write_atomic(self.directory(uuid) / _RUNNING, boot_id.encode(), durable=False)

    def clear_running(self, uuid: UUID) -> None:
        """Its end is recorded; absent is fine."""
        (self.directory(uuid) / _RUNNING).unlink(missing_ok=True)

    def running_boot_id(self, uuid: UUID) -> str | None:
        """The boot in which it ran without a recorded end; None when it was not running."""
        try:
            return (self.directory(uuid) / _RUNNING).read_text()
        except FileNotFoundError:
            return None

    def has_definition(self, uuid: UUID) -> bool:
        """Whether there is a definition, readable or not: its directory is not to be removed then."""
        return (self.directory(uuid) / "domain.json").exists()

    def undefined(self) -> tuple[UUID, ...]:
        """Domains that were undefined while they ran, and whose directories are still there."""
        return tuple(uuid for uuid, path in _record_files(self._directory, "domain.json") if not path.exists())

    def forget(self, uuid: UUID) -> None:
        """Forget the definition and leave the domain's directory, which a run still uses; remove() is to follow."""
        with self._lock:
            self._forget_name(uuid)
        (self.directory(uuid) / "domain.json").unlink(missing_ok=True)

    def remove(self, uuid: UUID) -> None:
        """Forget a domain with everything in its directory; absent is fine. Nothing may be mounted there any more."""
        with self._lock:
            self._forget_name(uuid)
        removed = self._directory / f"{_REMOVED}{uuid}"
        with suppress(FileNotFoundError):
            self.directory(uuid).rename(removed)  # one step: from here on a killed daemon finishes the removal
        remove_tree(removed)


class RunStore:
    """Runs, for as long as the boot lasts; not synced to disk."""

    def __init__(self, run_dir: Path) -> None:
        self._directory = run_dir / "virtocid" / "runs"

    def directory(self, uuid: UUID) -> Path:
        """Where a run keeps its bundle, sockets and pid files."""
        return self._directory / str(uuid)

    def make_directory(self, uuid: UUID) -> Path:
        make_directory(self.directory(uuid))
        return self.directory(uuid)

    def load_all(self) -> tuple[tuple[RunRecord, ...], tuple[BrokenRecord, ...]]:
        """All runs, those of an earlier boot too, and the files that are none."""
        make_directory(self._directory)
        records, broken = _load(self._directory, _RUN, _run_from_json)
        return tuple(records), tuple(broken)

    def save(self, record: RunRecord) -> None:
        value = {name: getattr(record, name) for name in RunRecord.__slots__ if name != "uuid"}
        for name in ("process", "monitor"):
            identity: ProcessIdentity | None = value[name]
            value[name] = identity and {"pid": identity.pid, "start_time": identity.start_time}
        value["device_change"] = record.device_change and asdict(record.device_change)
        value["hot_mounts"] = [asdict(each) for each in record.hot_mounts]
        self.make_directory(record.uuid)
        write_json(self.directory(record.uuid) / _RUN, value, version=_VERSION, durable=False)

    def save_health(self, uuid: UUID, state: Mapping[str, object]) -> None:
        """How a run does, beside its record; it goes with the run's directory, which must be there."""
        write_json(self.directory(uuid) / _HEALTH, state, version=_VERSION, durable=False)

    def load_health(self, uuid: UUID) -> Mapping[str, Any] | None:
        """None when nothing readable was saved, which is so for every new run."""
        try:
            return read_json(self.directory(uuid) / _HEALTH, versions=_READABLE)
        except (InvalidRequest, OSError):
            return None

    def is_record(self, path: Path) -> bool:
        """Whether this file is a run's record, which goes by remove() and after everything else."""
        return path.name == _RUN

    def remove(self, uuid: UUID) -> None:
        """Forget a run; its directory goes when nothing else is in it (mounts make recursion too dangerous)."""
        with suppress(FileNotFoundError):
            (self.directory(uuid) / _RUN).unlink()
        with suppress(OSError):
            self.directory(uuid).rmdir()


def _load(
    directory: Path, name: str, read: Callable[[UUID, "_Fields"], Record]
) -> tuple[list[Record], list[BrokenRecord]]:
    records: list[Record] = []
    broken: list[BrokenRecord] = []
    for uuid, path in _record_files(directory, name):
        try:
            records.append(read(uuid, _Fields(path, read_json(path, versions=_READABLE))))
        except FileNotFoundError:
            with suppress(OSError):  # killed between the directory and the file: an empty directory says nothing
                path.parent.rmdir()
        except (InvalidRequest, OSError) as error:
            broken.append(BrokenRecord(path=path, reason=str(error)))
    return records, broken


def _record_files(directory: Path, name: str) -> Iterator[tuple[UUID, Path]]:
    for entry in sorted(directory.iterdir()):
        with suppress(ValueError):
            uuid = UUID(entry.name)
            if str(uuid) == entry.name:
                yield uuid, entry / name


class _Fields:
    """Typed reading of a JSON object; what does not fit is a BrokenFile that names file and field."""

    def __init__(self, path: Path, value: Mapping[str, Any]) -> None:
        self._path = path
        self._value = value

    def required(self, name: str, kind: type[Value]) -> Value:
        value = self.optional(name, kind)
        if value is None:
            raise BrokenFile(path=self._path, reason=f"{name} is missing")
        return value

    def optional(self, name: str, kind: type[Value]) -> Value | None:
        value = self._value.get(name)
        if value is None:
            return None
        if kind is float and type(value) is int:
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise BrokenFile(path=self._path, reason=f"{name} is {value!r}")
        return value

    def member(self, name: str, kind: type[Value]) -> Value | None:
        """A value of an enumeration."""
        text = self.optional(name, str)
        try:
            return None if text is None else kind(text)  # type: ignore[call-arg]  # an enumeration takes its value
        except ValueError as error:
            raise BrokenFile(path=self._path, reason=f"{name}: {error}") from error

    def id_range(self) -> tuple[int, int] | None:
        value = self.optional("id_range", list)
        if value is None:
            return None
        if len(value) != 2 or not all(type(number) is int and number > 0 for number in value):
            raise BrokenFile(path=self._path, reason=f"id_range is {value!r}")
        return value[0], value[1]

    def texts(self, name: str) -> tuple[str | None, ...]:
        value = self.optional(name, list) or []
        if not all(item is None or isinstance(item, str) for item in value):
            raise BrokenFile(path=self._path, reason=f"{name} is {value!r}")
        return tuple(value)

    def objects(self, name: str) -> tuple["_Fields", ...]:
        value = self.optional(name, list) or []
        if not all(isinstance(item, dict) for item in value):
            raise BrokenFile(path=self._path, reason=f"{name} is {value!r}")
        return tuple(_Fields(self._path, item) for item in value)

    def section(self, name: str) -> "_Fields | None":
        value = self.optional(name, dict)
        return None if value is None else _Fields(self._path, value)

    def process(self, name: str) -> ProcessIdentity | None:
        fields = self.section(name)
        if fields is None:
            return None
        return ProcessIdentity(pid=fields.required("pid", int), start_time=fields.required("start_time", int))


def _domain_from_json(uuid: UUID, fields: _Fields) -> DomainRecord:
    return DomainRecord(
        uuid=uuid,
        name=fields.required("name", str),
        xml=fields.required("xml", str),
        id_range=fields.id_range(),
        autostart=fields.required("autostart", bool),
        last_stop_cause=fields.optional("last_stop_cause", dict),
        run_number=fields.required("run_number", int),
        restart=fields.optional("restart", dict),
    )


def _run_from_json(uuid: UUID, fields: _Fields) -> RunRecord:
    phase = fields.member("phase", RunPhase)
    return RunRecord(
        uuid=uuid,
        boot_id=fields.required("boot_id", str),
        domain_id=fields.required("domain_id", int),
        run_number=fields.required("run_number", int),
        runtime=fields.required("runtime", str),
        phase=RunPhase.PREPARING if phase is None else phase,
        xml=fields.required("xml", str),
        id_range=fields.id_range(),
        process=fields.process("process"),
        monitor=fields.process("monitor"),
        interface_names=tuple(name or "" for name in fields.texts("interface_names")),
        interface_bridges=fields.texts("interface_bridges"),
        log=fields.optional("log", str),
        cgroup=fields.optional("cgroup", str),
        image=fields.optional("image", str),
        started_at=fields.optional("started_at", float),
        user_request=fields.member("user_request", UserRequest),
        request_sent=bool(fields.optional("request_sent", bool)),
        stop_signal=fields.optional("stop_signal", str),
        paused=bool(fields.optional("paused", bool)),
        resumed=bool(fields.optional("resumed", bool)),
        rebooting=bool(fields.optional("rebooting", bool)),
        limits_changing=bool(fields.optional("limits_changing", bool)),
        persistent=fields.required("persistent", bool),
        device_change=_device_change(fields),
        hot_mounts=tuple(map(_hot_mount, fields.objects("hot_mounts"))),
        health=fields.optional("health", dict),
    )


def _device_change(fields: _Fields) -> DeviceChange | None:
    change = fields.section("device_change")
    step = change.member("step", DeviceStep) if change else None
    if change is None or step is None:
        return None
    return DeviceChange(
        step=step, alias=change.required("alias", str), configured=change.required("configured", bool)
    )


def _hot_mount(fields: _Fields) -> HotMount:
    return HotMount(
        alias=fields.required("alias", str),
        view=fields.required("view", str),
        mount_id=fields.required("mount_id", int),
        made=tuple(name or "" for name in fields.texts("made")),
    )
