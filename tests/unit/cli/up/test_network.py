# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which addresses guests get."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from covirt.cli.up.errors import NoFreeNetwork
from covirt.cli.up.network import free_subnet, machine_address
from tests.support.programs import fake_program, prepend_path


@pytest.fixture
def routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    prepend_path(monkeypatch, tmp_path)

    def tell(*destinations: str) -> None:
        told = json.dumps([{"dst": each} for each in destinations])
        fake_program(tmp_path, "ip", f"echo '{told}'")

    return tell


def test_the_first_that_nobody_uses(routes: Callable[..., None]) -> None:
    routes("default", "192.0.2.0/24", "local")
    assert free_subnet() == "10.77.0.0/24"
    routes("default", "10.77.0.17", "10.86.0.0/15")
    assert free_subnet() == "10.97.0.0/24"
    routes("10.0.0.0/8")
    with pytest.raises(NoFreeNetwork, match="name another one with --subnet"):
        free_subnet()


def test_the_machine_has_the_first_address() -> None:
    assert machine_address("10.77.0.0/24") == ("10.77.0.1", "255.255.255.0")
