# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virtocid-logs, and the channel below it with a stock client."""

import libvirt
import pytest

from covirt.common.process import PIPE, spawn
from tests.support.virtocid import SECONDS, Virtocid

_PLAIN = "<covirt:console terminal='no'/>"
_COUNT = ("/bin/sh", "-c", "trap 'exit 0' TERM; i=0; while [ $i -lt 5 ]; do i=$((i+1)); echo line $i; done; read x")


def test_lines_of_a_running_and_a_stopped_domain(virtocid: Virtocid) -> None:
    virtocid.run("box", _COUNT, settings=_PLAIN)
    virtocid.wait_for_output("box", "line 5")
    everything = b"".join(b"line %d\n" % number for number in range(1, 6))
    assert virtocid.logs("box").stdout == everything
    assert virtocid.logs("box", "--tail", "2").stdout == b"line 4\nline 5\n"
    assert virtocid.logs("box", "-n", "0").stdout == b""
    assert virtocid.logs("box", "--since", "1h").stdout == everything
    assert virtocid.logs("box", "--since", "2100-01-01T00:00:00Z").stdout == b""
    stamped = virtocid.logs("box", "-t", "-n", "1").stdout.decode()
    time, _, text = stamped.partition(" ")
    assert (text, virtocid.logs("box", "--since", time).stdout[-7:]) == ("line 5\n", b"line 5\n")
    virtocid.virsh("destroy", "box")
    assert virtocid.logs("box").stdout == everything
    assert virtocid.logs("box", "-f").stdout == everything  # nothing more can come


def test_mistakes(virtocid: Virtocid) -> None:
    virtocid.define("box")
    assert (virtocid.logs("box").stdout, virtocid.logs("box").status) == (b"", 0)
    for options, text in (
        (("--since", "soon"), "'soon' is no time"),
        (("--tail", "-1"), "neither a number"),
        (("--tail", "many"), "neither a number"),
    ):
        done = virtocid.logs("box", *options)
        assert done.status == 125
        assert text in done.stderr.decode()
        assert done.stderr.count(b"\n") == 1
    assert b"there is no domain 'nobody'" in virtocid.logs("nobody").stderr


def test_following_ends_with_the_container(virtocid: Virtocid) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 1000 & wait; done"
    virtocid.run("box", ("/bin/sh", "-c", script), settings=_PLAIN)
    with spawn(virtocid.logs_argv("box", "-f"), stdout=PIPE) as child:
        assert child.stdout.readline() == b"hello\n"
        virtocid.virsh("shutdown", "box")
        assert child.stdout.read() == b"bye\n"
        assert child.wait(timeout_seconds=SECONDS) == 0


def test_a_follower_without_a_reader(virtocid: Virtocid) -> None:
    """Its container goes on, and so does the daemon."""
    virtocid.run("loud", ("/bin/yes", "0123456789" * 20), settings=_PLAIN)
    with spawn(virtocid.logs_argv("loud", "-f"), stdout=PIPE) as child:
        assert child.stdout.read(1 << 20)
        assert virtocid.state("loud") == "running (booted)"
        child.stdout.close()
        assert child.wait(timeout_seconds=SECONDS) == 141


def test_stock_client(virtocid: Virtocid) -> None:
    virtocid.run("box", _COUNT, settings=_PLAIN)
    virtocid.wait_for_output("box", "line 5")
    with virtocid.connect() as connection:
        stream = connection.newStream()
        connection.lookupByName("box").openChannel("org.covirt.log.0", stream)
        stream.send(b'{"tail": 1}')
        stream.send(b"\n")
        seen = b""
        while data := stream.recv(1000):
            seen += data
        assert seen == b"line 5\n"
        stream.finish()
        wrong = ((b"[]\n", "no JSON object"), (b'{"head": 1}\n', "no field 'head'"), (b"x" * 70_000, "bytes"))
        for request, words in wrong:
            stream = connection.newStream()
            connection.lookupByName("box").openChannel("org.covirt.log.0", stream)
            stream.send(request)
            with pytest.raises(libvirt.libvirtError, match=words):
                stream.recv(1000)
