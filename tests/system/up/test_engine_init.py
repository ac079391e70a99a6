# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt engine init``: an engine in PostgreSQL, which then serves."""

import json
import sys
from pathlib import Path
from typing import Final

from covirt.common.process import Argument, Completed, run, spawn
from covirt.common.root import Root
from covirt.engine.store.store import Store
from tests.support.covirt_engine import SECONDS
from tests.support.postgres import Postgres
from tests.support.waiting import free_port, port_answers, wait_until

_PROGRAMS: Final = Path(sys.executable).parent
_DATABASE: Final = "postgresql://root@/covirt?host="


def init(root: Root, *words: str) -> Completed:
    argv: list[Argument] = [_PROGRAMS / "covirt", "engine", "init", "--root", root.path, *words]
    return run(argv, timeout_seconds=SECONDS, check=False)


def test_from_nothing_to_a_serving_engine(root_dir: Root, postgres: Postgres) -> None:
    port = free_port()
    words = ("--socket", str(postgres.directory), "--port", str(port), "--name", "engine.example.com")
    url = f"{_DATABASE}{postgres.directory}"
    told = init(root_dir, *words)
    try:
        assert told.status == 0, told.complaint
        password_file = root_dir.config_dir / "admin-password"
        assert f"password  {password_file.read_text().strip()}" in told.stdout.decode()
        assert password_file.stat().st_mode & 0o777 == 0o600
        assert not (root_dir.state_dir / "engine/engine.db").exists()
        again = init(root_dir, *words)
        assert again.status == 0, again.complaint
        assert again.stdout == told.stdout
        program: list[Argument] = [_PROGRAMS / "covirt-engine", "--root", root_dir.path]
        settings = json.loads(run([*program, "--show-config"], timeout_seconds=SECONDS).stdout)
        assert settings["server"] == settings["server"] | {"port": port, "names": ["engine.example.com"]}
        with spawn(program):
            wait_until(lambda: port_answers(port), timeout_seconds=SECONDS, what="the engine")
        store = Store.open(settings["database"]["url"])
        with store.read() as session:
            assert [user.principal for user in session.users.list()] == ["admin"]
        store.close()
    finally:
        postgres.remove_database(url)


def test_what_is_kept_in_sqlite_is_not_left_behind_in_silence(root_dir: Root, postgres: Postgres) -> None:
    present = root_dir.state_dir / "engine/engine.db"
    present.parent.mkdir(parents=True)
    present.touch()
    told = init(root_dir, "--socket", str(postgres.directory))
    assert told.status == 1
    assert f"keeps everything in {present}" in told.complaint
    assert not root_dir.config_dir.exists()


def test_without_postgresql(root_dir: Root) -> None:
    told = init(root_dir, "--socket", str(root_dir.path))
    assert told.status == 1
    assert "this machine's PostgreSQL cannot be used" in told.complaint
    assert "name another server with --database" in told.complaint


def test_a_password_is_copied_for_the_engine_alone(root_dir: Root) -> None:
    given = root_dir.path / "given"
    given.write_text("secret-of-the-database\n")
    url = "postgresql://covirt@127.0.0.1:1/covirt"
    told = init(root_dir, "--database", url, "--password-file", str(given))
    assert told.status == 1  # nobody listens there
    kept = root_dir.config_dir / "database-password"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("secret-of-the-database\n", 0o600)
    assert "secret-of-the-database" not in told.complaint
    assert init(root_dir, "--database", url, "--socket", "/somewhere").status == 2
