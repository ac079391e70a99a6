# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A real covirt-engine on a root of its own, and stock clients that speak to it: ovirtsdk4 and curl."""

import json
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import ovirtsdk4

from covirt.common.process import Argument, Child, Completed, run, spawn
from covirt.common.root import Root
from covirt.engine.store.store import Store
from tests.support.waiting import wait_until

SECONDS: Final = 60.0
ADMIN: Final = "admin@internal"
_PROGRAM: Final = Path(sys.executable).parent / "covirt-engine"
_SETTINGS: Final = """\
{extra}
[server]
listen = "127.0.0.1"
port = {port}
[database]
url = "{database}"
[transfers]
proxy_port = 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What curl got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class CovirtEngine:
    """The daemon. ``database`` is a URL, empty for SQLite in the root; ``extra`` is TOML before the first table;
    ``run_as`` is a command that runs another one."""

    root: Root
    database: str = ""
    extra: str = ""
    run_as: Sequence[Argument] = ()
    port: int = 0
    _child: Child | None = field(default=None, init=False)

    @property
    def base(self) -> str:
        return f"https://localhost:{self.port}/ovirt-engine"

    @property
    def url(self) -> str:
        """Of the API, as clients are given it."""
        return f"{self.base}/api"

    @property
    def ca_file(self) -> Path:
        return self.root.state_dir / "engine/pki/ca.pem"

    @property
    def password(self) -> str:
        """Of the administrator."""
        return (self.root.config_dir / "admin-password").read_text().strip()

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.root.state_dir}/engine/engine.db"

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def log_path(self) -> Path:
        return self.root.path / "covirt-engine.log"

    @property
    def log(self) -> str:
        """Everything the daemon has said so far, over all its lives."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> None:
        """Return when it serves. After the first start it keeps its port."""
        seen = len(self.log)
        child = self.launch()
        wait_until(
            lambda: "Ready port=" in self.log[seen:] or child.poll() is not None,
            timeout_seconds=SECONDS,
            what="covirt-engine to be ready",
        )
        assert child.poll() is None, self.log[seen:]
        found = re.search(r"Ready port=(\d+)", self.log[seen:])
        assert found
        self.port = int(found[1])

    def launch(self) -> Child:
        """Start it and do not wait."""
        drop_ins = self.root.config_dir / "engine.d"
        drop_ins.mkdir(parents=True, exist_ok=True)
        (drop_ins / "test.toml").write_text(
            _SETTINGS.format(extra=self.extra, port=self.port, database=self.database)
        )
        with self.log_path.open("ab") as stream:
            argv: list[Argument] = [*self.run_as, _PROGRAM, "--root", self.root.path, "--log-level", "debug"]
            self._child = spawn(argv, stdout=stream, stderr=stream)
        return self._child

    def stop(self) -> None:
        """SIGTERM, and it has to end well."""
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

    def connection(self, **words: Any) -> ovirtsdk4.Connection:
        """The stock SDK's, as the administrator unless the words say otherwise; close it."""
        given: dict[str, Any] = {
            "url": self.url,
            "username": ADMIN,
            "password": self.password,
            "ca_file": str(self.ca_file),
        }
        return ovirtsdk4.Connection(**{**given, **words})

    def curl(self, path: str, *arguments: str, check: bool = True) -> Answer:
        """A request for a path below /ovirt-engine, or for one with a slash, over verified TLS."""
        above = f"https://localhost:{self.port}" if path.startswith("/") else f"{self.base}/"
        completed = self.raw_curl(f"{above}{path}", "--cacert", str(self.ca_file), *arguments)
        if check:
            assert completed.status == 0, completed.stderr.decode()
        head, _, body = completed.stdout.partition(b"\r\n\r\n")
        status, *lines = head.decode("ascii").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Answer(status=int(status.split()[1]), headers=headers, body=body)

    def raw_curl(self, url: str, *arguments: str) -> Completed:
        return run(["curl", "-sS", "-i", "--http1.1", *arguments, url], timeout_seconds=SECONDS, check=False)

    def token(self, name: str = ADMIN, password: str | None = None) -> str:
        """A new access token."""
        answer = self.log_in(name, password or self.password)
        assert answer.status == 200, answer
        return str(answer.json["access_token"])

    def log_in(self, name: str, password: str, *arguments: str) -> Answer:
        """What the single sign-on answers."""
        fields = {"grant_type": "password", "scope": "ovirt-app-api", "username": name, "password": password}
        words = [word for key, value in fields.items() for word in ("--data-urlencode", f"{key}={value}")]
        return self.curl("sso/oauth/token", "-H", "Accept: application/json", *words, *arguments)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The engine's own database, beside the running engine."""
        store = Store.open(self.database_url)
        try:
            yield store
        finally:
            store.close()


@contextmanager
def serve_covirt_engine(
    root: Root, *, database: str = "", extra: str = "", run_as: Sequence[Argument] = ()
) -> Iterator[CovirtEngine]:
    """Run it for a while; what it said is shown when the test fails."""
    engine = CovirtEngine(root, database=database, extra=extra, run_as=run_as)
    try:
        engine.start()
        yield engine
    finally:
        try:
            engine.stop()
        finally:
            sys.stdout.write(f"covirt-engine said:\n{engine.log}")
