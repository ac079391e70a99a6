# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container's DHCP client: udhcpc in its user and network namespace, among the helpers of its run.

It gets and keeps a lease, with or without us, and configures nothing: every event is appended to the lease file,
which it inherits open, and whoever supervises it reads that and acts (see dhcp_lease, lease_setup). So it needs two
capabilities, and those in the container's user namespace only, as a user that owns nothing inside or outside.
"""

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from covirt.common.process import Child, spawn
from covirt.common.readable import readable_within
from covirt.oci.dhcp_room import HOOK, ClientRoom
from covirt.oci.namespaces import Namespaces

_PROGRAM: Final = "udhcpc"
_STAGES: Final = ("nsenter", "setpriv", _PROGRAM)  # one process, that becomes them in turn
_CAPABILITIES: Final = "-all,+net_raw,+net_bind_service"  # packet sockets; port 68 of its own lease
# Five questions two seconds apart, then rest for half a minute: little work for nothing where no server is.
_PATIENCE: Final = ("-t", "5", "-T", "2", "-A", "30")
_MORE_OPTIONS: Final = ("mtu", "search", "staticroutes")  # busybox asks for the rest by itself
# The file is cut when it is read; this bounds what an unread one may take. A record is about 700 bytes.
_LEASE_FILE_LIMIT_BYTES: Final = 1 << 20
_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"


class Helpers(Protocol):
    """The part of a run's place (RunCgroup) that holds what works for the container and is not of it."""

    def spawn_helper(self, start: Callable[[], Child]) -> Child: ...

    def helpers(self) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRequest:
    """``interface`` is the name inside. ``user_id``: of the container, and used by nothing else in it.

    ``address`` is one to ask for, because the interface had it before.
    """

    interface: str
    namespaces: Namespaces
    lease_file: Path
    user_id: int
    hostname: str | None = None
    address: str | None = None


def start_client(request: ClientRequest, *, room: ClientRoom, helpers: Helpers) -> Child:
    """Start the client; it asks, and goes on asking, until stop_client(). Raises CommandMissing, OSError."""
    with contextlib.ExitStack() as stack:

        def opened(path: Path, flags: int) -> int:
            descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, descriptor)
            return descriptor

        user = opened(request.namespaces.user, os.O_RDONLY)
        network = opened(request.namespaces.network, os.O_RDONLY)
        output = opened(request.lease_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW)

        def start() -> Child:
            room.enter()
            return spawn(
                _arguments(request, user, network),
                stdout=output,
                pass_descriptors=(user, network),
                environment={"PATH": _PATH, "HOME": "/", "TMPDIR": "/"},
            )

        child = helpers.spawn_helper(start)
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (_LEASE_FILE_LIMIT_BYTES, _LEASE_FILE_LIMIT_BYTES))
        return child


def _arguments(request: ClientRequest, user: int, network: int) -> list[str]:
    number = str(request.user_id)
    argv = ["nsenter", f"--user=/proc/self/fd/{user}", f"--net=/proc/self/fd/{network}", "--setuid=0", "--setgid=0"]
    argv += ["--", "setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups", "--no-new-privs"]
    argv += [f"--inh-caps={_CAPABILITIES}", f"--ambient-caps={_CAPABILITIES}", f"--bounding-set={_CAPABILITIES}"]
    argv += ["--", _PROGRAM, "-f", "-R", "-i", request.interface, *_PATIENCE, "-s", HOOK]
    for option in _MORE_OPTIONS:
        argv += ["-O", option]
    if request.hostname is not None:
        argv += ["-x", f"hostname:{request.hostname}"]
    if request.address is not None:
        argv += ["-r", request.address]
    return argv


def find_clients(helpers: Helpers) -> dict[str, int]:
    """The clients that run, also those that an earlier daemon started: pids by the name of the interface inside."""
    found = {}
    for pid in helpers.helpers():
        interface = _interface_of(pid)
        if interface is not None:
            found[interface] = pid
    return found


def _interface_of(pid: int) -> str | None:
    """The argument list names it from the first moment on, while nsenter and setpriv still prepare the client."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # By the first word too: what is executed inside for a user may have any words, behind a runtime's name.
    if words[0] not in _STAGES or _PROGRAM not in words:
        return None
    options = words[words.index(_PROGRAM) :]
    return options[options.index("-i") + 1] if "-i" in options[:-1] else None


class EndingClient:
    """A client that was told to end. It sends the release at once, and waits for no answer: there is none."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def wait(self, seconds: float) -> None:
        """Until it has ended, but no longer than that: then it is killed. Call it once."""
        try:
            if not readable_within(self._descriptor, seconds):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        finally:
            os.close(self._descriptor)


def end_client(pid: int, interface: str, *, release: bool) -> EndingClient | None:
    """Tell a client that find_clients() found to end; with ``release`` it gives the lease back first."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        # Looked at again after opening: from here on the descriptor cannot come to mean another process.
        if _interface_of(pid) == interface:
            signal.pidfd_send_signal(descriptor, signal.SIGTERM if release else signal.SIGKILL)
            return EndingClient(descriptor)
    except ProcessLookupError:
        pass
    os.close(descriptor)
    return None
