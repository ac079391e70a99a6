# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt host add``: what it tells is typed on a host, which then is up."""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from covirt.common.process import PIPE, Argument, Completed, run, spawn
from tests.support.covirt_engine import SECONDS, CovirtEngine, serve_covirt_engine
from tests.support.covirt_host import CovirtHost
from tests.support.enrolled_host import WATCHFUL, set_port
from tests.support.roots import new_root
from tests.support.waiting import free_port

_PROGRAMS: Final = Path(sys.executable).parent
_ADD: Final[list[Argument]] = [_PROGRAMS / "covirt", "host", "add"]


@pytest.fixture(scope="module")
def engine() -> Iterator[CovirtEngine]:
    with new_root() as root, serve_covirt_engine(root, extra=WATCHFUL) as running:
        running.restart()  # from now on its port is in its settings
        yield running


def add(*words: str, password: str = "") -> Completed:
    environment = {"COVIRT_PASSWORD": password} if password else {}
    return run([*_ADD, *words], timeout_seconds=SECONDS, check=False, environment=environment)


def test_what_it_tells_makes_a_host(engine: CovirtEngine) -> None:
    words = [*_ADD, "oven", "--address", "127.0.0.1", "--root", engine.root.path, "--output", "json", "--wait"]
    with spawn(words, stdout=PIPE) as child, new_root() as root:
        told = _object(child.stdout)
        (enrol,) = (shlex.split(line) for line in told["commands"] if line.startswith("covirt-host enrol"))
        enrol[enrol.index("--engine") + 1] = f"https://localhost:{engine.port}"  # a world knows no other name
        run(
            [_PROGRAMS / enrol[0], "--root", root.path, *enrol[1:]],
            stdin_data=told["token"].encode(),
            timeout_seconds=SECONDS,
        )
        host = CovirtHost(root, port=free_port())
        set_port(engine, "oven", host.port)
        host.start()
        assert child.stdout.readline() == b"oven is up\n"
        assert child.wait(timeout_seconds=SECONDS) == 0
        host.stop()


def _object(stream: Any) -> dict[str, Any]:
    lines = []
    while (line := stream.readline()) != b"}\n":
        assert line
        lines.append(line)
    found: dict[str, Any] = json.loads(b"".join([*lines, line]))
    return found


def test_an_engine_elsewhere(engine: CovirtEngine) -> None:
    words = ("pan", "--url", engine.url, "--ca-file", str(engine.ca_file))
    told = add(*words)
    assert told.status == 2
    assert "put it into the environment variable COVIRT_PASSWORD" in told.complaint
    told = add(*words, password=engine.password)
    assert told.status == 0, told.complaint
    assert f"--engine https://localhost:{engine.port} --name pan" in told.stdout.decode()
    assert "[containers]" not in told.stdout.decode()
    told = add("lid", "--cluster", "nowhere", *words[1:], password=engine.password)
    assert told.status == 3
    assert told.complaint.count("\n") == 0
    assert "nowhere" in told.complaint


def test_where_no_engine_is() -> None:
    with new_root() as root:
        told = add("pan", "--root", str(root.path))
        assert told.status == 3
        assert f"no engine has its data below {root.path}" in told.complaint
    assert add("pan", "--url", "https://localhost").status == 2
