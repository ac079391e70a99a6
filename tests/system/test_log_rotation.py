# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A log that grows too large is put aside by the daemon while the container goes on writing; no line is lost."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.process import PIPE, spawn
from tests.support.virtocid import SECONDS, Virtocid, serve_virtocid
from tests.support.waiting import wait_until

_LINES = 3000
_CONFIGURATION = "[log]\nmax_size_bytes = 20000\nkept = 100\ncheck_seconds = 1\n"


@pytest.fixture(scope="module")
def virtocid_daemon(busybox_layout: Path) -> Iterator[Virtocid]:
    with serve_virtocid(busybox_layout, configuration=_CONFIGURATION) as running:
        yield running


def test_no_line_is_lost(virtocid: Virtocid) -> None:
    script = (
        f"for n in $(seq {_LINES}); do echo line $n; test $((n % 500)) = 0 && sleep 1; done; echo written; sleep 1000"
    )
    virtocid.run("loud", ("/bin/sh", "-c", script))
    directory = virtocid.root.state_dir / "virtocid/domains" / virtocid.tell("domuuid", "loud")
    wait_until(lambda: "written" in everything(directory), timeout_seconds=60, what="the last line")
    numbers = [int(number) for number in re.findall(r"line (\d+)", everything(directory))]
    assert numbers == list(range(1, _LINES + 1))
    assert len(list(directory.glob("console.log.*"))) >= 2


def test_a_follower_loses_no_line(virtocid: Virtocid) -> None:
    script = f"for n in $(seq {_LINES}); do echo line $n; test $((n % 500)) = 0 && sleep 1; done; read end"
    virtocid.run("loud", ("/bin/sh", "-c", script), settings="<covirt:console terminal='no'/>")
    with spawn(virtocid.logs_argv("loud", "-f"), stdout=PIPE) as child:
        assert [child.stdout.readline() for _ in range(_LINES)] == [b"line %d\n" % n for n in range(1, _LINES + 1)]
        directory = virtocid.root.state_dir / "virtocid/domains" / virtocid.tell("domuuid", "loud")
        assert list(directory.glob("console.log.*"))
        virtocid.virsh("destroy", "loud")
        assert child.stdout.read() == b""
        assert child.wait(timeout_seconds=SECONDS) == 0


def everything(directory: Path) -> str:
    """What was written, from the logs put aside and the present one; read again when one was put aside meanwhile."""
    while True:
        names = sorted(directory.glob("console.log.*"), key=lambda file: -int(file.suffix[1:]))
        try:
            texts = [file.read_text() for file in [*names, directory / "console.log"]]
        except FileNotFoundError:
            continue
        if len(names) == len(list(directory.glob("console.log.*"))):
            records = [record for text in texts for record in text.split("\n")[:-1]]  # the last may be half written
            fields = [record.split(" ", 3) for record in records]  # time, stream, F(ull) or P(art of a line), text
            return "".join(text + ("\n" if kind == "F" else "") for _, _, kind, text in fields)
