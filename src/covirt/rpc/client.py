# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's side: calls to one host and its events, over a connection that is made again whenever it is lost.

A call that was under way when the connection was lost is not made again: only the caller knows whether it may be.
"""

import itertools
import logging
import queue
import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from covirt.rpc.broker import FLOW_ID_HEADER, REQUEST_DESTINATIONS
from covirt.rpc.errors import BadMessage, CallFailed, CallTooLarge, PeerLost, PeerSilent, PeerUnreachable
from covirt.rpc.jsonrpc import Answer, Json, Request, parse
from covirt.rpc.link import Link, LinkLost
from covirt.rpc.settings import MAX_CALL_BYTES
from covirt.rpc.stomp import Frame, Limits

log = logging.getLogger(__name__)

EventListener = Callable[[str, Json], None]  # the event's name and its parameters
StateListener = Callable[[bool], None]  # whether there is a connection

_ANSWERS: Final = "covirt.answers"  # of this connection only
_LIMITS: Final = Limits(body_bytes=64 << 20)  # the statistics of thousands of guests


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What a client waits for, and how long."""

    connect_seconds: float = 10.0
    call_seconds: float = 60.0
    # Both sides say something so often, and who is silent for twice as long is gone.
    heartbeat_ms: int = 10_000
    # Between attempts to connect: the first wait doubles up to the last one, and each is shortened by chance, so that
    # a host that comes back is not met by everybody at once.
    first_retry_seconds: float = 0.2
    last_retry_seconds: float = 15.0
    # Events whose listeners have not had them yet; the connection is made anew when there are more, so that listeners
    # learn that they must ask.
    max_events: int = 10_000


@dataclass(slots=True)
class _Waiting:
    """Somebody who waits for an answer."""

    method: str
    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None  # None when the connection was lost
    reason: str = ""


class RpcClient:
    """Calls of any thread to one peer; start() does not wait for the connection.

    Listeners are called in a thread of their own, in the order of what happened: the state True, then the events of
    that connection, then False.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        on_state: StateListener | None = None,
        settings: ClientSettings | None = None,
    ) -> None:
        self.peer = f"{host}:{port}"
        self._address = (host, port)
        self._tls = tls
        self._on_state = on_state
        self._settings = settings or ClientSettings()
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._reason = "the connection is not made yet"
        self._waiting: dict[str, _Waiting] = {}
        self._numbers = itertools.count(1)
        self._listeners: dict[str, list[EventListener]] = {}
        self._told: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._connected = threading.Event()
        self._stopping = threading.Event()
        self._io = threading.Thread(target=self._run, name=f"rpc-client-{self.peer}", daemon=True)
        self._teller = threading.Thread(target=self._tell, name=f"rpc-events-{self.peer}", daemon=True)

    def start(self) -> None:
        self._io.start()
        self._teller.start()

    def stop(self) -> None:
        """Calls under way fail; no listener is called after this, but one that does not end is left alone."""
        self._stopping.set()
        with self._lock:
            if self._link is not None:
                self._link.close()
        self._io.join(2 * self._settings.connect_seconds)
        self._told.put(None)
        self._teller.join(self._settings.connect_seconds)

    @property
    def is_connected(self) -> bool:
        return self._connected.is_set()

    def wait_connected(self, timeout_seconds: float) -> None:
        """Raises PeerUnreachable with the reason of the last attempt."""
        if not self._connected.wait(timeout_seconds):
            raise PeerUnreachable(peer=self.peer, reason=self._reason)

    def call(
        self, method: str, params: Json = None, *, flow_id: str = "", timeout_seconds: float | None = None
    ) -> Json:
        """The result. Raises CallFailed with the peer's answer, CallTooLarge and PeerUnreachable when nothing was
        sent, PeerSilent and PeerLost when the peer may have done it.
        """
        seconds = self._settings.call_seconds if timeout_seconds is None else timeout_seconds
        waiting = _Waiting(method)
        number = self._ask(waiting, params, flow_id)
        if not waiting.done.wait(seconds):
            with self._lock:
                self._waiting.pop(number, None)
            raise PeerSilent(peer=self.peer, method=method, seconds=seconds)
        if waiting.answer is None:
            raise PeerLost(peer=self.peer, method=method, reason=waiting.reason)
        if waiting.answer.failed:
            raise CallFailed(peer=self.peer, method=method, code=waiting.answer.code, text=waiting.answer.message)
        return waiting.answer.result

    def subscribe(self, destination: str, listener: EventListener) -> None:
        """Have the events of a destination, now and after every reconnection."""
        with self._lock:
            first = destination not in self._listeners
            self._listeners.setdefault(destination, []).append(listener)
            if first and self._link is not None:
                self._send(self._link, _subscription(destination))

    def _ask(self, waiting: _Waiting, params: Json, flow_id: str) -> str:
        number = str(next(self._numbers))
        body = Request(method=waiting.method, params=params, id=number).encode()
        if len(body) > MAX_CALL_BYTES:  # the peer would drop the connection, and all calls that wait with it
            raise CallTooLarge(peer=self.peer, method=waiting.method, size_bytes=len(body), most_bytes=MAX_CALL_BYTES)
        headers = {"destination": REQUEST_DESTINATIONS[0], "content-type": "application/json", "reply-to": _ANSWERS}
        if flow_id:
            headers[FLOW_ID_HEADER] = flow_id
        with self._lock:
            link = self._link
            if link is None:
                raise PeerUnreachable(peer=self.peer, reason=self._reason)
            self._waiting[number] = waiting
        self._send(link, Frame(command="SEND", headers=headers, body=body))
        return number

    @staticmethod
    def _send(link: Link, frame: Frame) -> None:
        try:
            link.send(frame)
        except LinkLost as error:
            log.debug("A frame is not sent reason=%s", error)
            link.close()  # the reader tells everybody who waits

    # The thread of the connection.

    def _run(self) -> None:
        wait_seconds = self._settings.first_retry_seconds
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._serve_link()
            except LinkLost as error:
                self._lose(str(error))
            except Exception as error:  # the top of a thread: no descriptor may be left, and there is a next time
                log.exception("A connection failed unexpectedly peer=%s", self.peer)
                self._lose(str(error))
            if time.monotonic() - began > self._settings.last_retry_seconds:
                wait_seconds = self._settings.first_retry_seconds
            self._stopping.wait(wait_seconds * random.uniform(0.5, 1))  # noqa: S311 - nothing secret
            wait_seconds = min(wait_seconds * 2, self._settings.last_retry_seconds)

    def _serve_link(self) -> None:
        """One connection from its beginning to its end. Raises LinkLost."""
        settings = self._settings
        link = Link(
            self._address,
            tls=self._tls,
            seconds=settings.connect_seconds,
            heartbeat_ms=settings.heartbeat_ms,
            limits=_LIMITS,
        )
        try:
            with self._lock:
                self._link = link
                for destination in (_ANSWERS, *self._listeners):
                    self._send(link, _subscription(destination))
                if self._stopping.is_set():
                    link.close()
            self._connected.set()
            log.info("Connected peer=%s", self.peer)
            self._put_state(connected=True)
            for frame in link.frames():
                self._take(frame)
        finally:
            with self._lock:
                self._link = None
            link.release()

    def _lose(self, reason: str) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            changed = self._connected.is_set() or reason != self._reason
            self._reason = reason
        for one in waiting.values():
            one.reason = reason
            one.done.set()
        if changed and not self._stopping.is_set():
            log.warning("Not connected peer=%s reason=%s", self.peer, reason)
        if self._connected.is_set():
            self._connected.clear()
            self._put_state(connected=False)

    def _take(self, frame: Frame) -> None:
        if frame.command == "ERROR":
            raise LinkLost(f"it says {frame.headers.get('message', 'ERROR')}")
        if frame.command != "MESSAGE":
            return
        try:
            messages = parse(frame.body)
        except BadMessage as error:
            raise LinkLost(str(error)) from error
        for message in messages:
            if isinstance(message, Answer):
                self._answer(message)
            elif isinstance(message, Request):
                self._put_event(frame.headers.get("subscription", ""), message)

    def _answer(self, answer: Answer) -> None:
        with self._lock:
            waiting = self._waiting.pop(str(answer.id), None)
        if waiting is None:
            log.info("An answer comes too late, or was not asked for peer=%s id=%s", self.peer, answer.id)
            return
        waiting.answer = answer
        waiting.done.set()

    # Listeners.

    def _put_event(self, destination: str, event: Request) -> None:
        if self._told.qsize() > self._settings.max_events:
            raise LinkLost("its events come faster than they are listened to")
        with self._lock:
            listeners = tuple(self._listeners.get(destination, ()))
        for listener in listeners:
            self._told.put(partial(listener, event.method, event.params))

    def _put_state(self, *, connected: bool) -> None:
        listener = self._on_state
        if listener is not None:
            self._told.put(lambda: listener(connected))

    def _tell(self) -> None:
        while (tell := self._told.get()) is not None:
            try:
                tell()
            except Exception:  # the top of a thread: one listener's bug must not cost the others their events
                log.exception("A listener failed peer=%s", self.peer)


def _subscription(destination: str) -> Frame:
    return Frame(command="SUBSCRIBE", headers={"destination": destination, "ack": "auto", "id": destination})
