# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Clients of other releases, in minimal roots: the virsh and libvirt-python of Debian 11, 12 and 13.

libvirt's protocol is internal by upstream's word, so what it does between releases is tested rather than believed.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from covirt.common.process import Argument, Completed, run
from covirt.common.readable import readable_within
from tests.support.terminal import Terminal, at_terminal
from tests.support.virtocid import SECONDS, SERVICE, Virtocid
from tools.clients import RELEASES, client_root, reason_file

pytestmark = [pytest.mark.root, pytest.mark.runc]

_PYTHON = """
import libvirt, sys, threading
libvirt.virEventRegisterDefaultImpl()
connection = libvirt.open(sys.argv[1])
seen, ended = [], False
def on_change(_connection, domain, event, detail, _opaque):
    seen.append((domain.name(), event, detail))
connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_change, None)
domain = connection.lookupByName("web")
domain.create()
while (domain.name(), 2, 0) not in seen:
    libvirt.virEventRunDefaultImpl()
stats = connection.getAllDomainStats()[0][1]
assert stats["state.state"] == 1 and stats["cpu.time"] > 0, stats
assert "<name>web</name>" in domain.XMLDesc(0)
domain.destroy()
while (domain.name(), 5, 1) not in seen:
    libvirt.virEventRunDefaultImpl()
try:
    connection.lookupByName("absent")
except libvirt.libvirtError as error:
    assert error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN
connection.close()
print("all is well")
"""


class Client:
    """The clients of one release, in front of one daemon."""

    def __init__(self, root: Path, virtocid: Virtocid) -> None:
        self._root = root
        self._virtocid = virtocid

    def command(self, *words: str) -> list[Argument]:
        return ["chroot", self._root, *words]

    def virsh_command(self, *words: str) -> list[Argument]:
        return self.command("/usr/bin/virsh", "-q", "-c", self._virtocid.uri, *words)

    def virsh(self, *words: str) -> str:
        return self._run(self.virsh_command(*words)).stdout.decode().strip()

    def python(self, script: str) -> str:
        return self._run(self.command("/usr/bin/python3", "-c", script, self._virtocid.uri)).stdout.decode()

    @contextmanager
    def watching(self) -> Iterator[Terminal]:
        """virsh event. It does not say when it listens, so something is done until it tells of that."""
        with at_terminal(self.virsh_command("event", "--all", "--loop")) as terminal:
            while not readable_within(terminal.controller, 0.1):
                self.virsh("desc", "web", "--config", "--new-desc", "words")
            terminal.wait_for("metadata-change")
            yield terminal

    def _run(self, argv: list[Argument]) -> Completed:
        completed = run(argv, timeout_seconds=SECONDS, check=False)
        assert completed.status == 0, f"{argv}: {completed.stderr.decode()}\n{self._virtocid.log}"
        return completed


@contextmanager
def _entered(release: str, virtocid: Virtocid) -> Iterator[Client]:
    root = client_root(release)
    if not root.exists():
        reason = reason_file(release)
        text = reason.read_text() if reason.exists() else "./dev test makes them"
        pytest.skip(f"no clients of {release}: {text.splitlines()[0] if text else 'unknown'}")
    with ExitStack() as stack:
        stack.callback(_remove_empty, root / virtocid.root.path.relative_to("/"), root)
        for place in (Path("/dev"), virtocid.root.path):
            target = root / place.relative_to("/")
            target.mkdir(parents=True, exist_ok=True)
            run(["mount", "--rbind", place, target], timeout_seconds=SECONDS)
            stack.callback(run, ["umount", "--recursive", target], timeout_seconds=SECONDS)
        yield Client(root, virtocid)


def _remove_empty(directory: Path, top: Path) -> None:
    while directory != top:
        try:
            os.rmdir(directory)
        except OSError:
            return
        directory = directory.parent


@pytest.fixture(params=RELEASES)
def client(request: pytest.FixtureRequest, virtocid: Virtocid) -> Iterator[Client]:
    with _entered(request.param, virtocid) as entered:
        yield entered


def test_a_domain_is_listed_started_watched_and_stopped(client: Client, virtocid: Virtocid) -> None:
    virtocid.define("web")
    with client.watching() as watching:
        client.virsh("start", "web")
        assert "web" in client.virsh("list", "--name")
        assert client.virsh("domstate", "web") == "running"
        assert "<name>web</name>" in client.virsh("dumpxml", "web")
        assert "cpu.time=" in client.virsh("domstats", "web")
        client.virsh("shutdown", "web")
        watching.wait_for("Started")
        watching.wait_for("Stopped")
    virtocid.wait_for_state("web", "shut off (shutdown)")


def test_a_console_is_opened(client: Client, virtocid: Virtocid) -> None:
    virtocid.run("box", ("/bin/sh", "-i"))
    with at_terminal(client.virsh_command("console", "box")) as terminal:
        terminal.wait_until_raw()
        terminal.type("echo $((6*7))\r")
        terminal.wait_for("42")
        terminal.type("\x1d")
        assert terminal.wait_for_end() == 0


def test_a_program_in_python(client: Client, virtocid: Virtocid) -> None:
    virtocid.define("web", SERVICE)
    assert client.python(_PYTHON) == "all is well\n"
