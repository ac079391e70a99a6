# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""User and network namespaces: owned one by the other, mapped, many at once, and gone when asked or when killed."""

import concurrent.futures
import contextlib
import fcntl
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from covirt.common.mountinfo import mounts_below
from covirt.common.process import PIPE, spawn
from covirt.oci.idmap import IdMap, IdRange
from covirt.oci.isolation_errors import NamespacesFailed
from covirt.oci.namespace_socket import socket_inside
from covirt.oci.namespaces import NamespaceFactory, Namespaces, make_namespaces, remove_namespaces
from tests.integration.oci.boxes import IDMAP
from tests.support.waiting import wait_until

_NS_GET_USERNS = 0xB701


def _inode(path: Path) -> int:
    return path.stat().st_ino


def _owner_of(network: Path) -> int:
    descriptor = os.open(network, os.O_RDONLY)
    try:
        owner = fcntl.ioctl(descriptor, _NS_GET_USERNS)
        try:
            return os.fstat(owner).st_ino
        finally:
            os.close(owner)
    finally:
        os.close(descriptor)


def _map_seen_inside(namespaces: Namespaces, kind: str) -> list[list[str]]:
    argv = ["nsenter", f"--user={namespaces.user}", "--preserve-credentials", "cat", f"/proc/self/{kind}_map"]
    with spawn(argv, stdout=PIPE) as child:
        return [line.split() for line in child.communicate(timeout_seconds=10).stdout.decode().splitlines()]


def test_the_network_belongs_to_the_mapped_user_namespace(open_dir: Path) -> None:
    idmap = IdMap(
        uid_first=300_000,
        gid_first=400_000,
        count=1000,
        more_uids=(IdRange(inside=5000, outside=700_000, count=2),),
    )
    made = make_namespaces(idmap, open_dir / "ns")
    try:
        assert _inode(made.user) != os.stat("/proc/self/ns/user").st_ino
        assert _inode(made.network) != os.stat("/proc/self/ns/net").st_ino
        assert _owner_of(made.network) == _inode(made.user)
        assert _map_seen_inside(made, "uid") == [["0", "300000", "1000"], ["5000", "700000", "2"]]
        assert _map_seen_inside(made, "gid") == [["0", "400000", "1000"]]
    finally:
        remove_namespaces(open_dir / "ns")
    remove_namespaces(open_dir / "ns")
    assert not (open_dir / "ns").exists()


def _make_and_warm_up(factory: NamespaceFactory, directory: Path) -> Namespaces:
    """As a start does."""
    made = factory.make(IDMAP, directory)
    factory.warm_up()
    return made


def test_many_starts_at_once_get_namespaces_of_their_own(open_dir: Path) -> None:
    factory = NamespaceFactory()
    factory.warm_up()
    try:
        with concurrent.futures.ThreadPoolExecutor(8, thread_name_prefix="start") as pool:
            made = list(pool.map(lambda number: _make_and_warm_up(factory, open_dir / str(number)), range(24)))
        assert len({_inode(each.user) for each in made}) == 24
        assert all(_owner_of(each.network) == _inode(each.user) for each in made)
    finally:
        factory.close()
        for number in range(24):
            remove_namespaces(open_dir / str(number))


def test_a_helper_that_was_ended_meanwhile_is_replaced(open_dir: Path) -> None:
    def children() -> set[int]:
        found: set[int] = set()
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread that has ended
                found.update(int(word) for word in (task / "children").read_text().split())
        return found

    others = children()  # daemons that tests share, such as libvirtd

    def helpers() -> set[int]:
        return children() - others

    factory = NamespaceFactory()
    factory.warm_up()
    try:
        wait_until(lambda: bool(helpers()), what="the waiting helper")
        for pid in helpers():
            os.kill(pid, signal.SIGKILL)
        factory.make(IDMAP, open_dir / "ns")
    finally:
        factory.close()
        remove_namespaces(open_dir / "ns")


def test_a_failure_leaves_nothing(open_dir: Path) -> None:
    (open_dir / "file").touch()
    for ready in (False, True):
        factory = NamespaceFactory()
        if ready:
            factory.warm_up()
        with pytest.raises(NamespacesFailed):
            factory.make(IDMAP, open_dir / "file" / "ns")
        factory.close()
    assert mounts_below(open_dir) == []


def test_a_killed_daemon_leaves_no_helper(open_dir: Path) -> None:
    """The leak check of every test looks for the helper; here its parent is killed while it waits."""
    program = (
        "import sys, time\n"
        "from covirt.oci.namespaces import NamespaceFactory\n"
        "factory = NamespaceFactory()\n"
        "factory.warm_up()\n"
        "while factory._ready is None: time.sleep(0.01)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with spawn([sys.executable, "-c", program], stdout=PIPE) as daemon:
        assert daemon.stdout.readline() == b"ready\n"
        daemon.signal(signal.SIGKILL)
        daemon.wait(timeout_seconds=10)


def test_files_are_for_root_only(open_dir: Path) -> None:
    made = make_namespaces(IDMAP, open_dir / "ns")
    try:
        assert {Path(entry.target) for entry in mounts_below(open_dir)} == {made.user, made.network}
    finally:
        remove_namespaces(open_dir / "ns")
    assert stat.S_ISDIR(open_dir.stat().st_mode)


def test_loopback_is_up(open_dir: Path) -> None:
    """Runtimes bring it up in namespaces of their own making only."""
    namespaces = make_namespaces(IDMAP, open_dir / "ns")
    try:
        with socket_inside(namespaces.network, socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            with socket_inside(namespaces.network, socket.AF_INET, socket.SOCK_STREAM) as client:
                client.settimeout(60)
                client.connect(listener.getsockname())
        with socket_inside(namespaces.network, socket.AF_INET6, socket.SOCK_STREAM) as listener:
            listener.bind(("::1", 0))
    finally:
        remove_namespaces(open_dir / "ns")
