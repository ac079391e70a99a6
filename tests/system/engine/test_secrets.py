# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets of a running engine: their values are in none of its files, in no log, and in nothing that ps shows."""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from covirt.common.process import run
from covirt.common.root import Root
from covirt.engine.vault.vault import KEYS_FILE, Vault
from tests.support.covirt_engine import SECONDS, Answer, CovirtEngine, serve_covirt_engine

_VALUE: Final = "correct-battery-staple"
_PATH: Final = "/covirt/secrets"


def _ask(engine: CovirtEngine, method: str, path: str, directory: Path, body: dict[str, Any] | None = None) -> Answer:
    """The body goes by a file, and not as an argument of curl."""
    file = directory / "body.json"
    file.write_text(json.dumps(body or {}))
    words = ["-X", method, "-H", "Content-Type: application/json", "--data", f"@{file}"]
    return engine.curl(path, "-H", f"Authorization: Bearer {engine.token()}", *words)


def _readable(engine: CovirtEngine) -> Iterator[bytes]:
    """What is written down, and what the daemon's process shows."""
    yield from (path.read_bytes() for path in engine.root.path.rglob("*") if path.is_file())
    yield from (Path(f"/proc/{engine.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


def test_a_value_is_nowhere_in_clear(any_engine: CovirtEngine, tmp_path: Path) -> None:
    engine = any_engine
    added = _ask(engine, "POST", _PATH, tmp_path, {"name": "door", "value": _VALUE, "username": "tom"})
    assert (added.status, added.json["name"]) == (201, "door")
    again = _ask(engine, "POST", _PATH, tmp_path, {"name": "door", "value": _VALUE})
    assert again.status == 409
    broken = _ask(engine, "PUT", f"{_PATH}/door", tmp_path, {"value": _VALUE, "username": 1})
    assert (broken.status, broken.json["detail"]) == (
        400,
        "[Cannot edit Secret. Its username must be a printable text.]",
    )
    answers = [added, again, broken, _ask(engine, "GET", f"{_PATH}/door", tmp_path), engine.curl(_PATH)]
    assert [answer.status for answer in answers[3:]] == [200, 401]
    clear = (_VALUE.encode(), base64.b64encode(_VALUE.encode()))
    seen = [*(answer.body for answer in answers), *_readable(engine)]
    assert not [data[:200] for data in seen if any(each in data for each in clear)]
    keys = engine.root.state_dir / KEYS_FILE
    assert keys.stat().st_mode & 0o777 == 0o600
    with engine.store() as store, store.read() as session:
        secret = session.secrets.find(name="door")
        assert secret is not None
        assert Vault.open(keys).open_secret(secret) == _VALUE.encode()
    assert _ask(engine, "DELETE", f"{_PATH}/door", tmp_path).status == 200


def test_a_new_key(root_dir: Root, tmp_path: Path) -> None:
    """What was sealed with the last one is sealed with it; a running engine keeps its keys."""
    program = Path(sys.executable).parent / "covirt-engine"
    renew = [str(program), "--root", str(root_dir.path), "--new-secret-key"]
    with serve_covirt_engine(root_dir) as engine:
        assert _ask(engine, "POST", _PATH, tmp_path, {"name": "door", "value": _VALUE}).status == 201
        keys = root_dir.state_dir / KEYS_FILE
        before = Vault.open(keys).current
        assert run(renew, timeout_seconds=SECONDS, check=False).status == 1
        assert Vault.open(keys).current == before
        engine.stop()
        run(renew, timeout_seconds=SECONDS)
        engine.start()
        with engine.store() as store, store.read() as session:
            secret = session.secrets.get(session.secrets.keys_where(name="door")[0])
        vault = Vault.open(keys)
        assert before != vault.current == secret.key_id
        assert vault.open_secret(secret) == _VALUE.encode()
