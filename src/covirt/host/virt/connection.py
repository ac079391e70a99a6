# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A connection to one libvirt: kept open by a thread of its own; who serves the other never waits for it.

libvirt's own keepalive is not used. Of several callers in a silent daemon its client frees one, and it was seen to
crash the process. A second thread asks now and then instead; while its question hangs, calls are refused, and those
that hang with it go on when the daemon does, or fail when it ends.

libvirt's event loop runs in one thread for the whole process and is never stopped: callbacks may come as long as
there are connections.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import libvirt

from covirt.host.virt.errors import HypervisorUnavailable
from covirt.host.virt.silence import Question

log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 5.0
# A connection that broke is closed later: close() frees what calls that are just failing still look at.
_BURIAL_SECONDS: Final = 30.0
_JOIN_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 1.0  # stop() wakes it at once, but may come before there is anything to wake

# (connection, domain, number of the event, its further arguments). Called in libvirt's event thread: be quick.
OnEvent = Callable[[Any, int, tuple[Any, ...]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionState:
    """``reason``: why it is not connected."""

    connected: bool
    reason: str = ""


_SILENT: Final = ConnectionState(connected=False, reason="it has been silent for a while, as when it is stopped")


@functools.cache
def run_event_loop() -> threading.Thread:
    """Before the first connection is opened; once for a process."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it would print every error on stderr
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    thread = threading.Thread(target=run, name="libvirt-events", daemon=True)
    thread.start()
    return thread


class Connection:
    """``on_open`` and ``on_lost`` (with the reason, also when it cannot be opened) are called in the connection's
    thread, one after the other, never at once."""

    def __init__(
        self,
        *,
        name: str,
        uri: str,
        events: tuple[int, ...],
        on_event: OnEvent,
        on_open: Callable[[Any], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self.name = name
        self.uri = uri
        self._events = events
        self._on_event = on_event
        self._on_open = on_open
        self._on_lost = on_lost
        self._connection: Any = None
        self._state = ConnectionState(connected=False, reason="it was not asked yet")
        self._closed = threading.Event()
        self._tried = threading.Event()
        self._stopping = threading.Event()
        self._question = Question()
        self._broken: list[tuple[float, Any]] = []  # connections, and since when
        self._thread = threading.Thread(target=self._keep_open, name=f"libvirt-{name}", daemon=True)
        self._asker = threading.Thread(target=self._ask_now_and_then, name=f"libvirt-{name}-ask", daemon=True)

    @property
    def state(self) -> ConnectionState:
        return _SILENT if self._state.connected and self._question.is_overdue else self._state

    def start(self) -> None:
        run_event_loop()
        self._thread.start()
        self._asker.start()

    def stop(self) -> None:
        """A connection that hangs is left to its fate."""
        self._stopping.set()
        self._closed.set()
        self._asker.join(_JOIN_SECONDS)
        self._thread.join(_JOIN_SECONDS)

    def wait_tried(self, *, timeout_seconds: float) -> None:
        """Until it is open, or the first try has failed."""
        self._tried.wait(timeout_seconds)

    def get(self) -> Any:
        """The open virConnect. Raises HypervisorUnavailable at once when there is none, or it is silent."""
        connection, state = self._connection, self.state
        if connection is None or not state.connected:
            raise HypervisorUnavailable(name=self.name, reason=state.reason)
        return connection

    def _ask_now_and_then(self) -> None:
        while not self._stopping.wait(_ASK_SECONDS):
            connection = self._connection
            if connection is None:
                continue
            try:
                with self._question.asked():
                    connection.getLibVersion()
            except libvirt.libvirtError as error:
                log.debug("No answer name=%s error=%s", self.name, error)

    def _keep_open(self) -> None:
        while not self._stopping.is_set():
            self._closed.clear()
            try:
                connection = libvirt.open(self.uri)
            except libvirt.libvirtError as error:
                self._fail(error.get_error_message())
            else:
                served = self._serve(connection)
                self._broken.append((time.monotonic() if served else 0.0, connection))
            self._bury(time.monotonic() - _BURIAL_SECONDS)
            self._stopping.wait(_RETRY_SECONDS)
        if not self._asker.is_alive():  # a call that hangs is left to its fate, and its connection with it
            self._bury(time.monotonic())

    def _serve(self, connection: Any) -> bool:
        """Until it is closed. False: what follows a connection failed, and it may be open still."""
        served = False
        try:
            self._listen(connection)
            self._connection = connection
            self._state = ConnectionState(connected=True)
            log.info("Connected to libvirt name=%s uri=%s", self.name, self.uri)
            self._on_open(connection)
        except (libvirt.libvirtError, HypervisorUnavailable) as error:
            log.warning("libvirt went away at once name=%s error=%s", self.name, error)
        except Exception:  # a thread top: without it the connection would never be opened again
            log.exception("What follows a connection failed name=%s", self.name)
        else:
            self._tried.set()
            self._look_after(connection)
            served = True
        self._connection = None
        self._fail("the connection was closed")
        return served

    def _look_after(self, connection: Any) -> None:
        """Until it is closed. One that was silent for a while is looked at anew: its guests may have ended."""
        silent = False
        while not self._closed.wait(_LOOK_SECONDS) and not self._stopping.is_set():
            self._bury(time.monotonic() - _BURIAL_SECONDS)
            overdue = self._question.is_overdue
            if overdue and not silent:
                log.warning("libvirt is silent name=%s uri=%s", self.name, self.uri)
                self._on_lost(_SILENT.reason)
                silent = True
            elif silent and not overdue:
                silent = not self._found_again(connection)

    def _found_again(self, connection: Any) -> bool:
        try:
            self._on_open(connection)
        except (libvirt.libvirtError, HypervisorUnavailable) as error:
            log.warning("libvirt went away again name=%s error=%s", self.name, error)
            return False
        except Exception:  # a thread top: without it the connection would never be looked after again
            log.exception("What follows a silence failed name=%s", self.name)
            return False
        log.info("libvirt answers again name=%s uri=%s", self.name, self.uri)
        return True

    def _listen(self, connection: Any) -> None:
        try:
            connection.registerCloseCallback(lambda *_: self._closed.set(), None)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:  # a driver in this process cannot go away
                raise
        for number in self._events:
            connection.domainEventRegisterAny(None, number, self._told, number)

    def _told(self, _connection: Any, domain: Any, *arguments: Any) -> None:
        self._on_event(domain, arguments[-1], arguments[:-1])

    def _bury(self, until: float) -> None:
        """Close what broke before then."""
        while self._broken and self._broken[0][0] <= until:
            _, connection = self._broken.pop(0)
            try:
                connection.unregisterCloseCallback()
                connection.close()
            except libvirt.libvirtError as error:
                log.debug("Closing failed error=%s", error)

    def _fail(self, reason: str) -> None:
        if self._state.connected or self._state.reason != reason:
            self._on_lost(reason)
            log.log(
                logging.DEBUG if self._stopping.is_set() else logging.WARNING,
                "Not connected to libvirt name=%s uri=%s reason=%s", self.name, self.uri, reason,
            )  # fmt: skip
        self._state = ConnectionState(connected=False, reason=reason)
        self._tried.set()
