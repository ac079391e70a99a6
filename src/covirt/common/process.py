# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The only door to other programs: argv lists, closed stdin, a small environment, and a time limit.

On failure the message carries what the program said; the command is logged so that it can be pasted into a shell.
"""

import contextlib
import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Final, Self

from covirt.common.errors import CommandFailed, Unavailable
from covirt.common.readable import readable_within

log = logging.getLogger(__name__)

DEVNULL: Final = subprocess.DEVNULL
PIPE: Final = subprocess.PIPE
_STDERR_LIMIT: Final = 2000  # characters of a program's complaint that go into an error message

Argument = str | os.PathLike[str]


class Secret(str):
    """An argument that must not appear in logs or errors. Prefer passing secrets by file descriptor."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class CommandTimeout(Unavailable):
    template = "{program} did not finish within {timeout_seconds} seconds and was ended"


class CommandMissing(Unavailable):
    template = "the program {program} is not installed or not executable: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a program left: exit status (negative: ended by that signal) and its output."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def complaint(self) -> str:
        """The end of stderr as one trimmed text, for messages."""
        return self.stderr.decode(errors="replace").strip()[-_STDERR_LIMIT:]


def base_environment() -> dict[str, str]:
    """The environment every program gets: a fixed locale, and nothing of ours but PATH, HOME and TMPDIR."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        **kept,
        "LC_ALL": "C.UTF-8",
    }


def shell_text(argv: Sequence[Argument]) -> str:
    """The command as one could paste it into a shell, secrets hidden."""
    return " ".join("***" if isinstance(word, Secret) else shlex.quote(os.fspath(word)) for word in argv)


def run(
    argv: Sequence[Argument],
    *,
    timeout_seconds: float,
    stdin_data: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Argument | None = None,
    pass_descriptors: Sequence[int] = (),
    check: bool = True,
) -> Completed:
    """Run a program to its end. ``environment`` is added to base_environment().

    Raises CommandMissing, CommandTimeout (the whole process group is killed), and, with ``check``, CommandFailed.
    """
    child = spawn(
        argv,
        environment=environment,
        directory=directory,
        pass_descriptors=pass_descriptors,
        stdin=DEVNULL if stdin_data is None else PIPE,
        stdout=PIPE,
        stderr=PIPE,
        own_group=True,
    )
    completed = child.communicate(stdin_data, timeout_seconds=timeout_seconds)
    if check and completed.status != 0:
        log.debug("Command failed status=%d command=%s", completed.status, shell_text(argv))
        raise CommandFailed(
            program=os.path.basename(os.fspath(argv[0])), status=completed.status, stderr=completed.complaint
        )
    return completed


def spawn(
    argv: Sequence[Argument],
    *,
    environment: Mapping[str, str] | None = None,
    directory: Argument | None = None,
    pass_descriptors: Sequence[int] = (),
    stdin: int | IO[bytes] = DEVNULL,
    stdout: int | IO[bytes] = DEVNULL,
    stderr: int | IO[bytes] = DEVNULL,
    own_session: bool = False,
    own_group: bool = False,
) -> "Child":
    """Start a program and return it; the caller waits for it or ends it (Child is a context manager)."""
    log.debug("Starting command=%s", shell_text(argv))
    words = [os.fspath(word) for word in argv]
    try:
        process = _Process(
            words,
            env={**base_environment(), **(environment or {})},
            cwd=directory,
            pass_fds=tuple(pass_descriptors),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=own_session,
            process_group=0 if own_group and not own_session else None,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise CommandMissing(program=words[0], reason=error.strerror) from error
    return Child(tuple(words), process, own_group=own_group or own_session)


class _Process(subprocess.Popen[bytes]):
    """Popen that is told of the end; Python's own wait with a timeout sleeps 1 ms and looks, then 2, 4, 8 ms."""

    def wait(self, timeout: float | None = None) -> int:
        if timeout is not None and self.poll() is None and not self._ends_within(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout)
        return super().wait()

    def _ends_within(self, seconds: float) -> bool:
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:  # another thread has just waited for it
            return True
        try:
            return readable_within(descriptor, seconds)
        finally:
            os.close(descriptor)


class Child:
    """A running program. Leaving the ``with`` block ends it: SIGTERM, a wait, SIGKILL."""

    def __init__(self, argv: tuple[str, ...], process: "subprocess.Popen[bytes]", *, own_group: bool) -> None:
        self.argv = argv
        self.pid = process.pid
        self._process = process
        self._own_group = own_group

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None, "spawn() was not asked for a pipe"  # noqa: S101
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None, "spawn() was not asked for a pipe"  # noqa: S101
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        assert self._process.stderr is not None, "spawn() was not asked for a pipe"  # noqa: S101
        return self._process.stderr

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.poll()

    def wait(self, *, timeout_seconds: float) -> int:
        """The exit status. Raises CommandTimeout; the program goes on."""
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise CommandTimeout(program=self.argv[0], timeout_seconds=timeout_seconds) from None

    def communicate(self, stdin_data: bytes | None = None, *, timeout_seconds: float) -> Completed:
        """Feed stdin, read both outputs to their end, and wait. Ends the program when time is up."""
        try:
            stdout, stderr = self._process.communicate(stdin_data, timeout_seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.communicate()
            raise CommandTimeout(program=self.argv[0], timeout_seconds=timeout_seconds) from None
        except BaseException:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._close_pipes()
            raise
        return Completed(argv=self.argv, status=self._process.returncode, stdout=stdout or b"", stderr=stderr or b"")

    def signal(self, number: int) -> None:
        """Signal the program, with its whole group when it has one of its own; ended already is fine."""
        if self._process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._own_group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def stop(self, *, grace_seconds: float = 5.0) -> int:
        """End it: SIGTERM, then after ``grace_seconds`` SIGKILL. Returns the exit status."""
        self.signal(signal.SIGTERM)
        try:
            status = self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            status = self._process.wait()
        self._close_pipes()
        return status

    def _close_pipes(self) -> None:
        streams: tuple[IO[Any] | None, ...] = (
            self._process.stdin,
            self._process.stdout,
            self._process.stderr,
        )
        for stream in streams:
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
