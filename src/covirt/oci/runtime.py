# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The container runtime as covirt sees it: one protocol for every program with the OCI runtime command line.

Processes of containers are created, signalled and removed only through it. Calling a runtime costs 5 to 30 ms, so
nothing asks one for what a pid, an exit file or a cgroup file can tell (see monitor.py and cgroup.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from covirt.common.errors import Error
from covirt.common.process import Argument


class ContainerStatus(StrEnum):
    """OCI's words (runtime-spec, "State"), plus ``paused``, which every program adds."""

    CREATING = "creating"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeState:
    container_id: str
    status: ContainerStatus
    pid: int | None  # None once stopped
    bundle: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeInfo:
    """What probe() found. ``reason`` is set exactly when not usable; ``warnings`` are sentences for people."""

    name: str
    path: str
    version: str | None
    features: frozenset[str]
    usable: bool
    reason: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """One configured runtime. ``kind`` names a row of the difference table; by default the name does."""

    name: str
    path: str  # absolute, or looked up in PATH
    arguments: tuple[str, ...] = ()  # extra global arguments
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeCommand:
    """How to call the program: what conmon needs as ``--runtime`` and ``--runtime-arg``."""

    name: str
    path: str  # absolute: conmon uses execv
    arguments: tuple[str, ...]

    def with_log(self, log: Path) -> "RuntimeCommand":
        """The same with errors going to ``log`` as JSON lines, apart from the container's own stderr."""
        extra = (f"--log={log}", "--log-format=json")
        return RuntimeCommand(name=self.name, path=self.path, arguments=(*self.arguments, *extra))


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalSize:
    rows: int = 24
    columns: int = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecProcess:
    """A process to run inside a running container. ``capabilities`` in OCI's form; None gives it none."""

    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    working_directory: str = "/"
    uid: int = 0
    gid: int = 0
    additional_gids: tuple[int, ...] = ()
    capabilities: Mapping[str, Any] | None = None
    no_new_privileges: bool = True
    rlimits: tuple[Mapping[str, Any], ...] = ()
    oom_score_adj: int | None = None
    terminal: "TerminalSize | None" = None

    @classmethod
    def like(cls, process: Mapping[str, Any], arguments: Iterable[str]) -> "ExecProcess":
        """Run ``arguments`` with the rights and environment of the container's ``process`` (in its config.json)."""
        user = process.get("user", {})
        return cls(
            arguments=tuple(arguments),
            environment=tuple((name, value) for name, _, value in (e.partition("=") for e in process.get("env", ()))),
            working_directory=process.get("cwd", "/"),
            uid=user.get("uid", 0),
            gid=user.get("gid", 0),
            additional_gids=tuple(user.get("additionalGids", ())),
            capabilities=process.get("capabilities"),
            no_new_privileges=process.get("noNewPrivileges", True),
            rlimits=tuple(process.get("rlimits", ())),
            oom_score_adj=process.get("oomScoreAdj"),
        )

    def as_oci(self) -> dict[str, Any]:
        """The ``process`` object of the runtime-spec."""
        optional: dict[str, Any] = {}
        if self.terminal is not None:
            optional["consoleSize"] = {"height": self.terminal.rows, "width": self.terminal.columns}
        if self.oom_score_adj is not None:
            optional["oomScoreAdj"] = self.oom_score_adj
        return {
            "terminal": self.terminal is not None,
            "user": {"uid": self.uid, "gid": self.gid, "additionalGids": list(self.additional_gids)},
            "args": list(self.arguments),
            "env": [f"{name}={value}" for name, value in self.environment],
            "cwd": self.working_directory,
            "noNewPrivileges": self.no_new_privileges,
            "capabilities": dict(self.capabilities or {}),
            "rlimits": [dict(each) for each in self.rlimits],
            **optional,
        }


class Runtime(Protocol):
    """What virtocid asks of a container runtime.

    Every method but probe() may raise RuntimeFailed, CommandTimeout and CommandMissing;
    methods that name a container raise ContainerMissing when the runtime does not hold it.
    """

    @property
    def name(self) -> str: ...

    @property
    def keeps_limits(self) -> bool:
        """Whether update() must be told of a change of limits, beside the container's cgroup."""

    def command(self) -> RuntimeCommand:
        """For the monitor. Raises CommandMissing when the program is not there."""

    def probe(self) -> RuntimeInfo:
        """Find out whether and how far the runtime works here. Never raises; takes tens of ms: cache it."""

    def create(self, container_id: str, *, bundle: Path, pid_file: Path, console_socket: Path | None = None) -> None:
        """Make the container without a monitor; its stdio is /dev/null. Raises ContainerExists, CreateFailed."""

    def start(self, container_id: str) -> None:
        """Run the process of a created container. Raises ContainerInWrongState."""

    def kill(self, container_id: str, signal: int, *, all_processes: bool = False) -> None:
        """Signal the container's first process, or all. Raises ContainerInWrongState when it has ended."""

    def delete(self, container_id: str, *, force: bool = False) -> None:
        """Forget a stopped container and remove its cgroup. ``force`` kills first, and absent is fine then."""

    def pause(self, container_id: str) -> None: ...

    def resume(self, container_id: str) -> None: ...

    def state(self, container_id: str) -> RuntimeState: ...

    def list(self) -> tuple[RuntimeState, ...]:
        """Every container in this runtime's state directory."""

    def exec_detached(
        self, container_id: str, *, process_file: Path, pid_file: Path, log: Path, console_socket: Path | None
    ) -> tuple[Argument, ...]:
        """The command that starts the process of ``process_file`` on its own standard streams, or on a new terminal
        whose descriptor it sends to ``console_socket``, and then ends. Errors go to ``log``. Raises CommandMissing.
        """

    def explain_exec(self, container_id: str, log: Path) -> Error:
        """What the failure of that command means: ContainerMissing, ContainerInWrongState, RuntimeFailed."""

    def update(self, container_id: str, resources: Mapping[str, Any]) -> None:
        """Change limits of a live container. ``resources`` is OCI's LinuxResources; absent keys stay as they are.

        A memory limit without ``swap`` allows no swap beyond it (``swap`` is memory plus swap in OCI's words).
        """

    def events(self, container_id: str) -> Mapping[str, Any]:
        """One statistics record in the program's own form. Raises OperationUnsupported where there is none."""
