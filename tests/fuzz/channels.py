# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Fuzz what clients send on channels: ``python -m tests.fuzz.channels --seconds 60``.

Anything but the two errors that the parsers promise is a finding, and ends the run with a traceback.
"""

import argparse
import random
import sys
import time
from typing import Final

from covirt.common.channels import (
    BadChannelFrame,
    BadChannelRequest,
    ChannelDecoder,
    ChannelFrame,
    ChannelSize,
    ExecChannelExit,
    ExecChannelRequest,
    FrameKind,
    LogChannelRequest,
)

_PARSERS: Final = (ExecChannelRequest, LogChannelRequest, ChannelSize, ExecChannelExit)
_REQUEST: Final = ExecChannelRequest(
    command=("sh", "-c", "x"), terminal=True, user="a:b", environment={"A": "B"}, size=ChannelSize()
)
_SEEDS: Final = (
    _REQUEST.encode(),
    LogChannelRequest(since="10m", tail=3, follow=True, timestamps=True).encode(),
    ChannelFrame(kind=FrameKind.REQUEST, data=_REQUEST.encode()).encode()
    + ChannelFrame(kind=FrameKind.RESIZE, data=ChannelSize().encode()).encode(),
)


def one_input(data: bytes) -> None:
    """Parse one input in every way; what is accepted must come out the same when it is written and read again."""
    for parser in _PARSERS:
        try:
            value = parser.parse(data)
        except BadChannelRequest:
            continue
        assert parser.parse(value.encode()) == value, value
    try:
        frames = list(ChannelDecoder().feed(data))
    except BadChannelFrame:
        return
    assert b"".join(frame.encode() for frame in frames) == data[: sum(len(frame.encode()) for frame in frames)]


def run_random(*, seconds: float, seed: int) -> int:
    """Damage good inputs for so long; the number of inputs tried."""
    source = random.Random(seed)  # noqa: S311 - nothing secret
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        data = bytearray(source.choice(_SEEDS))
        for _ in range(source.randint(1, 6)):
            place = source.randrange(len(data) + 1)
            if source.random() < 0.5:
                data[place:place] = source.choice((b"\0", b"\xff", b'"', b"{", b"[", b"1e999", b"\\ud800", b"null"))
            else:
                del data[place : place + source.choice((1, 2, 8))]
        one_input(bytes(data))
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    count = run_random(seconds=arguments.seconds, seed=arguments.seed)
    sys.stdout.write(f"{count} inputs\n")


if __name__ == "__main__":
    main()
