# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""One daemon per root."""

import os
from pathlib import Path

import pytest

from covirt.common.daemon_lock import AnotherDaemonRuns, acquire_daemon_lock
from covirt.common.root import Root


def test_second_daemon_is_refused_and_told_who_runs(tmp_path: Path) -> None:
    root = Root(tmp_path)
    with acquire_daemon_lock(root, "virtocid"), pytest.raises(AnotherDaemonRuns, match=f"pid {os.getpid()}"):
        acquire_daemon_lock(root, "virtocid")
    acquire_daemon_lock(root, "virtocid").release()


def test_stale_lock_file_is_no_lock(tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.run_dir.mkdir(parents=True)
    (root.run_dir / "virtocid.lock").write_text("123456789\n")
    with acquire_daemon_lock(root, "virtocid"):
        assert (root.run_dir / "virtocid.lock").read_text() == f"{os.getpid()}\n"


def test_two_roots_do_not_meet(tmp_path: Path) -> None:
    with acquire_daemon_lock(Root(tmp_path / "a"), "virtocid"), acquire_daemon_lock(Root(tmp_path / "b"), "virtocid"):
        pass


def test_lock_is_not_inherited(tmp_path: Path) -> None:
    with acquire_daemon_lock(Root(tmp_path), "virtocid"):
        locks = [int(name) for name in os.listdir("/proc/self/fd") if _is_lock(name)]
        assert len(locks) == 1
        assert not os.get_inheritable(locks[0])


def _is_lock(name: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{name}").endswith("virtocid.lock")
    except OSError:
        return False
