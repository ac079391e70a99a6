# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Fake programs on PATH: small scripts that say what the real program would have said."""

import os
from pathlib import Path

import pytest


def fake_program(directory: Path, name: str, script: str) -> Path:
    """Write an executable shell script."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def prepend_path(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Let programs in ``directory`` be found first."""
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
