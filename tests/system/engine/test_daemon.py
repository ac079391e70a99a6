# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The program itself: what it makes, what it refuses, what it tells, and how it ends."""

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Final

from covirt.common.process import Completed, run
from covirt.common.root import Root
from tests.support.covirt_engine import ADMIN, SECONDS, CovirtEngine, serve_covirt_engine
from tests.support.waiting import wait_until

_PROGRAM: Final = Path(sys.executable).parent / "covirt-engine"


def _run(*arguments: str) -> Completed:
    return run([_PROGRAM, *arguments], timeout_seconds=SECONDS, check=False)


def _says(engine: CovirtEngine, mark: str) -> bool:
    return mark in engine.log


def _is_past(engine: CovirtEngine, mark: str, seen: int) -> bool:
    """Also where a life before was killed between what it had done and saying so; ``seen``: of the log, before this
    one."""
    return _says(engine, mark) or "Ready port=" in engine.log[seen:]


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_secrets_are_their_owners(engine: CovirtEngine) -> None:
    state = engine.root.state_dir / "engine"
    assert _mode(engine.root.config_dir / "admin-password") == 0o600
    assert _mode(state) == 0o700
    assert {path.name: _mode(path) for path in (state / "pki").iterdir()} == {
        "authority.pem": 0o600,
        "client.pem": 0o600,
        "server.pem": 0o600,
        "ca.pem": 0o644,
    }
    assert {_mode(path) for path in state.glob("engine.db*")} == {0o600}


def test_a_line_for_each_request_without_secrets(engine: CovirtEngine) -> None:
    token = engine.token()
    engine.curl(
        "api/vms?search=name%3Dsecret-name", "-H", f"Authorization: Bearer {token}", "-H", "Correlation-Id: soup1"
    )
    wait_until(lambda: "flow=soup1" in engine.log, timeout_seconds=SECONDS, what="the request's line")
    line = next(line for line in engine.log.splitlines() if "flow=soup1" in line)
    assert re.search(
        r"GET /ovirt-engine/api/vms status=200 ms=[\d.]+ user=admin@internal-authz address=127\.0\.0\.1 flow=soup1",
        line,
    )
    for secret in (token, engine.password, "secret-name"):
        assert secret not in engine.log


def test_one_engine_for_a_root(engine: CovirtEngine) -> None:
    second = _run("--root", str(engine.root.path))
    assert second.status == 1
    assert b"another covirt-engine" in second.stderr


def test_figures_of_requests(root_dir: Root) -> None:
    socket = root_dir.path / "metrics"
    with serve_covirt_engine(root_dir, extra=f'metrics.listen = "{socket}"') as engine:
        engine.token()
        engine.log_in(ADMIN, "wrong")
        scraped = run(
            ["curl", "-sS", "--unix-socket", socket, "http://localhost/metrics"], timeout_seconds=SECONDS
        ).stdout.decode()
    assert 'covirt_engine_requests_total{area="sso",method="POST",status="200"} 1.0' in scraped
    assert 'covirt_engine_requests_total{area="sso",method="POST",status="400"} 1.0' in scraped
    assert "covirt_engine_login_sessions 1.0" in scraped
    assert "process_resident_memory_bytes" in scraped


def test_a_token_outlives_a_restart_and_a_kill_and_so_do_failures(root_dir: Root) -> None:
    with serve_covirt_engine(root_dir) as engine:
        headers = ("-H", f"Authorization: Bearer {engine.token()}")
        refused = [engine.log_in("guessed@internal", "wrong").status for _ in range(5)]
        engine.restart()
        assert engine.curl("api", *headers).status == 200
        engine.kill()
        engine.start()
        assert engine.curl("api", *headers).status == 200
        assert refused == [400] * 5
        with engine.store() as store, store.read() as session:
            assert session.accounts.failures(["user guessed@internal"])["user guessed@internal"].count == 5


def test_a_first_start_that_is_killed_is_repeated(root_dir: Root) -> None:
    """At several moments; the next start is a whole one, with the password in the file."""
    engine = CovirtEngine(root_dir)
    for mark in ("Starting covirt-engine", "certificate authority was made", "The administrator was made"):
        seen = len(engine.log)
        engine.launch()
        wait_until(partial(_is_past, engine, mark, seen), timeout_seconds=SECONDS, what=mark)
        engine.kill()
    engine.start()
    try:
        engine.token()
    finally:
        engine.stop()
    assert "Traceback" not in engine.log


def test_configuration_is_shown_and_mistakes_are_named(root_dir: Root) -> None:
    drop_ins = root_dir.config_dir / "engine.d"
    drop_ins.mkdir(parents=True)
    shown = json.loads(_run("--root", str(root_dir.path), "--show-config").stdout)
    assert shown["server"]["port"] == 443
    for text, complaint in (
        ("[server]\nprot = 1\n", "there is no setting 'server.prot'"),
        ('[database]\nurl = "mysql://x/y"\n', "must begin with sqlite:/// or postgresql://"),
        ('[database]\nurl = "postgresql://me:hunter2@db/covirt"\n', "holds a password"),
    ):
        (drop_ins / "a.toml").write_text(text)
        refused = _run("--root", str(root_dir.path))
        assert refused.status == 1
        assert complaint in refused.stderr.decode()
        assert "hunter2" not in refused.stderr.decode()


def test_help_and_version_need_nothing() -> None:
    assert b"--show-config" in _run("--help").stdout
    assert _run("--version").stdout.startswith(b"covirt-engine ")
