# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Golden files: what a program writes, kept for comparison, and written anew with ``--update-golden``."""

from pathlib import Path
from typing import Protocol

import pytest


class Golden(Protocol):
    def __call__(self, path: Path, text: str) -> None: ...


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a file of the repository, or write that file when asked to."""
    update = bool(request.config.getoption("--update-golden"))

    def check(path: Path, text: str) -> None:
        if update:
            path.write_text(text)
        assert text == path.read_text(), f"{path.name} differs; if it should, run with --update-golden and look at it"

    return check
