# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The sockets that stock libvirt clients find, and the event loop behind them, in a thread of its own.

The server knows no domain: what it answers is the table of handlers it is given. Whoever starts it holds the daemon
lock, so a socket file in the way is always a dead one's.
"""

import asyncio
import contextlib
import grp
import itertools
import logging
import os
import socket
import struct
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Final

from covirt.common.complaints import Complaints
from covirt.common.files import make_directory
from covirt.common.root import Root
from covirt.common.workers import WorkerPool
from covirt.virtocid.connection import SESSION_PROCEDURES, Connection
from covirt.virtocid.dispatch import ClientFacts, Dispatcher, HandlerTable, Outcome, Translate
from covirt.virtocid.errors import SocketPathTooLong, UnknownSocketGroup
from covirt.virtocid.events import Event, EventBus, Packets
from covirt.virtocid.session import Session
from covirt.virtocid.settings import ServerSettings
from covirt.virtocid.shares import CallShares, MemoryShares
from covirt.wire.errors import WireError
from covirt.wire.framing import REMOTE_PROGRAM, Frame

log = logging.getLogger(__name__)

SOCKET_NAME: Final = "virtocid-sock"  # what libvirt derives from the scheme "oci"
READONLY_SOCKET_NAME: Final = "virtocid-sock-ro"
_SOCKET_PATH_BYTES: Final = 107  # sun_path without its final NUL
_ACCEPT_QUEUE: Final = 512
_FLUSH_SECONDS: Final = 1.0  # what clients get to read their last answers at stop
_PEER: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid


class VirtocidServer:
    """start() returns once clients can connect; stop() once nothing of it is left but handlers that do not end."""

    def __init__(
        self,
        *,
        root: Root,
        handlers: HandlerTable,
        translate: Translate,
        bus: EventBus,
        group: str | None = None,
        settings: ServerSettings | None = None,
    ) -> None:
        self.settings = settings or ServerSettings()
        self.dispatcher = Dispatcher(handlers=handlers, translate=translate)
        self.complaints = Complaints(log)
        self._root = root
        self._bus = bus
        self._group = group
        self._pool = WorkerPool(
            workers=self.settings.workers, priority_workers=self.settings.priority_workers, name="virtocid"
        )
        self._loop: asyncio.AbstractEventLoop  # made by start()
        self._thread = threading.Thread(target=self._run, name="virtocid-rpc", daemon=True)
        self._sockets: list[tuple[socket.socket, Path, bool]] = []
        self._listeners: list[asyncio.AbstractServer] = []
        self._sessions: dict[Session, None] = {}  # in order of arrival
        self._users: Counter[int] = Counter()
        self._unprivileged = 0  # clients
        self._calls = CallShares(
            per_user=self.settings.max_readonly_calls_per_user, overall=self.settings.max_readonly_calls
        )
        self._memory = MemoryShares(
            per_user=self.settings.max_readonly_bytes_per_user, overall=self.settings.max_readonly_bytes
        )
        self._waits = 0  # calls with a right to a reserved worker that may wait in it
        self._numbers = itertools.count(1)
        self._stopping = False
        for number in SESSION_PROCEDURES:
            assert handlers.find(REMOTE_PROGRAM, number) is None, f"sessions answer procedure {number}"  # noqa: S101

    @property
    def socket_path(self) -> Path:
        return self._root.libvirt_dir / SOCKET_NAME

    @property
    def readonly_socket_path(self) -> Path:
        return self._root.libvirt_dir / READONLY_SOCKET_NAME

    @property
    def client_count(self) -> int:
        return len(self._sessions)

    @property
    def registration_count(self) -> int:
        """Events that clients wait for."""
        connections = [session.connection for session in list(self._sessions)]
        return sum(len(connection.registrations) for connection in connections if connection is not None)

    def start(self) -> None:
        """Raises SocketPathTooLong, UnknownSocketGroup, or OSError when the directory cannot be written."""
        gid = _group_id(self._group)
        make_directory(self._root.libvirt_dir, mode=0o755)
        try:
            self._listen(self.socket_path, mode=0o660, gid=gid, readonly=False)
            self._listen(self.readonly_socket_path, mode=0o666, gid=gid, readonly=True)
        except BaseException:
            self._close_sockets()
            raise
        self._loop = asyncio.new_event_loop()
        self._bus.subscribe(self._on_event)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        log.info("Serving socket=%s readonly_socket=%s", self.socket_path, self.readonly_socket_path)

    def stop(self, *, timeout_seconds: float = 10.0) -> None:
        """Take no more calls, let those that run finish, close every connection, and leave no socket behind."""
        if not self._thread.is_alive():
            return
        self._bus.unsubscribe(self._on_event)
        asyncio.run_coroutine_threadsafe(self._stop_listening(), self._loop).result()
        self._close_sockets()
        self._pool.stop(timeout_seconds=timeout_seconds)
        asyncio.run_coroutine_threadsafe(self._close_sessions(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        log.info("Stopped serving socket=%s", self.socket_path)

    # What a session calls, in the loop.

    def admit(self, session: Session) -> Connection | None:
        """The state of a new client, or None when it must not stay."""
        peer: socket.socket = session.transport.get_extra_info("socket")
        pid, uid, gid = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        unprivileged = session.readonly_socket and uid != 0
        reason = self._refusal(uid, unprivileged=unprivileged)
        if reason is not None:
            self.complaints.warning("Client refused: %s uid=%d pid=%d", reason, uid, pid)
            return None
        facts = ClientFacts(
            number=next(self._numbers),
            uid=uid,
            gid=gid,
            pid=pid,
            readonly=session.readonly_socket,
            connection_name="",
            unprivileged=unprivileged,
        )
        self._sessions[session] = None
        self._users[uid] += 1
        self._unprivileged += unprivileged
        connection = Connection(facts=facts, settings=self.settings)
        log.debug("Client came client=%s readonly=%s", connection.label, facts.readonly)
        return connection

    def _refusal(self, uid: int, *, unprivileged: bool) -> str | None:
        """Why a new client must not stay. Users of the open socket have places of their own, and root always has."""
        settings = self.settings
        privileged = len(self._sessions) - self._unprivileged
        if self._stopping:
            return "the daemon is stopping"
        if uid != 0 and self._users[uid] >= settings.max_clients_per_user:
            return "this user has too many"
        if unprivileged:
            return (
                "there are too many that only read" if self._unprivileged >= settings.max_readonly_clients else None
            )
        limit = settings.max_clients - (settings.max_clients // 10 if uid != 0 else 0)
        return "there are too many" if privileged >= limit else None

    def leave(self, session: Session, facts: ClientFacts, counted_bytes: int) -> None:
        del self._sessions[session]
        self._unprivileged -= facts.unprivileged
        if counted_bytes:
            self._memory.change(facts.uid, -counted_bytes)
        self._users[facts.uid] -= 1
        if not self._users[facts.uid]:
            del self._users[facts.uid]

    def run_call(self, session: Session, frame: Frame) -> bool:
        """Have a worker answer; False when the server is stopping."""
        connection = session.connection
        if connection is None or self._stopping:
            return False
        facts = connection.facts
        if facts.unprivileged:
            self._calls.submit(facts.uid, lambda: self._run_shared(session, frame, facts))
            return True
        return self._run_job(session, frame, facts)

    def _run_shared(self, session: Session, frame: Frame, facts: ClientFacts) -> None:
        if session.connection is None or not self._run_job(session, frame, facts):  # it left while this waited
            self._loop.call_soon(self._calls.done, facts.uid)

    def _run_job(self, session: Session, frame: Frame, facts: ClientFacts) -> bool:
        """A quick call has a reserved worker, but those that may wait never have more than half of them."""
        priority = self.dispatcher.is_priority(frame)
        waits = priority and self.dispatcher.may_wait(frame)
        if waits and self._waits >= self.settings.priority_workers // 2:
            priority = waits = False
        self._waits += waits

        def done(outcome: Outcome) -> None:
            self._waits -= waits
            session.finish_call(frame, outcome)
            if facts.unprivileged:
                self._calls.done(facts.uid)

        def job() -> None:
            outcome = self.dispatcher.perform(frame, facts)
            with contextlib.suppress(RuntimeError):  # the loop is closed: this handler outlived stop()
                self._loop.call_soon_threadsafe(done, outcome)

        return self._pool.submit(job, priority=priority)

    def may_hold(self, session: Session, more_bytes: int) -> bool:
        """Count what is held for an unprivileged client; False when its user, or all of them, hold too much."""
        connection = session.connection
        if connection is None:
            return True
        uid = connection.facts.uid
        self._memory.change(uid, more_bytes)
        if not self._memory.exceeded(uid):
            return True
        # What was sent leaves the buffers without a word; count again before anybody is blamed.
        for other in self._sessions:
            if other.connection is not None and other.connection.facts.unprivileged:
                self._memory.change(other.connection.facts.uid, other.recount())
        return not self._memory.exceeded(uid)

    # The loop's thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _serve(self) -> None:
        for listener, _, readonly in self._sockets:
            make_session = partial(Session, owner=self, loop=self._loop, readonly=readonly)
            self._listeners.append(
                await self._loop.create_unix_server(make_session, sock=listener, backlog=_ACCEPT_QUEUE)
            )

    async def _stop_listening(self) -> None:
        self._stopping = True
        for listener in self._listeners:
            listener.close()

    async def _close_sessions(self) -> None:
        for session in list(self._sessions):
            session.close()
        deadline = self._loop.time() + _FLUSH_SECONDS
        while self._sessions and self._loop.time() < deadline:
            await asyncio.sleep(0.005)
        for session in list(self._sessions):
            session.transport.abort()
        while self._sessions:
            await asyncio.sleep(0)

    def _on_event(self, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._deliver, event)

    def _deliver(self, event: Event) -> None:
        packets = Packets(event)
        try:
            for session in list(self._sessions):
                session.deliver(packets)
        except WireError:
            log.exception("An event cannot be sent event=%d", event.event_id)

    # Sockets.

    def _listen(self, path: Path, *, mode: int, gid: int, readonly: bool) -> None:
        """Put a listening socket at ``path`` in one step, so that nobody ever sees it with another mode or group."""
        temporary = path.with_name(f"{path.name}.new")
        if len(os.fsencode(temporary)) > _SOCKET_PATH_BYTES:
            raise SocketPathTooLong(path=path, limit=_SOCKET_PATH_BYTES)
        temporary.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._sockets.append((listener, path, readonly))
        listener.bind(os.fspath(temporary))
        if gid >= 0:
            os.chown(temporary, -1, gid)
        temporary.chmod(mode)
        listener.listen(_ACCEPT_QUEUE)
        temporary.replace(path)

    def _close_sockets(self) -> None:
        for listener, path, _ in self._sockets:
            listener.close()
            path.with_name(f"{path.name}.new").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        self._sockets.clear()


def _group_id(group: str | None) -> int:
    if group is None:
        return -1
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise UnknownSocketGroup(group=group) from error
