# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL (Debian's) on a socket in a directory of ours, as the unprivileged user of Debian's package."""

import shutil
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg

from covirt.common.process import Argument, run, spawn
from tests.support.waiting import wait_until

_USER: Final = "postgres"
_START_SECONDS: Final = 60.0
_PROGRAMS: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """A running server without a network port."""

    directory: Path

    def new_database(self, *, like: str = "") -> str:
        """An empty database, or a copy of the one with this URL; its URL as the engine's configuration has it."""
        name = f"engine_{uuid.uuid4().hex[:12]}"
        template = f" TEMPLATE {_name_of(like)}" if like else ""
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}{template}")
        return f"postgresql://{_USER}@/{name}?host={quote(str(self.directory))}"

    def remove_database(self, url: str) -> None:
        """With whatever is connected to it."""
        with self._connect() as connection:
            connection.execute(f"DROP DATABASE {_name_of(url)} WITH (FORCE)")

    def answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(host=str(self.directory), user=_USER, dbname="postgres", autocommit=True)


def _name_of(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


@contextmanager
def serve_postgres(directory: Path) -> Iterator[Postgres]:
    """Run a server with its data and its socket in ``directory``. It syncs nothing, so it is quick."""
    data, log = directory / "data", directory / "postgres.log"
    shutil.chown(directory, _USER, _USER)
    run(
        _as_user("initdb", "-D", data, "-U", _USER, "--auth=trust", "--no-sync", "--encoding=UTF8"),
        timeout_seconds=120,
    )
    server = Postgres(directory=directory)
    settings = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB", "jit=off")
    argv = _as_user("postgres", "-D", data, "-k", directory, "-h", "")
    for setting in settings:
        argv += ["-c", setting]
    with log.open("wb") as stream, spawn(argv, stdout=stream, stderr=stream) as child:
        wait_until(
            lambda: server.answers() or child.poll() is not None, timeout_seconds=_START_SECONDS, what="PostgreSQL"
        )
        assert child.poll() is None, log.read_text()
        yield server
        child.signal(signal.SIGINT)  # at once, but with its own processes ended in order
        child.wait(timeout_seconds=_START_SECONDS)


def _as_user(program: str, *arguments: Argument) -> list[Argument]:
    words: Sequence[Argument] = (_PROGRAMS[-1] / program, *arguments)
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups", "--", *words]
