# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Channels of the real server over a fake runtime, spoken by our own client: its frames at every moment."""

import select
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from covirt.common.channels import (
    EXEC_CHANNEL,
    LOG_CHANNEL,
    BadChannelRequest,
    ChannelDecoder,
    ChannelFrame,
    ExecChannelExit,
    ExecChannelRequest,
    FrameKind,
    LogChannelRequest,
)
from covirt.common.root import Root
from covirt.virtocid.client import CallFailed, ClientStream, WireClient
from covirt.virtocid.commands.connect import NoSuchDomain, open_channel
from covirt.virtocid.server import VirtocidServer
from tests.support.fake_services import SECONDS, FakeHost, fake_virtocid, write_image
from tests.support.waiting import wait_until

Served = tuple[FakeHost, VirtocidServer]


@pytest.fixture
def served(root_dir: Root) -> Iterator[Served]:
    write_image(root_dir)
    with fake_virtocid(root_dir) as (host, server):
        host.run("one")
        yield host, server
        host.end_containers()


class Channel:
    """One channel on a connection of its own."""

    def __init__(self, served: Served, domain: str = "one", name: str = EXEC_CHANNEL) -> None:
        self.client = WireClient(served[1].socket_path).open()
        try:
            self.stream = open_channel(self.client, domain, name)
        except BaseException:
            self.client.close()
            raise
        self._decoder = ChannelDecoder()
        self._frames: list[ChannelFrame] = []

    def send(self, kind: FrameKind, data: bytes = b"") -> None:
        self.stream.write(ChannelFrame(kind=kind, data=data).encode())

    def request(self, *command: str, terminal: bool = False) -> None:
        self.send(FrameKind.REQUEST, ExecChannelRequest(command=command, terminal=terminal).encode())

    def bytes(self) -> bytes:
        """What comes next; nothing at the end."""
        while not self.stream.ended:
            assert select.select([self.stream], [], [], SECONDS)[0], "nothing came"
            if data := self.stream.read():
                return data
        return b""

    def frame(self) -> ChannelFrame:
        while not self._frames:
            data = self.bytes()
            assert data, "an end"
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def exit(self) -> ExecChannelExit:
        while (frame := self.frame()).kind is not FrameKind.EXIT:
            pass
        return ExecChannelExit.parse(frame.data)


@pytest.fixture
def channel(served: Served) -> Iterator[Channel]:
    made = Channel(served)
    yield made
    made.client.close()


def test_input_that_comes_before_the_start_is_over(channel: Channel) -> None:
    channel.request("busybox", "cat")
    channel.send(FrameKind.STDIN, b"early ")
    channel.send(FrameKind.STDIN, b"bird")
    channel.send(FrameKind.STDIN)
    channel.send(FrameKind.STDIN, b"after the end")
    assert channel.frame() == ChannelFrame(kind=FrameKind.STDOUT, data=b"early bird")
    assert channel.exit() == ExecChannelExit(exit_code=0)
    assert channel.bytes() == b""


def test_input_that_nobody_reads_is_lost_as_in_a_pipe(channel: Channel, tmp_path: Path) -> None:
    channel.request("sh", "-c", f"exec <&-; echo closed; while ! test -e {tmp_path}/sent; do :; done; exit 3")
    assert channel.frame().data == b"closed\n"
    for _ in range(20):
        channel.send(FrameKind.STDIN, bytes(1000))
    (tmp_path / "sent").touch()
    assert channel.exit() == ExecChannelExit(exit_code=3)


def test_a_second_request_is_refused(channel: Channel) -> None:
    channel.request("busybox", "sleep", "1000")
    channel.request("busybox", "true")
    with pytest.raises(CallFailed, match="no frame of kind 0 here"):
        channel.bytes()


@pytest.mark.parametrize("kind", [FrameKind.STDOUT, FrameKind.STDERR, FrameKind.EXIT])
def test_frames_of_the_server_are_refused(channel: Channel, kind: FrameKind) -> None:
    channel.request("busybox", "sleep", "1000")
    channel.send(kind, b"x")
    with pytest.raises(CallFailed, match=f"kind {kind.value}"):
        channel.bytes()


def test_a_size_for_what_has_no_terminal_means_nothing(channel: Channel) -> None:
    channel.request("busybox", "cat")
    channel.send(FrameKind.RESIZE, b'{"rows": 10, "columns": 20}')
    channel.send(FrameKind.STDIN)
    assert channel.exit() == ExecChannelExit(exit_code=0)


def test_end_of_input_on_a_terminal(channel: Channel) -> None:
    channel.request("busybox", "cat", terminal=True)
    channel.send(FrameKind.STDIN, b"typed\n")
    channel.send(FrameKind.STDIN)
    assert channel.exit() == ExecChannelExit(exit_code=0)


def test_the_last_words_on_a_terminal_are_heard(served: Served) -> None:
    for _ in range(10):
        channel = Channel(served)
        channel.request("sh", "-c", "echo first; echo last", terminal=True)
        seen = b""
        while (frame := channel.frame()).kind is FrameKind.STDOUT:
            seen += frame.data
        assert (seen, ExecChannelExit.parse(frame.data)) == (b"first\r\nlast\r\n", ExecChannelExit(exit_code=0))
        channel.client.close()


def test_nothing_runs_on_without_its_client(served: Served, channel: Channel) -> None:
    host, _ = served
    run = host.domain("one").run
    assert run is not None
    channel.request("busybox", "sleep", "1000")
    wait_until(lambda: len(list(run.executions.glob("*"))) == 1, what="a start")
    channel.client.close()
    wait_until(lambda: not list(run.executions.glob("*")), what="an end")


def test_a_client_that_asks_nothing(served: Served) -> None:
    channel = Channel(served)
    channel.send(FrameKind.STDIN, b"x")
    with pytest.raises(CallFailed, match="must be a request"):
        channel.bytes()
    channel.client.close()
    Channel(served).client.close()


def test_domains_that_are_not_there_or_not_running(served: Served) -> None:
    host, _ = served
    host.define("two")
    with pytest.raises(CallFailed, match="not running"):
        Channel(served, "two")
    with pytest.raises(NoSuchDomain):
        Channel(served, "three")
    with pytest.raises(CallFailed, match="no channel 'x'"):
        Channel(served, "one", "x")


def test_a_log_is_told_and_followed(served: Served) -> None:
    host, _ = served
    log = Channel(served, name=LOG_CHANNEL)
    log.stream.write(LogChannelRequest(follow=True).encode())
    assert log.bytes() == b"serving\n"
    host.driver.lifecycle.destroy(host.domain("one"), graceful=False)
    assert log.bytes() == b""
    log.client.close()


def test_log_readers_are_bounded(root_dir: Root) -> None:
    write_image(root_dir)
    with fake_virtocid(root_dir) as (host, server):
        host.define("one")
        config = host.services.config
        object.__setattr__(host.services, "config", replace(config, log=replace(config.log, max_readers=2)))
        logs = [Channel((host, server), name=LOG_CHANNEL) for _ in range(2)]
        with pytest.raises(CallFailed, match=r"2 clients .*log\.max_readers"):
            Channel((host, server), name=LOG_CHANNEL)
        logs[0].client.close()
        wait_until(lambda: _opens(host, server), what="room for another")
        logs[1].client.close()


def _opens(host: FakeHost, server: VirtocidServer) -> bool:
    try:
        Channel((host, server), name=LOG_CHANNEL).client.close()
    except CallFailed:
        return False
    return True


def test_a_stream_ends_once(channel: Channel) -> None:
    assert isinstance(channel.stream, ClientStream)
    channel.request("busybox", "true")
    assert channel.exit() == ExecChannelExit(exit_code=0)
    assert channel.bytes() == b""
    assert channel.stream.ended
    with pytest.raises(BadChannelRequest):
        ExecChannelRequest.parse(b"")
