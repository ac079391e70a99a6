# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Files and facts of a running container, seen from within: by a helper in it that has the rights of its root.

Nothing of a container is opened by a process with the host's rights: links, devices, FIFOs and file systems in there
are its own, and may be hostile. The helper (inside_program.py) has the container's user, mount and UTS namespace, its
cgroup, and of its capabilities those about files; every request has a time limit, and one that exceeds it ends the
helper. A helper lives as long as its Inside is open, and no longer than virtocid. Starting one takes some 30 ms.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from covirt.common.errors import CommandFailed, Unavailable
from covirt.common.process import PIPE, Child, CommandTimeout, spawn
from covirt.common.process_identity import ProcessIdentity, alive
from covirt.common.readable import readable_within, writable_within
from covirt.oci import inside_program
from covirt.oci.cgroup_layout import CgroupLayout

log = logging.getLogger(__name__)

# linux/capability.h: what is about files. Of these the helper keeps those that the container has.
_FILE_CAPABILITIES: Final = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_FSETID": 4}
_NAMESPACES: Final = ("user", "mnt", "uts")
_START_SECONDS: Final = 20.0
_KILL_SECONDS: Final = 5.0
# A helper that nobody asks anything for so long ends, and what it has open is closed.
IDLE_SECONDS: Final = 1800
_ANSWER_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 16


class InsideUnreachable(CommandFailed):
    template = "the container {container} cannot be looked into: {reason}"


class InsideTimeout(Unavailable):
    template = "the container {container} did not answer a look into it within {seconds:.0f} seconds"


class InsideFailed(CommandFailed):
    """The container's kernel said no. Fields: what, reason, number (errno)."""

    template = "{what}: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InsideTarget:
    """Which container: its first process, the capabilities of that, and the files to enter its cgroup by."""

    container: str
    process: ProcessIdentity
    capabilities: tuple[str, ...]
    cgroup_files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """uname(2), with the container's own host name."""

    hostname: str
    release: str
    version: str
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    total_bytes: int
    used_bytes: int


class Inside(Protocol):
    """An open view. Every method raises InsideTimeout and InsideUnreachable, after either of which it is of no use,
    and InsideFailed for what the container's files do not allow. One thread at a time.
    """

    def names(self, *, seconds: float) -> Names: ...

    def text(self, path: str, *, limit_bytes: int, seconds: float) -> bytes | None:
        """The beginning of a regular file; None when it is none, or cannot be read."""

    def timezone(self, zone: str | None, *, seconds: float) -> tuple[str, int]:
        """Name and offset from UTC in seconds, of ``zone`` as in TZ, else by /etc/localtime."""

    def space(self, paths: Sequence[str], *, seconds: float) -> list[Space | None]:
        """By directory; None for what is none, or cannot be reached."""

    def open(self, handle: int, path: str, flags: int, *, seconds: float) -> None:
        """Open a file under the caller's number ``handle``; never waits for a FIFO's other end."""

    def close_file(self, handle: int, *, seconds: float) -> None: ...

    def read(self, handle: int, count: int, *, seconds: float) -> bytes:
        """Up to ``count`` bytes; fewer only at the end, or when a FIFO has no more for now."""

    def write(self, handle: int, data: bytes, *, seconds: float) -> int:
        """How much could be written."""

    def seek(self, handle: int, offset: int, whence: int, *, seconds: float) -> int:
        """The new position; ``whence`` as in lseek(2)."""

    @property
    def gone(self) -> bool:
        """Whether it has ended: nobody asked for long, or it was closed. Then it is of no use."""

    def kill(self) -> None:
        """End it from any thread, without waiting."""

    def close(self) -> None:
        """End it; not ``gone`` after that when it hangs in the kernel."""


def cgroup_files(layout: CgroupLayout, path: str) -> tuple[str, ...]:
    """The files that a process of one thread writes 0 to, to be in the cgroup ``path``.

    But for v1's freezer: what is frozen there cannot even be killed.
    """
    if layout.version == 2:
        return tuple(f"{mount}{path}/cgroup.procs" for mount in layout.mount_points())
    freezer = layout.hierarchies.get("freezer")
    return tuple(f"{mount}{path}/tasks" for mount in layout.mount_points() if mount != freezer)


def open_inside(target: InsideTarget) -> Inside:
    """Start a helper in a running container. Raises InsideUnreachable, InsideTimeout."""
    namespaces = _open_namespaces(target)
    try:
        child = spawn(
            _command(target, namespaces), stdin=PIPE, stdout=PIPE, pass_descriptors=namespaces, own_group=True
        )
    finally:
        for descriptor in namespaces:
            os.close(descriptor)
    inside = HelperInside(child, target.container)
    try:
        inside.wait_until_ready()
    except BaseException:
        inside.close()
        raise
    return inside


def _command(target: InsideTarget, namespaces: Iterable[int]) -> list[str]:
    kept = sum(1 << number for name, number in _FILE_CAPABILITIES.items() if name in target.capabilities)
    # -I -S: no site packages and no environment, for a quick start and for nothing that could be imported later.
    script = str(Path(inside_program.__file__).absolute())
    words = [sys.executable, "-I", "-S", script, f"{kept:x}", str(IDLE_SECONDS)]
    return [*words, *(str(descriptor) for descriptor in namespaces), *target.cgroup_files]


def _open_namespaces(target: InsideTarget) -> list[int]:
    descriptors: list[int] = []
    process = target.process
    try:
        for kind in _NAMESPACES:
            descriptors.append(os.open(f"/proc/{process.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC))
        if not alive(process.pid, process.start_time):  # asked afterwards: the pid was its own all the time
            raise ProcessLookupError(3, "it has ended")
    except OSError as error:
        for descriptor in descriptors:
            os.close(descriptor)
        raise InsideUnreachable(container=target.container, reason=error.strerror) from error
    return descriptors


class HelperInside:
    """Talks to the helper."""

    def __init__(self, child: Child, container: str) -> None:
        self._child = child
        self._container = container
        self._closed = threading.Lock()  # held for ever by whoever closes first
        self._rest = b""
        os.set_blocking(child.stdin.fileno(), False)

    def wait_until_ready(self) -> None:
        try:
            self._answer("joining it", time.monotonic() + _START_SECONDS, _START_SECONDS)
        except InsideFailed as error:
            raise InsideUnreachable(container=self._container, reason=error.reason) from error

    def names(self, *, seconds: float) -> Names:
        answer, _ = self._ask("names", "its names", seconds=seconds)
        return Names(
            hostname=answer["nodename"],
            release=answer["release"],
            version=answer["version"],
            machine=answer["machine"],
        )

    def text(self, path: str, *, limit_bytes: int, seconds: float) -> bytes | None:
        try:
            answer, data = self._ask("text", path, seconds=seconds, path=path, count=limit_bytes)
        except InsideFailed:
            return None
        return data if answer["regular"] else None

    def timezone(self, zone: str | None, *, seconds: float) -> tuple[str, int]:
        answer, _ = self._ask("timezone", "its time zone", seconds=seconds, zone=zone)
        return answer["zone"], answer["offset"]

    def space(self, paths: Sequence[str], *, seconds: float) -> list[Space | None]:
        answer, _ = self._ask("space", "its file systems", seconds=seconds, paths=list(paths))
        return [
            None if numbers is None else Space(total_bytes=numbers[0], used_bytes=numbers[1])
            for numbers in answer["space"]
        ]

    def open(self, handle: int, path: str, flags: int, *, seconds: float) -> None:
        self._ask("open", path, seconds=seconds, handle=handle, path=path, flags=flags)

    def close_file(self, handle: int, *, seconds: float) -> None:
        self._ask("close", f"handle {handle}", seconds=seconds, handle=handle)

    def read(self, handle: int, count: int, *, seconds: float) -> bytes:
        return self._ask("read", f"handle {handle}", seconds=seconds, handle=handle, count=count)[1]

    def write(self, handle: int, data: bytes, *, seconds: float) -> int:
        answer, _ = self._ask("write", f"handle {handle}", seconds=seconds, data=data, handle=handle)
        return int(answer["count"])

    def seek(self, handle: int, offset: int, whence: int, *, seconds: float) -> int:
        answer, _ = self._ask(
            "seek", f"handle {handle}", seconds=seconds, handle=handle, offset=offset, whence=whence
        )
        return int(answer["position"])

    @property
    def gone(self) -> bool:
        return self._child.poll() is not None

    def kill(self) -> None:
        self._child.signal(signal.SIGKILL)

    def close(self) -> None:
        if not self._closed.acquire(blocking=False):
            return
        self.kill()
        try:
            self._child.wait(timeout_seconds=_KILL_SECONDS)
        except CommandTimeout:  # it hangs in the kernel, in a file system of the container
            log.warning("A helper in a container does not end yet container=%s pid=%d", self._container,
                        self._child.pid)  # fmt: skip
            _keep_stuck(self._child)
            return
        self._child.stop()

    def _ask(
        self, what: str, subject: str, *, seconds: float, data: bytes = b"", **arguments: Any
    ) -> tuple[dict[str, Any], bytes]:
        deadline = time.monotonic() + seconds
        # The helper's own alarm is the second line of defence: it works when virtocid is gone.
        request = {"do": what, "bytes": len(data), "seconds": int(seconds) + 2, **arguments}
        try:
            self._send(json.dumps(request).encode() + b"\n" + data, deadline, seconds)
            return self._answer(subject, deadline, seconds)
        except OSError as error:
            raise InsideUnreachable(container=self._container, reason=error.strerror) from error

    def _send(self, data: bytes, deadline: float, seconds: float) -> None:
        pipe, rest = self._child.stdin.fileno(), memoryview(data)
        while rest:
            if not writable_within(pipe, deadline - time.monotonic()):
                raise InsideTimeout(container=self._container, seconds=seconds)
            rest = rest[os.write(pipe, rest[:_CHUNK_BYTES]) :]

    def _answer(self, subject: str, deadline: float, seconds: float) -> tuple[dict[str, Any], bytes]:
        while b"\n" not in self._rest:
            if len(self._rest) > _ANSWER_BYTES:
                raise InsideUnreachable(container=self._container, reason="its helper answers without end")
            self._rest += self._more(deadline, seconds)
        line, _, rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        parts, missing = [rest], answer["bytes"] - len(rest)
        while missing > 0:
            parts.append(self._more(deadline, seconds))
            missing -= len(parts[-1])
        self._rest = b""
        if "error" in answer:
            raise InsideFailed(what=subject, reason=answer["reason"], number=answer["error"])
        return answer, b"".join(parts)

    def _more(self, deadline: float, seconds: float) -> bytes:
        if not readable_within(self._child.stdout, deadline - time.monotonic()):
            raise InsideTimeout(container=self._container, seconds=seconds)
        data = os.read(self._child.stdout.fileno(), _CHUNK_BYTES)
        if not data:
            raise InsideUnreachable(container=self._container, reason="its helper has ended")
        return data


# Kept until they end, so that nobody has to wait for that, and nobody complains of one that was given up.
_stuck: Final[list[Child]] = []
_stuck_lock: Final = threading.Lock()


def _keep_stuck(child: Child) -> None:
    with _stuck_lock:
        _stuck[:] = [*(each for each in _stuck if each.poll() is None), child]
