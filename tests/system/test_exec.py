# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virtocid-exec, and the channel below it with a stock client."""

import fcntl
import hashlib
import json
import os
import signal
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt
import pytest

from covirt.common.channels import ChannelDecoder, ChannelFrame, ExecChannelExit, FrameKind
from covirt.common.process import PIPE, spawn
from tests.support.terminal import Terminal, at_terminal
from tests.support.virtocid import SECONDS, Virtocid
from tests.support.waiting import wait_until
from tests.system.test_virsh_lifecycle import each_runtime

_SH = ("--", "/bin/sh", "-c")


def inside(virtocid: Virtocid, name: str) -> list[str]:
    """Command lines of the container's processes, but for the one that tells."""
    told = virtocid.exec(name, *_SH, "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done").stdout.decode()
    return [line.strip() for line in told.splitlines() if line.strip() and "cmdline" not in line]


def wait_until_inside(virtocid: Virtocid, name: str, expected: list[str]) -> None:
    wait_until(lambda: sorted(inside(virtocid, name)) == expected, what="an end of all that was started")


@contextmanager
def terminal_of(virtocid: Virtocid, name: str, *words: str) -> Iterator[Terminal]:
    with at_terminal(virtocid.exec_argv(name, *words)) as terminal:
        yield terminal


@each_runtime
def test_outputs_and_exit_status(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", runtime=runtime)
    done = virtocid.exec("box", *_SH, "echo out; echo err >&2; exit 7")
    assert (done.status, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    for name in (virtocid.tell("domuuid", "box"), virtocid.tell("domid", "box")):
        assert virtocid.exec(name, *_SH, "echo me").stdout == b"me\n"
    assert virtocid.exec("box", *_SH, "kill -TERM $$").status == 128 + signal.SIGTERM
    assert virtocid.exec("box", *_SH, "cat", stdin=b"not passed on").stdout == b""


@each_runtime
def test_user_directory_and_environment(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", runtime=runtime, environment={"COLOUR": "blue"})
    script = "echo $(id -u):$(id -g) $(pwd) $COLOUR $SHAPE $HOME"
    assert virtocid.exec("box", *_SH, script).stdout.startswith(b"0:0 / blue /")
    words = ("-u", "12:34", "-w", "/tmp", "-e", "SHAPE=round", "-e", "HOME=/nowhere")
    assert virtocid.exec("box", *words, *_SH, script).stdout == b"12:34 /tmp blue round /nowhere\n"
    own = virtocid.exec("box", "-e", "PATH", "-e", "COVIRT_NOT_SET", "--", "/bin/env").stdout.decode().splitlines()
    assert f"PATH={os.environ['PATH']}" in own
    assert not [line for line in own if line.startswith("COVIRT_NOT_SET")]


@each_runtime
def test_binary_input_comes_back(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", runtime=runtime)
    data = os.urandom(3 << 20)
    done = virtocid.exec("box", "-i", "--", "/bin/cat", stdin=data)
    assert (done.status, done.stderr) == (0, b"")
    assert done.stdout == data


@each_runtime
def test_much_output_waits_for_its_reader(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", runtime=runtime)
    script = "yes 0123456789abcdef | head -c 10485760; yes wrong | head -c 1000000 >&2"
    with spawn(virtocid.exec_argv("box", *_SH, script), stdout=PIPE, stderr=PIPE) as child:
        head = os.read(child.stdout.fileno(), 5)  # nobody reads on for a while: the daemon serves others
        assert virtocid.state("box") == "running (booted)"
        completed = child.communicate(timeout_seconds=SECONDS)
        stdout, stderr = head + completed.stdout, completed.stderr
    assert completed.status == 0
    assert hashlib.sha256(stdout).digest() == hashlib.sha256((b"0123456789abcdef\n" * 700_000)[:10485760]).digest()
    assert stderr == (b"wrong\n" * 200_000)[:1_000_000]


@each_runtime
def test_terminal(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", runtime=runtime)
    with terminal_of(virtocid, "box", "-it", "-e", "TERM=linux", "--", "/bin/sh") as terminal:
        terminal.wait_until_raw()
        terminal.type("tty; echo a$((6*7))b $TERM\r")
        terminal.wait_for("/dev/pts/")
        terminal.wait_for("a42b linux")
        fcntl.ioctl(terminal.line, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
        terminal.child.signal(signal.SIGWINCH)  # it has no controlling terminal that would tell it
        terminal.type("while [ \"$(stty size)\" != '31 97' ]; do :; done; echo s$((1))zed\r")
        terminal.wait_for("s1zed")
        terminal.type("sleep 1000\r")
        wait_until(lambda: any("sleep 1000" in line for line in inside(virtocid, "box")))
        terminal.type("\x03echo int$((1))rupted; exit 5\r")
        terminal.wait_for("int1rupted")
        assert terminal.wait_for_end() == 5
        assert termios.tcgetattr(terminal.line)[3] & termios.ICANON


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_put_in_order_at_a_signal(virtocid: Virtocid, number: signal.Signals) -> None:
    virtocid.run("box")
    with terminal_of(virtocid, "box", "-it", "--", "/bin/sh") as terminal:
        terminal.wait_until_raw()
        terminal.child.signal(number)
        assert terminal.wait_for_end() == 128 + number
        assert termios.tcgetattr(terminal.line)[3] & termios.ICANON


@each_runtime
def test_a_killed_client_leaves_nothing_behind(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", runtime=runtime)
    script = "trap '' HUP TERM PIPE; (sleep 999 &) ; echo go; sleep 998"
    for words in (("-i", *_SH), ("-it", *_SH)):
        before = sorted(inside(virtocid, "box"))
        with terminal_of(virtocid, "box", *words, script) as terminal:
            terminal.wait_for("go")
            wait_until(lambda: any("sleep 998" in line for line in inside(virtocid, "box")))
            terminal.child.signal(signal.SIGKILL)
            wait_until_inside(virtocid, "box", before)


def test_a_client_that_leaves_while_its_input_waits(virtocid: Virtocid) -> None:
    """Far more input than anybody reads: the daemon does not read the client, and still notices its end."""
    virtocid.run("box")
    before = sorted(inside(virtocid, "box"))
    with spawn(virtocid.exec_argv("box", "-i", "--", "/bin/sleep", "997"), stdin=PIPE) as child:
        os.set_blocking(child.stdin.fileno(), False)

        def stuck() -> bool:
            try:
                while os.write(child.stdin.fileno(), bytes(65536)):
                    pass
            except BlockingIOError:
                return any("sleep 997" in line for line in inside(virtocid, "box"))
            return False

        wait_until(stuck, what="input that nobody takes")
        child.signal(signal.SIGKILL)
        wait_until(lambda: sorted(inside(virtocid, "box")) == before, what="an end of what was started")


@each_runtime
def test_a_killed_daemon_leaves_nothing_behind(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", runtime=runtime)
    before = sorted(inside(virtocid, "box"))
    with terminal_of(virtocid, "box", *_SH, "trap '' HUP PIPE; echo go; sleep 996") as terminal:
        terminal.wait_for("go")
        virtocid.kill()
        terminal.wait_for("virtocid ended")
        assert terminal.wait_for_end() == 125
    virtocid.start()
    wait_until(lambda: sorted(inside(virtocid, "box")) == before, what="an end of what was started")
    run_dir = virtocid.root.run_dir / "virtocid/runs" / virtocid.tell("domuuid", "box")
    wait_until(lambda: not list(run_dir.glob("exec/*")), what="no notes")


@each_runtime
def test_what_a_killed_helper_leaves_is_ended_by_the_next_daemon(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", runtime=runtime)
    before = sorted(inside(virtocid, "box"))
    with terminal_of(virtocid, "box", *_SH, "trap '' HUP PIPE; echo go; sleep 992") as terminal:
        terminal.wait_for("go")
        helper = next(iter(children_of(virtocid.pid, "adopter_program")))
        os.kill(virtocid.pid, signal.SIGSTOP)  # or it would end what its helper left
        os.kill(helper, signal.SIGKILL)
        virtocid.kill()
        assert terminal.wait_for_end() == 125
    virtocid.start()
    assert sorted(inside(virtocid, "box")) == before
    assert "Killing what an earlier daemon had started" in virtocid.log


def children_of(pid: int, program: str) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):  # each thread has its own
        for child in children.read_text().split():
            if program in Path(f"/proc/{child}/cmdline").read_text():
                yield int(child)


@each_runtime
def test_the_container_ends_under_the_session(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", runtime=runtime)
    with terminal_of(virtocid, "box", "-it", *_SH, "echo go; sleep 995") as terminal:
        terminal.wait_for("go")
        virtocid.virsh("destroy", "box")
        assert terminal.wait_for_end() == 128 + signal.SIGKILL
        assert termios.tcgetattr(terminal.line)[3] & termios.ICANON


@each_runtime
def test_what_cannot_be_run(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("box", runtime=runtime)

    def refusal(*words: str) -> tuple[int, str]:
        done = virtocid.exec("box", *words)
        text = done.stderr.decode()
        assert text.startswith("virtocid-exec: ")
        assert text.count("\n") == 1
        return done.status, text

    for status, words, text in (
        (127, ("--", "nosuch"), "no program 'nosuch'"),
        (127, ("--", "/bin/nosuch"), "no program '/bin/nosuch'"),
        (126, ("--", "/etc"), "'/etc' cannot be executed"),
        (125, ("-w", "/nowhere", "--", "/bin/true"), "no usable directory '/nowhere'"),
        (125, ("-w", "tmp", "--", "/bin/true"), "no absolute path"),
        (125, ("-u", "nobody-here", "--", "/bin/true"), "nobody-here"),
        (125, ("-u", "70000", "--", "/bin/true"), "beyond the ids"),
        (125, ("-e", "=x", "--", "/bin/true"), "no name of an environment variable"),
        (125, ("--nosuch",), "No such option"),
        (125, (), "Missing argument 'COMMAND...'; write virtocid-exec DOMAIN [OPTIONS] -- COMMAND"),
        (125, ("ls", "-t"), "there is no '--' in front of the command; write"),
        (125, ("ls", "-l"), "No such option '-l'; write"),
        (125, ("-it", "--", "/bin/true"), "is no terminal"),
    ):
        told = refusal(*words)
        assert (told[0], text in told[1]) == (status, True), told


def test_domains_that_have_no_process(virtocid: Virtocid) -> None:
    virtocid.define("box")
    assert virtocid.exec("box", "--", "/bin/true").stderr == b"virtocid-exec: domain 'box' is not running\n"
    absent = virtocid.exec("nobody", "--", "/bin/true")
    assert (absent.status, absent.stderr.startswith(b"virtocid-exec: there is no domain 'nobody'")) == (125, True)
    virtocid.virsh("start", "box", "--paused")
    assert b"is paused" in virtocid.exec("box", "--", "/bin/true").stderr
    virtocid.virsh("resume", "box")
    assert virtocid.exec("box", "--", "/bin/true").status == 0
    virtocid.virsh("suspend", "box")
    assert b"is paused" in virtocid.exec("box", "--", "/bin/true").stderr


def test_a_session_survives_suspend(virtocid: Virtocid) -> None:
    virtocid.run("box")
    with terminal_of(virtocid, "box", "-it", "--", "/bin/sh") as terminal:
        terminal.wait_until_raw()
        terminal.type("echo st$((1))ll\r")
        terminal.wait_for("st1ll")
        virtocid.virsh("suspend", "box")
        terminal.type("echo aw$((4))ke\r")
        virtocid.virsh("resume", "box")
        terminal.wait_for("aw4ke")


def test_a_background_process_does_not_hold_the_session(virtocid: Virtocid) -> None:
    virtocid.run("box")
    done = virtocid.exec("box", *_SH, "sleep 994 & echo gone")
    assert (done.status, done.stdout) == (0, b"gone\n")
    assert any("sleep 994" in line for line in inside(virtocid, "box"))


def test_secrets_are_not_in_the_log(virtocid: Virtocid) -> None:
    virtocid.run("box")
    virtocid.exec("box", "-e", "TOKEN=hush-hush", *_SH, "echo $TOKEN; : whispered")
    assert "hush-hush" not in virtocid.log
    assert "whispered" not in virtocid.log
    assert "program='/bin/sh'" in virtocid.log


def test_sessions_are_bounded(virtocid: Virtocid) -> None:
    virtocid.run("box")
    begun = virtocid.log.count("program='/bin/sleep'")
    children = [spawn(virtocid.exec_argv("box", "--", "/bin/sleep", "993")) for _ in range(16)]
    try:
        wait_until(
            lambda: virtocid.log.count("program='/bin/sleep'") == begun + 16,
            timeout_seconds=SECONDS,
            what="16 sessions",
        )
        assert b"16 processes" in virtocid.exec("box", "--", "/bin/true").stderr
    finally:
        for child in children:
            child.stop()
    wait_until(lambda: virtocid.exec("box", "--", "/bin/true").status == 0)


class StockChannel:
    """The channel over libvirt-python."""

    def __init__(self, connection: "libvirt.virConnect", domain: str, channel: str | None) -> None:
        self.stream = connection.newStream()
        connection.lookupByName(domain).openChannel(channel, self.stream)
        self._decoder = ChannelDecoder()
        self._frames: list[ChannelFrame] = []

    def send(self, kind: FrameKind, data: bytes) -> None:
        packet = ChannelFrame(kind=kind, data=data).encode()
        while packet:
            packet = packet[self.stream.send(packet) :]

    def receive(self) -> ChannelFrame:
        while not self._frames:
            data = self.stream.recv(65536)
            assert data, "an end"
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)


@pytest.mark.parametrize("channel", [None, "org.covirt.exec.0"])
def test_stock_client_speaks_the_frames(virtocid: Virtocid, channel: str | None) -> None:
    virtocid.run("box")
    with virtocid.connect() as connection:
        one = StockChannel(connection, "box", channel)
        one.send(FrameKind.REQUEST, json.dumps({"command": ["/bin/cat"], "environment": {"A": "b"}}).encode())
        one.send(FrameKind.STDIN, b"some")
        one.send(FrameKind.STDIN, b" words")
        one.send(FrameKind.STDIN, b"")
        seen = b""
        while (frame := one.receive()).kind is FrameKind.STDOUT:
            seen += frame.data
        assert seen == b"some words"
        assert frame.kind is FrameKind.EXIT
        assert ExecChannelExit.parse(frame.data) == ExecChannelExit(exit_code=0)
        assert one.stream.recv(100) == b""
        one.stream.finish()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x09\0\0\0\0", "no frame of kind 9"),
        (b"\x01\0\0\0\0", "first frame must be a request"),
        (b"\x00\xff\0\0\0", "announces a frame"),
        (b'\x00\0\0\0\x10{"command": [1]}', "must be text"),
        (b'\x00\0\0\0\x22{"command": ["ls"], "privileged":1}', "not JSON"),
        (b'\x00\0\0\0\x23{"command": ["ls"], "privileged":1}', "no field 'privileged'"),
    ],
)
def test_wrong_frames_break_the_stream_off(virtocid: Virtocid, data: bytes, words: str) -> None:
    virtocid.run("box")
    with virtocid.connect() as connection:
        one = StockChannel(connection, "box", None)
        one.stream.send(data)
        with pytest.raises(libvirt.libvirtError, match=words):
            one.stream.recv(100)
    assert virtocid.exec("box", "--", "/bin/true").status == 0


def test_unknown_channels_and_readers(virtocid: Virtocid) -> None:
    virtocid.run("box")
    with virtocid.connect() as connection:
        domain = connection.lookupByName("box")
        with pytest.raises(libvirt.libvirtError, match=r"no channel 'org\.qemu\.agent\.0'; it has org\.covirt\.exec"):
            domain.openChannel("org.qemu.agent.0", connection.newStream())
    with virtocid.connect(readonly=True) as connection:
        domain = connection.lookupByName("box")
        with pytest.raises(libvirt.libvirtError, match="read only access"):
            domain.openChannel("org.covirt.exec.0", connection.newStream())


def test_without_a_daemon(virtocid: Virtocid) -> None:
    virtocid.stop()
    done = virtocid.exec("box", "--", "/bin/true")
    assert (done.status, b"virtocid does not answer at " in done.stderr) == (125, True)
    assert virtocid.logs("box").status == 125
