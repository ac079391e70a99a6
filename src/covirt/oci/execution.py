# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Processes started inside a running container: with its rights, limits and environment, and never longer than us.

The runtime's ``exec`` starts one on pipes or a terminal of ours and ends; a helper of covirt.common.adopter is its
parent then. So the process writes straight to our pipes, and its true end is known.

What was started ends with the daemon. When it is killed, the helper kills everything; when both are killed, the next
daemon does (end_left_over()), by what each start wrote down before it began.
"""

import contextlib
import json
import logging
import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn

from covirt.common.adopter import Adopted, Adopter, NothingAdopted
from covirt.common.adopter_program import kill_tree
from covirt.common.files import make_directory, remove_tree
from covirt.common.process_identity import alive, process_start_time
from covirt.common.undo import undo_on_failure
from covirt.oci.execution_errors import (
    BadExecRequest,
    ContainerConfigUnreadable,
    TooManyExecutions,
    WithoutTerminal,
    start_failure,
)
from covirt.oci.execution_streams import Streams, set_terminal_size
from covirt.oci.runtime import ExecProcess, Runtime, TerminalSize
from covirt.oci.users import resolve_user

log = logging.getLogger(__name__)

START_SECONDS: Final = 30.0  # far above what a runtime takes
_PID: Final = "pid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecTarget:
    """A running container. ``directory`` is the run's own place for what is written down of each start."""

    runtime: Runtime
    container_id: str
    bundle: Path
    directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    """What to run. What is None is as for the container's own process; ``environment`` is added to its.

    ``user``: ``NAME|UID[:GROUP|GID]``, looked up in the container.
    """

    arguments: tuple[str, ...]
    user: str | None = None
    working_directory: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    terminal: TerminalSize | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecEnd:
    """How a process ended: exactly one of the two, or neither when nobody can know any more."""

    exit_code: int | None = None
    signal: int | None = None

    @classmethod
    def of(cls, status: int | None) -> "ExecEnd":
        if status is None:
            return cls()
        return cls(exit_code=status) if status >= 0 else cls(signal=-status)


class Execution:
    """A process inside. The descriptors are blocking, and closed by close().

    ``stdin`` takes what the process reads; close_stdin() is its end of file. With a terminal ``stderr`` is -1, and
    both others are the terminal: reading it fails with EIO once the process is gone.
    """

    def __init__(
        self, *, pid: int, stdin: int, stdout: int, stderr: int, kill: Callable[[], None], end: "_End"
    ) -> None:
        self.pid = pid  # of the host
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self._kill = kill
        self._end = end

    @property
    def terminal(self) -> bool:
        return self.stderr < 0

    @property
    def end(self) -> ExecEnd | None:
        """How it ended, or None while it runs."""
        return self._end.value

    def wait(self, *, timeout_seconds: float) -> ExecEnd | None:
        """Wait for its end; None when the time is up first."""
        self._end.known.wait(timeout_seconds)
        return self._end.value

    def on_end(self, callback: Callable[[ExecEnd], object]) -> None:
        """Call once, from another thread, when it has ended; at once when it has ended already."""
        self._end.tell(callback)

    def resize(self, size: TerminalSize) -> None:
        """Raises WithoutTerminal."""
        if not self.terminal:
            raise WithoutTerminal()
        if self.stdout >= 0:
            set_terminal_size(self.stdout, size)

    def kill(self) -> None:
        """SIGKILL it, with its session and descendants; its end is told as ever. Ended already is fine."""
        self._kill()

    def close_stdin(self) -> None:
        if self.stdin >= 0:
            os.close(self.stdin)
        self.stdin = -1

    def close(self) -> None:
        """Kill it when it still runs, and close what is open. May be called again."""
        if self._end.value is None:
            self._kill()
        for descriptor in (self.stdin, self.stdout, self.stderr):
            if descriptor >= 0:
                os.close(descriptor)
        self.stdin = self.stdout = self.stderr = -1


class _End:
    """The end of one process, and who waits for it."""

    def __init__(self) -> None:
        self.known = threading.Event()
        self.value: ExecEnd | None = None
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[ExecEnd], object]] = []

    def tell(self, callback: Callable[[ExecEnd], object]) -> None:
        with self._lock:
            if self.value is None:
                self._callbacks.append(callback)
                return
            end = self.value
        callback(end)

    def set(self, end: ExecEnd) -> None:
        with self._lock:
            self.value = end
            callbacks, self._callbacks = self._callbacks, []
        self.known.set()
        for callback in callbacks:
            callback(end)


class Executor:
    """Starts processes in containers, and bounds how many there are. Thread-safe."""

    def __init__(self, *, per_container: int = 16, in_all: int = 128) -> None:
        self._limits = {"per_container": per_container, "in_all": in_all}
        self._adopter = Adopter(name="covirt-executions")
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()

    def start(
        self,
        target: ExecTarget,
        request: ExecRequest,
        *,
        timeout_seconds: float = START_SECONDS,
        counted: bool = True,
    ) -> Execution:
        """Start a process in the container; the time is for its start alone.

        ``counted=False`` is for what users must not be able to keep out: health checks. Raises TooManyExecutions,
        BadExecRequest, BadUserName, NoSuchUser, NoSuchGroup, CommandNotFound, CommandNotExecutable,
        WorkingDirectoryUnusable, ContainerConfigUnreadable, ContainerMissing, ContainerInWrongState, RuntimeFailed,
        CommandTimeout, AdopterLost.
        """
        process = exec_process(target, request)
        end = _End()
        with contextlib.ExitStack() as given_away, undo_on_failure() as undo:
            if counted:
                self._count(target.container_id)
                undo.add("count one less", lambda: self._discount(target.container_id))
            directory = _make_place(target.directory)
            undo.add(f"remove {directory}", lambda: remove_tree(directory))
            streams = Streams.make(directory, given_away, terminal=request.terminal is not None)
            undo.add("close the streams", streams.close)

            def ended(status: int | None) -> None:
                if counted:
                    self._discount(target.container_id)
                with contextlib.suppress(OSError):  # the container's end removes it as well, at this moment perhaps
                    remove_tree(directory)
                end.set(ExecEnd.of(status))

            adopted = self._start(target, process, directory, streams, ended, timeout_seconds)
        # From here on ended() takes back what was done.
        with undo_on_failure() as undo:
            undo.add("close the streams", streams.close)
            undo.add(f"kill process {adopted.pid}", adopted.kill)
            streams.take_terminal(request.terminal)
            born = _start_time(adopted.pid)
            end.tell(lambda how: _kill_lost(how, adopted.pid, born))
        return Execution(
            pid=adopted.pid,
            stdin=streams.stdin,
            stdout=streams.stdout,
            stderr=streams.stderr,
            kill=adopted.kill,
            end=end,
        )

    def close(self) -> None:
        """Kill everything that was started."""
        self._adopter.close()

    def _start(
        self,
        target: ExecTarget,
        process: ExecProcess,
        directory: Path,
        streams: Streams,
        ended: Callable[[int | None], None],
        timeout_seconds: float,
    ) -> Adopted:
        specification, pid_file, errors = directory / "process.json", directory / _PID, directory / "log"
        # The directory is root's alone: the environment may hold secrets.
        specification.write_text(json.dumps(process.as_oci()))
        argv = target.runtime.exec_detached(
            target.container_id,
            process_file=specification,
            pid_file=pid_file,
            log=errors,
            console_socket=streams.console_socket,
        )
        try:
            return self._adopter.start(
                argv, pid_file=pid_file, streams=streams.theirs, on_end=ended, timeout_seconds=timeout_seconds
            )
        except NothingAdopted as error:
            failure = target.runtime.explain_exec(target.container_id, errors)
            raise start_failure(failure, command=process.arguments[0], directory=process.working_directory) from error
        finally:
            specification.unlink(missing_ok=True)  # it is gone when the process has ended already

    def _count(self, container_id: str) -> None:
        with self._lock:
            if self._running[container_id] >= self._limits["per_container"]:
                setting, scope = "per_container", "this container"
            elif self._running.total() >= self._limits["in_all"]:
                setting, scope = "in_all", "all containers"
            else:
                self._running[container_id] += 1
                return
        raise TooManyExecutions(limit=self._limits[setting], scope=scope, setting=setting)

    def _discount(self, container_id: str) -> None:
        with self._lock:
            self._running[container_id] -= 1
            if self._running[container_id] <= 0:
                del self._running[container_id]


def exec_process(target: ExecTarget, request: ExecRequest) -> ExecProcess:
    """The process that a request asks for, everything else as for the container's own.

    Raises BadExecRequest, ContainerConfigUnreadable, BadUserName, NoSuchUser, NoSuchGroup.
    """
    _check(request)
    path = target.bundle / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_bytes())
        rootfs = target.bundle / config["root"]["path"]
        process = ExecProcess.like(config["process"], request.arguments)
        uid_mappings = (config.get("linux") or {}).get("uidMappings") or ()
    except (OSError, ValueError, KeyError) as error:
        raise ContainerConfigUnreadable(path=path, reason=error) from error
    environment = dict(process.environment)
    if request.user is not None:
        try:
            user = resolve_user(rootfs, request.user)
        except OSError as error:
            raise ContainerConfigUnreadable(path=rootfs, reason=error.strerror) from error
        _require_mapped(user.uid, uid_mappings)
        process = replace(process, uid=user.uid, gid=user.gid, additional_gids=user.additional_gids)
        environment["HOME"] = user.home
    if request.terminal is not None:
        environment.setdefault("TERM", "xterm")
    environment.update(request.environment)
    return replace(
        process,
        environment=tuple(environment.items()),
        working_directory=request.working_directory or process.working_directory,
        terminal=request.terminal,
    )


def _check(request: ExecRequest) -> None:
    def refuse(reason: str) -> NoReturn:
        raise BadExecRequest(reason=reason)

    if not request.arguments or not request.arguments[0]:
        refuse("it is empty")
    texts = [*request.arguments, request.working_directory or "/", *(w for pair in request.environment for w in pair)]
    if any("\0" in text for text in texts):
        refuse("a word of it contains a zero byte")
    if not (request.working_directory or "/").startswith("/"):
        refuse(f"its directory {request.working_directory!r} is no absolute path")
    for name, _ in request.environment:
        if not name or "=" in name:
            refuse(f"{name!r} is no name of an environment variable")


def _require_mapped(uid: int, mappings: Iterable[Mapping[str, int]]) -> None:
    ranges = [(each["containerID"], each["size"]) for each in mappings]
    if ranges and not any(first <= uid < first + size for first, size in ranges):
        raise BadExecRequest(reason=f"user id {uid} is beyond the ids that the container has")


def end_left_over(directory: Path, *, first_pid: int) -> None:
    """Kill what an earlier daemon had started in a container and could not end; ``directory`` is ExecTarget's.

    ``first_pid`` is the container's first process. A pid may mean another process by now. One that was started so is
    the only kind in the container's pid namespace, beside the first, whose parent is outside.
    """
    if not directory.exists():
        return
    for place in directory.iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int((place / _PID).read_text())
            if pid != first_pid and _pid_namespace(pid) == _pid_namespace(first_pid) != _pid_namespace(_parent(pid)):
                log.warning("Killing what an earlier daemon had started in a container pid=%d", pid)
                kill_tree(pid)
    remove_tree(directory)


def _make_place(parent: Path) -> Path:
    make_directory(parent, mode=0o700)
    place = parent / secrets.token_hex(8)
    place.mkdir(mode=0o700)
    return place


def _start_time(pid: int) -> int:
    """0 for a process that has ended already."""
    try:
        return process_start_time(pid)
    except ProcessLookupError:
        return 0


def _kill_lost(how: ExecEnd, pid: int, start_time: int) -> None:
    """When the helper was killed, nobody but us is left to end what it looked after."""
    if how == ExecEnd() and alive(pid, start_time):
        kill_tree(pid)


def _pid_namespace(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/pid")


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as stream:
        return int(stream.read().rpartition(b") ")[2].split()[1])
