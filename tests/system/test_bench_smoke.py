# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every measurement still runs, in small; what it measures is nobody's business here."""

import json
import os
import sys
from pathlib import Path

import pytest

from covirt.common.process import run
from tests.support import world

_REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.runc
@pytest.mark.crun
@pytest.mark.parametrize(
    ("name", "arguments", "figures", "verdicts"),
    [
        ("start", ["--runs", "1"], 6, 4),
        ("stats", ["--runs", "1", "--containers", "1", "3"], 5, 4),
        ("memory", ["--containers", "3"], 7, 2),
        ("trace", ["--runs", "1"], 20, 0),
        ("host", ["--runs", "2", "--starts", "1", "--guests", "1", "2"], 4, 4),
        ("rpc", ["--runs", "1"], 4, 2),
        ("engine", ["--runs", "2", "--vms", "10", "20"], 9, 5),
        ("engine_hosts", ["--hosts", "2", "--guests", "2", "--settle", "0", "--seconds", "1"], 4, 1),
    ],
)
def test_bench(open_dir: Path, name: str, arguments: list[str], figures: int, verdicts: int) -> None:
    path = open_dir / "figures.json"
    completed = run(
        [sys.executable, "-m", f"tests.performance.{name}", *arguments, "--json", path],
        timeout_seconds=110,
        directory=_REPOSITORY,
        environment={"PYTHONPATH": str(_REPOSITORY), world.VARIABLE: os.environ[world.VARIABLE]},
    )
    found = json.loads(path.read_text())
    assert found["bench"] == name
    assert len(found["figures"]) >= figures
    assert len(found["verdicts"]) == verdicts
    assert all(each["what"] in completed.stdout.decode() for each in found["verdicts"])
