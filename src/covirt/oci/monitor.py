# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""conmon in front of a container: it owns the console, writes the log, keeps the exit code, and outlives the daemon.

conmon is no child of ours: it forks twice, so nothing of it ends with virtocid. Everything about a run is found again
from its directory: the pid files, the exit file, the out-of-memory mark, and the sockets.
"""

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from covirt.common.errors import Error
from covirt.common.files import make_directory
from covirt.common.process import Argument, Child, CommandTimeout
from covirt.common.process_identity import ProcessIdentity, alive
from covirt.common.readable import readable_within
from covirt.common.undo import undo_on_failure
from covirt.oci.container_log import LogLine, read_log_tail
from covirt.oci.null_device import reclaim_null_device
from covirt.oci.runtime import Runtime
from covirt.oci.runtimes.errors import CreateFailed, MonitorUnreachable
from covirt.oci.runtimes.messages import runtime_message
from covirt.oci.supervisor import RunCgroup

log = logging.getLogger(__name__)

CREATE_SECONDS: Final = 60.0
# First byte of a packet from conmon's attach socket (conmon src/conn_sock.c, ctr_stdio.c: STDIO_MARK).
STDOUT_MARK: Final = 2
STDERR_MARK: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorPaths:
    """Where one run keeps its monitor's files.

    ``directory`` is ours alone (0700 does); ``bundle`` is where config.json lies, and conmon puts its sockets there.
    """

    directory: Path
    bundle: Path
    log: Path

    @property
    def pid_file(self) -> Path:
        return self.directory / "pid"

    @property
    def monitor_pid_file(self) -> Path:
        return self.directory / "conmon.pid"

    @property
    def runtime_log(self) -> Path:
        return self.directory / "runtime.log"

    @property
    def exit_file(self) -> Path:
        """Written whole by conmon (--persist-dir) before it ends."""
        return self.directory / "exit"

    @property
    def oom_file(self) -> Path:
        """Made empty by conmon when it hears of an out-of-memory kill; see RunEnd.oom_mark."""
        return self.directory / "oom"

    @property
    def control_fifo(self) -> Path:
        return self.bundle / "ctl"

    @property
    def attach_socket(self) -> Path:
        return self.bundle / "attach"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoredContainer:
    container: ProcessIdentity
    monitor: ProcessIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """What is known of a run once its monitor has ended.

    ``status``: the shell's convention, 128 + N for signal N; None when conmon left no exit file (killed, power cut).
    ``oom_mark``: conmon heard of an out-of-memory kill. False proves nothing: on v2 it needs an inotify instance that
    may be refused, so read the cgroup's counter as well before deleting it (CgroupReader.oom_kills).
    """

    status: int | None
    oom_mark: bool
    container_alive: bool

    @property
    def supervisor_lost(self) -> bool:
        """The monitor ended before the container, or before it could write what it knew."""
        return self.status is None


def _nothing() -> None:
    """What a caller does meanwhile that has nothing to do."""


class Monitor(Protocol):
    """What virtocid asks of the process in front of a container."""

    def create(
        self,
        *,
        runtime: Runtime,
        container_id: str,
        paths: MonitorPaths,
        terminal: bool,
        cgroup: RunCgroup,
        meanwhile: Callable[[], None] = _nothing,
    ) -> MonitoredContainer: ...


class ConmonMonitor:
    """Starts conmon (2.1 or newer), or a program with its command line. ``arguments`` come before all others."""

    def __init__(
        self, *, program: str = "conmon", arguments: tuple[str, ...] = (), timeout_seconds: float = CREATE_SECONDS
    ) -> None:
        self.program = program
        self.arguments = arguments
        self.timeout_seconds = timeout_seconds

    def create(
        self,
        *,
        runtime: Runtime,
        container_id: str,
        paths: MonitorPaths,
        terminal: bool,
        cgroup: RunCgroup,
        meanwhile: Callable[[], None] = _nothing,
    ) -> MonitoredContainer:
        """Make a container, in status "created", with a monitor of its own in the leaf ``supervisor``.

        ``meanwhile`` is called while the runtime works, for what a container needs no sooner than its start.
        Raises CreateFailed with the runtime's own words, and what ``meanwhile`` raises; the container is gone again
        then. The cgroup stays the caller's to remove.
        """
        for path in (paths.exit_file, paths.oom_file, paths.runtime_log):
            path.unlink(missing_ok=True)
        make_directory(paths.directory)
        with undo_on_failure() as undo, contextlib.ExitStack() as cleanup:
            undo.add(f"discard container {container_id}", lambda: _discard(runtime, container_id, cgroup))
            cleanup.callback(reclaim_null_device)
            child, sync_read = self._launch(
                self._argv(runtime, container_id, paths, terminal=terminal), paths, cgroup, cleanup
            )
            try:
                meanwhile()
            finally:  # what is half created cannot be discarded
                answer = self._wait(sync_read, child)
                child.wait(timeout_seconds=self.timeout_seconds)  # conmon has forked away by now
            pid, message = _parse_answer(answer)
            if pid is None:
                raise _create_failed(runtime, container_id, _failure_text(paths, message, child))
            try:
                return MonitoredContainer(
                    container=ProcessIdentity.of(pid),
                    monitor=ProcessIdentity.of(int(paths.monitor_pid_file.read_text())),
                )
            except ProcessLookupError as error:
                raise _create_failed(runtime, container_id, f"it ended before it was started: {error}") from error

    def _launch(
        self,
        argv: Sequence[Argument],
        paths: MonitorPaths,
        cgroup: RunCgroup,
        cleanup: contextlib.ExitStack,
    ) -> tuple[Child, int]:
        """Start conmon in its leaf and let it go on; returns it with our end of the sync pipe."""
        sync_read, sync_write = os.pipe()
        cleanup.callback(os.close, sync_read)
        with contextlib.ExitStack() as given_away:
            given_away.callback(os.close, sync_write)
            start_read, start_write = os.pipe()
            given_away.callback(os.close, start_read)
            cleanup.callback(os.close, start_write)
            child = cgroup.spawn(
                argv,
                environment={
                    "_OCI_SYNCPIPE": str(sync_write),
                    "_OCI_STARTPIPE": str(start_read),
                    # Where conmon binds the console socket. Relative to the bundle, which is conmon's and the
                    # runtime's working directory, because a socket path may have 107 bytes and a root is longer.
                    "TMPDIR": ".",
                },
                directory=paths.bundle,
                pass_descriptors=(sync_write, start_read),
            )
        cleanup.callback(child.stderr.close)
        os.write(start_write, b"\0")
        return child, sync_read

    def _argv(self, runtime: Runtime, container_id: str, paths: MonitorPaths, *, terminal: bool) -> list[Argument]:
        command = runtime.command().with_log(paths.runtime_log)
        argv: list[Argument] = [self.program, *self.arguments, "--api-version=1"]
        argv += ["--cid", container_id, "--cuuid", container_id, "--name", container_id]
        argv += ["--runtime", command.path, *(f"--runtime-arg={word}" for word in command.arguments)]
        argv += ["--bundle", paths.bundle, "--persist-dir", paths.directory]
        argv += ["--container-pidfile", paths.pid_file, "--conmon-pidfile", paths.monitor_pid_file]
        argv += ["--log-path", f"k8s-file:{paths.log}", "--log-level=error"]
        # The attach socket lies in the bundle itself, bound through /proc/self/fd: no limit on the path's length.
        argv += ["--full-attach"]
        # Without a terminal, stdin is a pipe that stays open whoever comes and goes on the console.
        argv += ["--terminal"] if terminal else ["--stdin", "--leave-stdin-open"]
        return argv

    def _wait(self, sync_read: int, child: Child) -> bytes:
        """Everything conmon says on the sync pipe up to a newline, or to its end."""
        deadline = time.monotonic() + self.timeout_seconds
        answer = b""
        while b"\n" not in answer:
            if not readable_within(sync_read, deadline - time.monotonic()):
                raise CommandTimeout(program=child.argv[0], timeout_seconds=self.timeout_seconds)
            more = os.read(sync_read, 65536)
            if not more:
                break
            answer += more
        return answer


def _discard(runtime: Runtime, container_id: str, cgroup: RunCgroup) -> None:
    with contextlib.suppress(Error):
        runtime.delete(container_id, force=True)
    cgroup.kill()


def _create_failed(runtime: Runtime, container_id: str, message: str) -> CreateFailed:
    return CreateFailed(runtime=runtime.name, operation="create", container_id=container_id, message=message)


def _parse_answer(answer: bytes) -> tuple[int | None, str]:
    """conmon's sync message, ``{"data": PID}`` or ``{"data": -1, "message": TEXT}``; nothing when it broke early."""
    try:
        record = json.loads(answer.decode(errors="replace"), strict=False)
        number, message = int(record["data"]), str(record.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, answer.decode(errors="replace")
    return (number if number > 0 else None), message


def _failure_text(paths: MonitorPaths, message: str, child: Child) -> str:
    """The best there is: the runtime's log, what conmon passed on of its stderr, what conmon itself said."""
    with contextlib.suppress(FileNotFoundError):
        logged = runtime_message(paths.runtime_log.read_text(errors="replace"))
        if logged:
            return logged
    said = runtime_message(message)
    if not said and readable_within(child.stderr, 0):
        said = os.read(child.stderr.fileno(), 8192).decode(errors="replace").strip()
    return said or f"conmon ended with status {child.poll()} and said nothing"


def read_end(paths: MonitorPaths, container: ProcessIdentity) -> RunEnd:
    """What a run left, to be asked once its monitor has ended. Calls no program."""
    return RunEnd(
        status=exit_status(paths),
        oom_mark=paths.oom_file.exists(),
        container_alive=alive(container.pid, container.start_time),
    )


def exit_status(paths: MonitorPaths) -> int | None:
    """The container's exit status (128 + N: killed by signal N), or None while it is not known."""
    try:
        status = int(paths.exit_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return status if status >= 0 else None


def attach(paths: MonitorPaths) -> socket.socket:
    """Connect to the container's console: a packet socket, blocking. Raises MonitorUnreachable.

    Packets that arrive begin with STDOUT_MARK or STDERR_MARK and hold up to 8 KiB; what is sent goes to stdin as it
    is, at most 8 KiB a packet. Several clients may be attached; each sees what is written from now on.
    """
    directory = os.open(paths.bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.setblocking(False)  # a monitor that hangs accepts nobody: do not wait for it
    try:
        # By descriptor, because the path may be longer than a socket address.
        client.connect(f"/proc/self/fd/{directory}/{paths.attach_socket.name}")
        client.setblocking(True)
    except OSError as error:
        client.close()
        raise MonitorUnreachable(path=paths.attach_socket, reason=error.strerror) from error
    finally:
        os.close(directory)
    return client


def resize(paths: MonitorPaths, *, rows: int, columns: int) -> None:
    """Set the size of the container's terminal. Raises MonitorUnreachable."""
    # conmon 2.2 refuses more than 1000
    _control(paths, f"1 {max(0, min(rows, 1000))} {max(0, min(columns, 1000))}\n")


def rotate_log(paths: MonitorPaths, *, keep: int = 1) -> bool:
    """Put the log aside as ``LOG.1`` (older ones move up, ``keep`` stay) and have conmon begin a new one.

    No line is lost: until conmon has reopened, it goes on writing to the file put aside. False when the log has not
    appeared yet since the last time. Raises MonitorUnreachable; the log is put back then.
    """
    if not paths.log.exists():
        return False
    names = [paths.log, *(paths.log.with_name(f"{paths.log.name}.{number + 1}") for number in range(max(1, keep)))]
    for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
        with contextlib.suppress(FileNotFoundError):
            newer.rename(older)
    try:
        _control(paths, "2 0 0\n")
    except MonitorUnreachable:
        with contextlib.suppress(FileNotFoundError):
            names[1].rename(paths.log)
        raise
    return True


def log_tail(paths: MonitorPaths, lines: int) -> tuple[LogLine, ...]:
    """The last lines of the log, reaching into the one put aside last when the present one is too short."""
    tail = read_log_tail(paths.log, lines)
    if len(tail) < lines:
        aside = paths.log.with_name(f"{paths.log.name}.1")
        tail = (*read_log_tail(aside, lines - len(tail)), *tail)
    return tail


def _control(paths: MonitorPaths, message: str) -> None:
    try:
        # Without a reader a fifo cannot be opened so: conmon has ended.
        descriptor = os.open(paths.control_fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(descriptor, message.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise MonitorUnreachable(path=paths.control_fifo, reason=error.strerror) from error
