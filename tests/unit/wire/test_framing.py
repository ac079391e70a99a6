# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Frames: golden bytes, any cutting into pieces, and lengths nobody should believe."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.wire.errors import MalformedFrame, Unencodable
from covirt.wire.framing import (
    KEEPALIVE_PONG,
    KEEPALIVE_PROGRAM,
    MAX_FRAME_BYTES,
    MAX_PAYLOAD_BYTES,
    REMOTE_PROGRAM,
    Frame,
    FrameReader,
    FrameStatus,
    FrameType,
)

words = st.integers(0, 2**32 - 1)
signed = st.integers(-(2**31), 2**31 - 1)
frames = st.builds(
    Frame,
    program=words,
    version=words,
    procedure=signed,
    type=signed,
    serial=words,
    status=signed,
    payload=st.binary(max_size=100),
)


def test_reply_bytes() -> None:
    frame = Frame(
        program=REMOTE_PROGRAM,
        procedure=201,
        type=FrameType.STREAM,
        serial=7,
        status=FrameStatus.CONTINUE,
        payload=b"abc",
    )
    expected = "0000001f 20008086 00000001 000000c9 00000003 00000007 00000002 616263"
    assert frame.encode() == bytes.fromhex(expected.replace(" ", ""))


def test_pong_bytes() -> None:
    pong = Frame(program=KEEPALIVE_PROGRAM, procedure=KEEPALIVE_PONG, type=FrameType.MESSAGE)
    expected = "0000001c 6b656570 00000001 00000002 00000002 00000000 00000000"
    assert pong.encode() == bytes.fromhex(expected.replace(" ", ""))


@given(st.lists(frames, max_size=5), st.data())
def test_frames_survive_any_cutting(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(frame.encode() for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader = FrameReader()
    received: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += reader.feed(stream[start:end])
    assert received == sent
    assert reader.buffered_bytes == 0


@pytest.mark.parametrize("length", [0, 4, 27, MAX_FRAME_BYTES + 1, 2**32 - 1])
def test_impossible_length_is_refused_at_once(length: int) -> None:
    with pytest.raises(MalformedFrame, match=str(length)):
        list(FrameReader().feed(struct.pack(">I", length)))


def test_frames_before_the_broken_one_are_delivered() -> None:
    good = Frame(program=1, procedure=2, type=0)
    frames = FrameReader().feed(good.encode() + bytes(4))
    assert next(frames) == good
    with pytest.raises(MalformedFrame):
        next(frames)


def test_limit_may_be_raised_between_two_frames() -> None:
    small = Frame(program=1, procedure=2, type=0).encode()
    large = Frame(program=1, procedure=3, type=0, payload=bytes(100)).encode()
    reader = FrameReader(max_frame_bytes=28)
    received = []
    for frame in reader.feed(small + large):
        received.append(frame.procedure)
        reader.max_frame_bytes = 128
    assert received == [2, 3]


def test_largest_payload() -> None:
    assert len(Frame(program=1, procedure=2, type=1, payload=bytes(MAX_PAYLOAD_BYTES)).encode()) == MAX_FRAME_BYTES
    with pytest.raises(Unencodable):
        Frame(program=1, procedure=2, type=1, payload=bytes(MAX_PAYLOAD_BYTES + 1)).encode()


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    reader = FrameReader()
    try:
        for frame in reader.feed(data):
            assert len(frame.payload) <= len(data)
    except MalformedFrame:
        pass
