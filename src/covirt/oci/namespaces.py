# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container's user and network namespace, made before the container and handed to the runtime by path.

Both must exist before ``create``: the network namespace has to belong to the user namespace (otherwise runc cannot
mount /sys and crun cannot set network sysctls), and the image is mounted with the user namespace's mapping.

CLONE_NEWUSER is refused in a process with threads, so another process has to make them: ``unshare``, which then
becomes ``cat``. The byte that cat returns says that both namespaces exist, and cat ends by itself when our end
of its pipe closes, so a killed daemon leaves nothing behind. Measured on two cores: 2.7 ms for both; with a helper
that waits ready since the last start (NamespaceFactory) 0.3 ms. (A clone() from ctypes took 0.5 ms, but its child
shares our memory and descriptors and would outlive a kill -9 of ours with them; unshare with a Python or shell
script 13 ms.)
"""

import contextlib
import errno
import logging
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from covirt.common import process
from covirt.common.errors import Error
from covirt.common.files import make_directory
from covirt.common.readable import readable_within
from covirt.common.undo import undo_on_failure
from covirt.oci import syscalls
from covirt.oci.idmap import IdMap, map_text
from covirt.oci.isolation_errors import NamespacesFailed
from covirt.oci.namespace_socket import raise_loopback

log = logging.getLogger(__name__)

_HELPER: Final = ("unshare", "--user", "--net", "--", "cat")
_HELPER_TIMEOUT_SECONDS: Final = 10.0
_NAMES: Final = ("user", "network")


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespaces:
    """Where the two namespaces can be opened, as long as remove_namespaces() was not called."""

    user: Path
    network: Path


class NamespaceMaker(Protocol):
    """What virtocid asks for before it makes a container."""

    def make(self, idmap: IdMap, directory: Path) -> Namespaces:
        """Make both namespaces at files in ``directory``; they end with the bundle. Raises NamespacesFailed."""

    def warm_up(self) -> None:
        """Do ahead what the next start would wait for."""

    def close(self) -> None: ...


class NamespaceFactory:
    """Makes namespaces with a helper that waits ready since warm_up(), so that a start does not wait for programs.

    Thread-safe. close() ends the helpers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready: _Helper | None = None
        self._used: list[_Helper] = []
        self._refill: threading.Thread | None = None
        self._closed = False

    def warm_up(self) -> None:
        """Start the next start's helper and end the last one's, in the background."""
        with self._lock:
            if self._closed or self._refill is not None or (self._ready is not None and not self._used):
                return
            self._refill = threading.Thread(target=self._make_ready, name="namespace-helper", daemon=True)
            self._refill.start()

    def make(self, idmap: IdMap, directory: Path) -> Namespaces:
        """Make both namespaces and bind them to files in ``directory``. Raises NamespacesFailed."""
        with self._lock:
            helper, self._ready = self._ready, None
        if helper is None:
            return make_namespaces(idmap, directory)
        try:
            return _bind(helper.ready_pid(directory), idmap, directory)
        except NamespacesFailed as error:  # it waited, perhaps for hours, and has ended meanwhile, or just now
            log.debug("The waiting namespace helper is of no use reason=%s", error.reason)
        finally:
            with self._lock:  # not sooner: warm_up() ends what is in there
                self._used.append(helper)
        return make_namespaces(idmap, directory)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            refill = self._refill
        if refill is not None:
            refill.join()
        with self._lock:
            helpers = [*self._used, *([self._ready] if self._ready else [])]
            self._used, self._ready = [], None
        for helper in helpers:
            helper.close()

    def _make_ready(self) -> None:
        with self._lock:
            used, self._used = self._used, []
            wanted = self._ready is None
        for helper in used:
            helper.close()
        fresh = _started_ahead() if wanted else None
        with self._lock:
            self._ready = fresh or self._ready
            self._refill = None


def _started_ahead() -> "_Helper | None":
    try:
        return _Helper()
    except (Error, OSError) as error:
        log.warning("No namespace helper could be started ahead reason=%s", error)
        return None


def make_namespaces(idmap: IdMap, directory: Path) -> Namespaces:
    """Make a user namespace with ``idmap`` and a network namespace that it owns. Raises NamespacesFailed.

    Both are bound to files in ``directory``, which is made when absent; remove_namespaces(directory) ends them.
    """
    with _Helper() as helper:
        return _bind(helper.ready_pid(directory), idmap, directory)


def namespaces_in(directory: Path) -> Namespaces:
    """Where make_namespaces() binds them."""
    return Namespaces(user=directory / "user", network=directory / "network")


def remove_namespaces(directory: Path) -> None:
    """Unbind what make_namespaces() bound; absent is fine. The kernel frees them when the last user is gone."""
    for name in _NAMES:
        path = directory / name
        while _unmounted(path):
            pass
        path.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        directory.rmdir()


class _Helper:
    """A process that sits in a new user namespace and a new network namespace, without a mapping yet."""

    def __init__(self) -> None:
        self._child = process.spawn(_HELPER, stdin=process.PIPE, stdout=process.PIPE, stderr=process.PIPE)
        try:
            self._child.stdin.write(b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            log.debug("The namespace helper ended early pid=%d", self._child.pid)

    def ready_pid(self, directory: Path) -> int:
        """Wait until the namespaces exist; the pid whose /proc entries show them."""
        if not readable_within(self._child.stdout, _HELPER_TIMEOUT_SECONDS):
            raise NamespacesFailed(directory=directory, reason="the helper program did not answer")
        if self._child.stdout.read(1) != b"\n":
            complaint = self._child.stderr.read().decode(errors="replace").strip()
            raise NamespacesFailed(directory=directory, reason=complaint or "the helper program ended early")
        return self._child.pid

    def close(self) -> None:
        self._child.signal(signal.SIGKILL)
        self._child.stop()

    def __enter__(self) -> "_Helper":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bind(pid: int, idmap: IdMap, directory: Path) -> Namespaces:
    made = namespaces_in(directory)
    try:
        _write_map(f"/proc/{pid}/uid_map", map_text(idmap.uids))
        _write_map(f"/proc/{pid}/gid_map", map_text(idmap.gids))
        make_directory(directory)
        with undo_on_failure() as undo:
            undo.add(f"remove the namespaces of {directory}", lambda: remove_namespaces(directory))
            for path, kind in ((made.user, "user"), (made.network, "net")):
                path.touch(mode=0o600)
                syscalls.mount(f"/proc/{pid}/ns/{kind}", os.fspath(path), None, syscalls.MS_BIND)
            raise_loopback(made.network)
    except OSError as error:
        raise NamespacesFailed(directory=directory, reason=error) from error
    return made


def _write_map(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())  # the kernel takes a map in one write only
    finally:
        os.close(descriptor)


def _unmounted(path: Path) -> bool:
    try:
        syscalls.unmount(os.fspath(path))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return False
        raise
    return True
