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

from covirt.common.files import make_directory
from covirt.common.root import Root
from covirt.virtocid.connection import SESSION_PROCEDURES, Connection
from covirt.virtocid.dispatch import ClientFacts, Dispatcher, HandlerTable, Translate
from covirt.virtocid.errors import SocketPathTooLong, UnknownSocketGroup
from covirt.virtocid.events import Event, EventBus
from covirt.virtocid.session import Session
from covirt.virtocid.settings import ServerSettings
from covirt.virtocid.workers import WorkerPool
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
        if self._stopping or len(self._sessions) >= self.settings.max_clients:
            log.warning("Client refused: there are too many uid=%d pid=%d", uid, pid)
            return None
        if uid != 0 and self._users[uid] >= self.settings.max_clients_per_user:
            log.warning("Client refused: this user has too many uid=%d pid=%d", uid, pid)
            return None
        facts = ClientFacts(
            number=next(self._numbers),
            uid=uid,
            gid=gid,
            pid=pid,
            readonly=session.readonly_socket,
            connection_name="",
        )
        self._sessions[session] = None
        self._users[uid] += 1
        connection = Connection(facts=facts, settings=self.settings)
        log.debug("Client came client=%s readonly=%s", connection.label, facts.readonly)
        return connection

    def leave(self, session: Session, uid: int) -> None:
        del self._sessions[session]
        self._users[uid] -= 1
        if not self._users[uid]:
            del self._users[uid]

    def run_call(self, session: Session, frame: Frame) -> bool:
        """Have a worker answer; False when the server is stopping."""
        connection = session.connection
        if connection is None:
            return False
        facts = connection.facts

        def job() -> None:
            outcome = self.dispatcher.perform(frame, facts)
            with contextlib.suppress(RuntimeError):  # the loop is closed: this handler outlived stop()
                self._loop.call_soon_threadsafe(session.finish_call, frame, outcome)

        return self._pool.submit(job, priority=self.dispatcher.is_priority(frame))

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
        for session in list(self._sessions):
            session.deliver(event)

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
