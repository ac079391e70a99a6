# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The host's own addresses by DHCP: one udhcpc for each interface, whose events are applied to it.

udhcpc gets and keeps leases and configures nothing; it prints every event, and a thread here reads and acts. It goes
on when we are killed: the next agent finds it by what is written down, ends it and asks for the same address.
"""

import contextlib
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from covirt.common.dhcp_lease import BadLease, Lease, last_event, lease_of
from covirt.common.files import make_directory, read_json, write_atomic, write_json
from covirt.common.process import PIPE, Argument, Child, CommandMissing, spawn
from covirt.host.network.apply import apply
from covirt.host.network.errors import LinkChangeFailed
from covirt.host.network.links import Link, Route, read_links
from covirt.host.network.plan import Action, Step

log = logging.getLogger(__name__)

_PROGRAM: Final = "udhcpc"
_PATIENCE: Final = ("-t", "5", "-T", "2", "-A", "30")
_OPTIONS: Final = ("-O", "staticroutes")
_RECORD_VERSION: Final = 1
_MOST_BYTES: Final = 1 << 16  # of one event
_VIA: Final = " via "  # of a route in a lease's record
_LINK: Final = "link"
_PROCESS_WAIT_SECONDS: Final = 5.0
# A client that ended by itself (killed for memory, or by somebody) is begun anew, or its lease would run out
# unseen; one that ends again and again not without a pause.
_FIRST_PAUSE_SECONDS: Final = 1.0
_LAST_PAUSE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An interface that wants a lease; ``route``: its router is the host's."""

    name: str
    route: bool


class DhcpClients:
    """All of them. ``directory`` lasts as long as the boot; ``hook_dir`` allows programs (/run often does not)."""

    def __init__(self, directory: Path, hook_dir: Path, *, alias: str) -> None:
        self._directory = directory
        self._hook = hook_dir / "dhcp-event"
        self._alias = alias
        self._lock = threading.Lock()
        self._clients: dict[str, _Client] = {}

    def retain(self, wanted: Iterable[Asked]) -> None:
        """End the clients of all others."""
        asked = set(wanted)
        with self._lock:
            for name in [name for name, client in self._clients.items() if client.asked not in asked]:
                self._clients.pop(name).end(release=name not in {one.name for one in asked})
        for name in set(self.leased()) - {one.name for one in asked}:
            (self._directory / f"dhcp-{name}.json").unlink(missing_ok=True)

    def keep(self, wanted: Iterable[Asked]) -> None:
        """From now on these have a client, and no other. Raises CommandMissing."""
        asked = tuple(wanted)
        self.retain(asked)
        with self._lock:
            for one in asked:
                if one.name not in self._clients:
                    self._clients[one.name] = self._started(one)

    def leased(self) -> dict[str, tuple[str, ...]]:
        """By interface what leases gave: address with prefix length, routes, and a gateway. Also those of an agent
        that was killed."""
        found = {}
        for path in self._directory.glob("dhcp-*.json"):
            with contextlib.suppress(FileNotFoundError):
                record = _read_record(path)
                found[record["interface"]] = tuple(record["configured"])
        return found

    def wait_for(self, names: Collection[str], *, seconds: float) -> None:
        """Until these have a lease, but no longer."""
        with self._lock:
            clients = [self._clients[name] for name in names if name in self._clients]
        deadline = time.monotonic() + seconds
        for client in clients:
            client.bound.wait(max(0.0, deadline - time.monotonic()))

    def end_strays(self) -> None:
        """End clients of an agent that was killed; their addresses stay. Call it before keep(), once."""
        for path in self._directory.glob("dhcp-*.json"):
            record = _read_record(path)
            _end_stray(record["pid"], record["interface"])

    def stop(self) -> None:
        """End all clients; addresses stay, and the next agent asks for them."""
        with self._lock:
            for client in self._clients.values():
                client.end(release=False)
            self._clients.clear()

    def _started(self, asked: Asked) -> "_Client":
        make_directory(self._directory)
        cat = shutil.which("cat", path="/usr/bin:/bin")
        if cat is None:
            raise CommandMissing(program="cat", reason="it is neither in /usr/bin nor in /bin")
        make_directory(self._hook.parent)
        # Prints the event's environment, then this line: no interpreter ever sees what a server sent.
        write_atomic(self._hook, f"#!{cat} /proc/self/environ\n".encode(), mode=0o700)
        return _Client(asked, self._directory / f"dhcp-{asked.name}.json", self._hook, self._alias)


class _Client:
    def __init__(self, asked: Asked, record: Path, hook: Path, alias: str) -> None:
        self.asked = asked
        self.bound = threading.Event()
        self._record = record
        self._hook = hook
        self._alias = alias
        self._configured: tuple[str, ...] = ()
        self._until = 0.0  # of the lease; see _now()
        with contextlib.suppress(FileNotFoundError):
            before = _read_record(record)
            self._configured, self._until = tuple(before["configured"]), before.get("until", 0.0)
        self._ending = threading.Event()
        self._lock = threading.Lock()  # around a new child, and the wish that there be none
        self._child = self._spawned()
        self._thread = threading.Thread(target=self._run, name=f"dhcp-{asked.name}")
        self._thread.start()

    def end(self, *, release: bool) -> None:
        """With ``release`` the lease is given back, its address removed by whoever plans that."""
        with self._lock:
            self._ending.set()
        self._child.signal(signal.SIGTERM if release else signal.SIGKILL)
        with contextlib.suppress(Exception):
            self._child.wait(timeout_seconds=_PROCESS_WAIT_SECONDS)
        self._thread.join(_PROCESS_WAIT_SECONDS)
        self._child.stop()
        if release:
            self._record.unlink(missing_ok=True)

    def _spawned(self) -> Child:
        """Asks for the address that it had. Raises CommandMissing."""
        argv: list[Argument] = [_PROGRAM, "-f", "-R", "-i", self.asked.name, *_PATIENCE, *_OPTIONS, "-s", self._hook]
        for address in self._configured[:1]:
            argv += ["-r", address.partition("/")[0]]
        child = spawn(argv, stdout=PIPE, own_group=True)
        self._write_down(child)
        return child

    def _run(self) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            self._read(self._child)
            if time.monotonic() - began > _LAST_PAUSE_SECONDS:
                pause_seconds = _FIRST_PAUSE_SECONDS
            while True:
                if self._ending.wait(pause_seconds):
                    return
                pause_seconds = min(2 * pause_seconds, _LAST_PAUSE_SECONDS)
                if self._began_anew():
                    break

    def _began_anew(self) -> bool:
        log.warning("A DHCP client has ended by itself and is begun anew interface=%s", self.asked.name)
        with self._lock:
            if self._ending.is_set():
                return False
            self._child.stop()
            try:
                self._child = self._spawned()
            except (CommandMissing, OSError) as error:
                log.warning("It cannot be begun interface=%s reason=%s", self.asked.name, error)
                return False
        return True

    def _read(self, child: Child) -> None:
        data = b""
        while chunk := os.read(child.stdout.fileno(), 4096):
            data = (data + chunk)[-_MOST_BYTES:]
            if not data.endswith(b"\n"):
                continue
            event = last_event(data)
            if event is not None:
                data = b""
                if not self._ending.is_set():
                    self._act(event)

    def _act(self, event: Any) -> None:
        try:
            lease = lease_of(event)
            self._configure(lease)
        except (BadLease, LinkChangeFailed, OSError) as error:
            log.warning("A lease is not used interface=%s reason=%s", self.asked.name, error)

    def _configure(self, lease: Lease | None) -> None:
        if lease is None and _now() < self._until:
            return  # a client begins by saying that it has none; that of the one before is good until it runs out
        wanted = () if lease is None else _configuration(lease, route=self.asked.route)
        link = read_links().get(self.asked.name)
        if link is None:
            return
        apply(_steps(link, self._configured, wanted), alias=self._alias)
        self._configured = wanted
        self._until = 0.0 if lease is None or lease.seconds is None else _now() + lease.seconds
        self._write_down(self._child)
        if lease is not None:
            log.info("The host has a lease interface=%s address=%s", self.asked.name, lease.cidr)
            self.bound.set()

    def _write_down(self, child: Child) -> None:
        write_json(self._record, {"interface": self.asked.name, "pid": child.pid,
                                  "configured": list(self._configured), "until": self._until},
                   version=_RECORD_VERSION, durable=False)  # fmt: skip


def _read_record(path: Path) -> Mapping[str, Any]:
    return read_json(path, versions=range(1, _RECORD_VERSION + 1))


def _now() -> float:
    """Seconds of this boot, sleep included: as long as records last."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _configuration(lease: Lease, *, route: bool) -> tuple[str, ...]:
    """In the order in which it is set: the address, routes of which one may lead to the router of the next, and, with
    ``route``, the host's router."""
    routes = [Route(target=target, gateway=gateway) for target, gateway in lease.routes]
    others = sorted((one for one in routes if not one.is_default), key=lambda one: one.gateway is not None)
    routers = [one.gateway for one in routes if route and one.is_default and one.gateway]
    return (lease.cidr, *(f"{one.target}{_VIA}{one.gateway or _LINK}" for one in others), *routers[:1])


def _steps(link: Link, before: tuple[str, ...], after: tuple[str, ...]) -> list[Step]:
    present = {*link.addresses, *link.gateways}
    dropped = [_step(link.name, text, adds=False) for text in reversed(before) if text not in after]
    added = [_step(link.name, text, adds=True) for text in after if text not in present]
    return [*dropped, *(step for step in added if step.route not in link.routes)]


def _step(name: str, text: str, *, adds: bool) -> Step:
    target, via, gateway = text.partition(_VIA)
    if via:
        route = Route(target=target, gateway=None if gateway == _LINK else gateway)
        action = Action.ADD_ROUTE if adds else Action.DROP_ROUTE
        return Step(action=action, name=name, value=str(route), route=route)
    if "/" in text:
        return Step(action=Action.ADD_ADDRESS if adds else Action.DROP_ADDRESS, name=name, value=text)
    return Step(action=Action.ADD_GATEWAY if adds else Action.DROP_GATEWAY, name=name, value=text)


def _end_stray(pid: int, interface: str) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except (ProcessLookupError, OSError):
        return
    try:
        # Looked at after opening: from here on the descriptor cannot come to mean another process.
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
        if os.path.basename(words[0]) == _PROGRAM and interface in words:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        pass
    finally:
        os.close(descriptor)
