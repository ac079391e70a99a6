# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virsh console on a real terminal, in front of containers with and without one."""

from collections.abc import Iterator
from contextlib import contextmanager

import libvirt
import pytest

from tests.support.terminal import Terminal, at_terminal
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until
from tests.system.test_virsh_lifecycle import each_runtime

_SHELL = ("/bin/sh", "-i")
_LEAVE = "\x1d"  # ^]


@contextmanager
def console(virtocid: Virtocid, name: str, *options: str) -> Iterator[Terminal]:
    with at_terminal(["virsh", "-c", virtocid.uri, "console", name, *options]) as terminal:
        yield terminal


@contextmanager
def connected(virtocid: Virtocid, name: str, *options: str) -> Iterator[Terminal]:
    with console(virtocid, name, *options) as terminal:
        terminal.wait_for("Escape character is ^]")
        terminal.wait_until_raw()
        yield terminal


@each_runtime
def test_shell_on_a_terminal(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", _SHELL, runtime=runtime)
    with connected(virtocid, "box") as terminal:
        terminal.type("echo $((6*7)); tty\r")
        terminal.wait_for("42")
        terminal.wait_for("/dev/")
        terminal.type(_LEAVE)
        assert terminal.wait_for_end() == 0
    assert virtocid.state("box") == "running (booted)"
    with connected(virtocid, "box") as terminal:
        terminal.type("echo a$((1+1))gain\r")
        terminal.wait_for("a2gain")
        terminal.type("exit 3\r")
        assert terminal.wait_for_end() == 0
    virtocid.wait_for_state("box", "shut off (crashed)")


@each_runtime
def test_without_a_terminal(virtocid: Virtocid, runtime: str) -> None:
    """A console is also there for a process with plain pipes: its two outputs, and its input."""
    script = "test -t 0 || echo plain; read line; echo got $line; echo wrong >&2; read line; echo ended"
    virtocid.run("box", ("/bin/sh", "-c", script), runtime=runtime, settings="<covirt:console terminal='no'/>")
    virtocid.wait_for_output("box", "plain")
    with connected(virtocid, "box") as terminal:
        terminal.type("some words\n")
        terminal.wait_for("got some words")
        terminal.wait_for("wrong")
        terminal.type(_LEAVE)
        assert terminal.wait_for_end() == 0
    with connected(virtocid, "box") as terminal:
        terminal.type("\n")
        terminal.wait_for("ended")
        assert terminal.wait_for_end() == 0
    virtocid.wait_for_state("box", "shut off (shutdown)")


def test_second_client_is_refused_and_may_take_over(virtocid: Virtocid) -> None:
    virtocid.run("box", _SHELL)
    with connected(virtocid, "box") as first:
        with console(virtocid, "box") as second:
            second.wait_for("in use by another client; virsh console --force takes it over")
            assert second.wait_for_end() != 0
        first.type("echo st$((1))ll\r")
        first.wait_for("st1ll")
        with connected(virtocid, "box", "--force") as third:
            first.wait_for_end()
            third.type("echo m$((1))ne\r")
            third.wait_for("m1ne")
            third.type(_LEAVE)
            assert third.wait_for_end() == 0
    with connected(virtocid, "box") as fourth:
        fourth.type("echo fr$((3))e\r")
        fourth.wait_for("fr3e")


def test_client_that_dies_frees_the_console(virtocid: Virtocid) -> None:
    virtocid.run("box", _SHELL)
    with connected(virtocid, "box"):
        pass  # killed at its end
    with virtocid.connect() as connection:
        domain = connection.lookupByName("box")

        def opens() -> bool:
            stream = connection.newStream()
            try:
                domain.openConsole(None, stream)
            except libvirt.libvirtError:
                return False
            stream.abort()
            return True

        wait_until(opens, what="a free console")


def test_console_ends_with_the_container(virtocid: Virtocid) -> None:
    virtocid.run("box", _SHELL)
    with connected(virtocid, "box") as terminal:
        virtocid.virsh("destroy", "box")
        terminal.wait_for_end()
    with console(virtocid, "box") as terminal:
        terminal.wait_for("not running")
        assert terminal.wait_for_end() != 0


def test_a_console_survives_suspend(virtocid: Virtocid) -> None:
    virtocid.run("box", _SHELL)
    with connected(virtocid, "box") as terminal:
        virtocid.virsh("suspend", "box")
        terminal.type("echo aw$((4))ke\r")
        virtocid.virsh("resume", "box")
        terminal.wait_for("aw4ke")


@pytest.mark.parametrize("device", ["console0", None])
def test_by_alias(virtocid: Virtocid, device: str | None) -> None:
    virtocid.run("box", _SHELL)
    with virtocid.connect() as connection:
        stream = connection.newStream()
        connection.lookupByName("box").openConsole(device, stream)
        stream.send(b"echo h$((1))\r")
        seen = b""
        while b"h1" not in seen:
            seen += stream.recv(1024)
        stream.finish()


def test_console_that_is_not_there(virtocid: Virtocid) -> None:
    virtocid.run("box", _SHELL)
    with virtocid.connect() as connection, pytest.raises(libvirt.libvirtError, match="no console 'serial7'"):
        connection.lookupByName("box").openConsole("serial7", connection.newStream())


def test_paste_of_many_lines_arrives_whole(virtocid: Virtocid) -> None:
    """Far more than any buffer on the way, through the stream, conmon, and a pipe into the container."""
    lines, size = 20_000, 100
    virtocid.run("box", ("/bin/wc", "-c"), settings="<covirt:console terminal='no'/>")
    with virtocid.connect() as connection:
        stream = connection.newStream()
        connection.lookupByName("box").openConsole(None, stream)
        data = (b"x" * (size - 1) + b"\n") * lines
        sent = 0
        while sent < len(data):
            sent += stream.send(data[sent : sent + 100_000])
        stream.finish()
    # wc tells the sum at the end of its input, which a console has not: so it is asked how far it has read.
    pid = int((next((virtocid.root.run_dir / "virtocid/runs").iterdir()) / "monitor/pid").read_text())

    def received() -> int:
        with open(f"/proc/{pid}/io") as io:
            return int(io.readline().split()[1])

    wait_until(lambda: received() >= len(data), what=f"{len(data)} bytes inside")


def test_output_without_end_does_not_stop_the_daemon(virtocid: Virtocid) -> None:
    virtocid.run("loud", ("/bin/yes", "0123456789" * 20))
    with virtocid.connect() as connection:
        stream = connection.newStream()
        connection.lookupByName("loud").openConsole(None, stream)
        received = 0
        while received < 1 << 20:
            received += len(stream.recv(262120))
        assert virtocid.state("loud") == "running (booted)"  # beside a client that does not read on
        stream.abort()


def test_console_ends_with_the_daemon_and_is_free_again(virtocid: Virtocid) -> None:
    virtocid.run("box", _SHELL)
    with connected(virtocid, "box") as terminal:
        virtocid.kill()
        terminal.wait_for("Disconnected")
        terminal.type(_LEAVE)  # virsh 9.0 now and then misses that its stream has gone, and waits for a key
        terminal.wait_for_end()
    virtocid.start()
    with connected(virtocid, "box") as terminal:
        terminal.type("echo s$((7))ill\r")
        terminal.wait_for("s7ill")
