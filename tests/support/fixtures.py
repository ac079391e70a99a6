# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The fixtures that every test can ask for; what they give is defined in the modules beside this one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.root import Root
from tests.support.guest import TinyGuest, build_guest
from tests.support.libvirtd import Libvirtd, serve_libvirtd
from tests.support.network import LinuxBridge, new_linux_bridge
from tests.support.oci_layout import busybox_image, write_layout
from tests.support.registry import Registry, serve_registry
from tests.support.roots import new_directory, new_root
from tests.support.virtocid import Virtocid, serve_virtocid


@pytest.fixture
def root_dir() -> Iterator[Root]:
    """An empty installation for one test."""
    with new_root() as root:
        yield root


@pytest.fixture(scope="module")
def module_root() -> Iterator[Root]:
    """An empty installation for a whole test module."""
    with new_root() as root:
        yield root


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """An empty directory that a container's mapped root can pass (pytest's tmp_path is not)."""
    with new_directory() as path:
        yield path


@pytest.fixture
def disk_dir() -> Iterator[Path]:
    """Like open_dir, on the machine's disk (where that is no overlay): for what a tmpfs cannot do."""
    with new_directory(on_disk=True) as path:
        yield path


@pytest.fixture(scope="session")
def busybox_layout() -> Iterator[Path]:
    """An OCI layout with a small real image under the tag ``busybox``."""
    with new_directory() as path:
        yield write_layout(path / "layout", {"busybox": busybox_image()})


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """A registry that speaks plain HTTP."""
    with new_directory() as path, serve_registry(path) as running:
        yield running


@pytest.fixture(scope="module")
def secure_registry() -> Iterator[Registry]:
    """A registry with TLS that asks for a password."""
    with new_directory() as path, serve_registry(path, secure=True) as running:
        yield running


@pytest.fixture
def linux_bridge() -> Iterator[LinuxBridge]:
    """A Linux bridge with an address, in the world's own network."""
    with new_linux_bridge() as bridge:
        yield bridge


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[Libvirtd]:
    """libvirtd at its usual socket in this world. Each test removes the domains it made."""
    with new_directory() as path, serve_libvirtd(path) as running:
        yield running


@pytest.fixture(scope="session")
def tiny_guest() -> Iterator[TinyGuest]:
    """The kernel and the initramfs of a virtual machine that boots in seconds."""
    with new_directory() as path:
        yield build_guest(path)


@pytest.fixture(scope="module")
def virtocid_daemon(busybox_layout: Path) -> Iterator[Virtocid]:
    """The daemon that the tests of a module share."""
    with serve_virtocid(busybox_layout) as running:
        yield running


@pytest.fixture
def virtocid(virtocid_daemon: Virtocid) -> Iterator[Virtocid]:
    """The shared daemon: after the test its domains are removed, and it runs again if the test killed it."""
    with virtocid_daemon.used_by_a_test() as running:
        yield running
