# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A real covirt-host on a root of its own, and an independent client (stomp.py) that speaks to it over mutual TLS."""

import contextlib
import json
import os
import queue
import signal
import socket
import ssl
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import stomp
from stomp.exception import ConnectFailedException, NotConnectedException
from stomp.utils import Frame

from covirt.common.process import Child, spawn
from covirt.common.root import Root
from tests.support.authority import TestAuthority
from tests.support.waiting import wait_until

SECONDS: Final = float(os.environ.get("COVIRT_CALL_SECONDS", "30"))
PORT: Final = 54321
_PROGRAMS: Final = Path(sys.executable).parent
_REQUESTS: Final = "jms.topic.vdsm_requests"
_EVENTS: Final = "jms.queue.events"
_READ_BYTES: Final = 16384


class CallFailed(Exception):
    """The host answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass
class HostClient(stomp.ConnectionListener):  # type: ignore[misc]  # stomp.py has no types
    """Calls verbs and collects events, in the order in which they came."""

    pki: Path
    port: int = PORT
    address: str = "127.0.0.1"
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    patience_seconds: float = SECONDS  # for an answer

    def __post_init__(self) -> None:
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reply_to = str(uuid.uuid4())
        self._connection: Any = None
        self._welcome = False
        self._answered, self._gone = threading.Event(), threading.Event()

    def open(self) -> "HostClient":
        self._connection = stomp.StompConnection12(
            [(self.address, self.port)], reconnect_attempts_max=1, timeout=SECONDS
        )
        self._connection.transport.receive = self._receive
        self._connection.set_ssl(
            for_hosts=[(self.address, self.port)],
            key_file=str(self.pki / "keys/vdsmkey.pem"),
            cert_file=str(self.pki / "certs/vdsmcert.pem"),
            ca_certs=str(self.pki / "certs/cacert.pem"),
            ssl_version=ssl.PROTOCOL_TLS_CLIENT,
        )
        self._connection.set_listener("host", self)
        # stomp.py's own wait has no limit, and hears of some failures only by chance.
        self._connection.connect(wait=False)
        self._answered.wait(SECONDS)
        if not self._welcome:
            raise ConnectFailedException(f"{self.address} has not answered CONNECT")
        for number, destination in enumerate((self._reply_to, _EVENTS)):
            self._connection.subscribe(destination, id=str(number))
        return self

    def close(self) -> None:
        """Return once the host has said good-bye, or is gone."""
        with contextlib.suppress(NotConnectedException, OSError, AttributeError):  # gone at this very moment
            self._connection.disconnect()
        if not self._gone.wait(SECONDS):
            self._connection.transport.socket.shutdown(socket.SHUT_RDWR)  # else stomp.py's thread waits for ever
            raise AssertionError("covirt-host did not say good-bye")

    def call(self, method: str, params: object = None, *, flow_id: str = "", seconds: float | None = None) -> Any:
        """The result. Raises CallFailed."""
        request = {"jsonrpc": "2.0", "method": method, "params": params or {}, "id": str(uuid.uuid4())}
        headers = {"reply-to": self._reply_to, "ovirtCorrelationId": flow_id}
        self._connection.send(_REQUESTS, json.dumps(request), content_type="application/json", headers=headers)
        while (answer := self._answers.get(timeout=self.patience_seconds if seconds is None else seconds))[
            "id"
        ] != request["id"]:
            pass
        if "error" in answer:
            raise CallFailed(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def wait_for_event(self, topic: str, **words: object) -> dict[str, Any]:
        """The parameters of the first event of that topic whose object has these words."""

        def found() -> dict[str, Any] | None:
            name = topic.rpartition("|")[2]
            for method, params in list(self.events):
                body = params.get(name, params)
                if method == topic and all(body.get(key) == value for key, value in words.items()):
                    return params
            return None

        wait_until(lambda: found() is not None, timeout_seconds=SECONDS, what=f"{topic} {words}")
        params = found()
        assert params is not None
        return params

    # What stomp.py calls, in its thread.

    def _receive(self) -> bytes:
        """As stomp.py's own, which reads the end of a TLS connection again and again, at full speed."""
        transport = self._connection.transport
        try:
            data: bytes = transport.socket.recv(_READ_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:  # reset
            data = b""
        if not data:
            transport.running = False
        return data

    def on_connected(self, _frame: Frame) -> None:
        self._welcome = True
        self._answered.set()

    def on_disconnected(self) -> None:
        self._gone.set()
        self._answered.set()

    def on_message(self, frame: Frame) -> None:
        message = json.loads(frame.body)
        if "method" in message:
            self.events.append((message["method"], message["params"]))
        else:
            self._answers.put(message)


class CovirtHost:
    """The daemon on a root; ``configuration`` is TOML."""

    program: tuple[Path, ...] = (_PROGRAMS / "covirt-host",)

    def __init__(
        self,
        root: Root,
        *,
        configuration: str = "",
        port: int = PORT,
        listen: str = "127.0.0.1",
        log_level: str = "debug",
    ) -> None:
        self.root = root
        self._log_level = log_level
        self.port = port
        self.pki = root.path / "etc/pki/vdsm"
        self._log = root.path / "covirt-host.log"
        self._child: Child | None = None
        if not self.pki.exists():
            TestAuthority().issue(self.pki)
        drop_ins = root.config_dir / "host.d"
        drop_ins.mkdir(parents=True, exist_ok=True)
        (drop_ins / "test.toml").write_text(f'{configuration}\n[rpc]\nlisten = "{listen}"\nport = {port}\n')

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def has_ended(self) -> bool:
        return self._child is None or self._child.poll() is not None

    def start(self) -> None:
        seen = len(self.log)
        with self._log.open("ab") as stream:
            self._child = spawn(
                [*self.program, "--root", self.root.path, "--log-level", self._log_level],
                stdout=stream,
                stderr=stream,
            )
        child = self._child
        wait_until(
            lambda: "Ready" in self.log[seen:] or child.poll() is not None,
            timeout_seconds=SECONDS,
            what="covirt-host to be ready",
        )
        assert child.poll() is None, self.log[seen:]

    def stop(self) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            assert child.stop(grace_seconds=SECONDS) == 0, self.log

    def kill(self) -> None:
        """As kill -9 does."""
        assert self._child is not None
        self._child.signal(signal.SIGKILL)
        self._child.wait(timeout_seconds=SECONDS)
        self._child = None

    def restart(self) -> None:
        self.stop()
        self.start()

    @contextmanager
    def client(self) -> Iterator[HostClient]:
        client = HostClient(self.pki, self.port).open()
        try:
            yield client
        finally:
            client.close()


@contextmanager
def serve_covirt_host(root: Root, *, configuration: str = "", port: int = PORT) -> Iterator[CovirtHost]:
    """Run it for a while; what it said is shown when the test fails."""
    host = CovirtHost(root, configuration=configuration, port=port)
    try:
        host.start()
        yield host
    finally:
        try:
            host.stop()
        finally:
            sys.stdout.write(f"covirt-host said:\n{host.log}")
