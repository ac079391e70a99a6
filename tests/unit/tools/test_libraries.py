# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A package holds what the programs need, and nothing of what only developers do."""

import importlib.metadata

from tools.libraries import needed


def test_what_is_needed_needs_more() -> None:
    found = needed(importlib.metadata.distribution("covirt"))
    assert {"lxml", "pydantic", "pydantic-core", "cffi", "libvirt-python"} <= found


def test_extras_that_are_asked_for_are_needed() -> None:
    """dbos asks for sqlalchemy[asyncio], which needs greenlet: without it the engine does not start."""
    assert "greenlet" in needed(importlib.metadata.distribution("covirt"))


def test_developers_tools_are_not_needed() -> None:
    """Nor is ovirt-imageio: another project's program, under a licence of its own."""
    assert not needed(importlib.metadata.distribution("covirt")) & {"pytest", "mypy", "hatchling", "ovirt-imageio"}
