# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is spoken on the channels: whole, in pieces, and wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.common.channels import (
    MAX_CHANNEL_FRAME_BYTES,
    BadChannelFrame,
    BadChannelRequest,
    ChannelDecoder,
    ChannelFrame,
    ChannelSize,
    ExecChannelExit,
    ExecChannelRequest,
    FrameKind,
    LogChannelRequest,
    encode_data,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
sizes = st.builds(ChannelSize, rows=st.integers(1, 65535), columns=st.integers(1, 65535))
frames = st.builds(ChannelFrame, kind=st.sampled_from(FrameKind), data=st.binary(max_size=100))


def test_the_format_is_the_documented_one() -> None:
    assert ChannelFrame(kind=FrameKind.STDERR, data=b"abc").encode() == b"\x03\x00\x00\x00\x03abc"
    assert [kind.value for kind in FrameKind] == [0, 1, 2, 3, 4, 5]


@given(st.lists(frames, max_size=6), st.data())
def test_frames_come_out_however_they_are_cut(sent: list[ChannelFrame], data: st.DataObject) -> None:
    stream = b"".join(frame.encode() for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder, received = ChannelDecoder(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += list(decoder.feed(stream[start:end]))
    assert received == sent
    assert decoder.at_boundary


@given(st.binary(max_size=300))
def test_nonsense_is_refused_and_nothing_else(data: bytes) -> None:
    decoder = ChannelDecoder()
    try:
        received = list(decoder.feed(data))
    except BadChannelFrame:
        return
    assert b"".join(frame.encode() for frame in received) == data[: len(data) - len(decoder._buffer)]


@pytest.mark.parametrize(
    ("head", "words"),
    [(b"\x06\0\0\0\0", "kind 6"), (b"\x01\x00\x10\x00\x01", "1048577"), (b"\x01\xff\xff\xff\xff", "bytes")],
)
def test_an_impossible_head_is_refused_at_once(head: bytes, words: str) -> None:
    with pytest.raises(BadChannelFrame, match=words):
        list(ChannelDecoder().feed(head))


def test_much_data_is_several_frames() -> None:
    data = bytes(MAX_CHANNEL_FRAME_BYTES + 5)
    lengths = [len(frame.data) for frame in ChannelDecoder().feed(encode_data(FrameKind.STDOUT, data))]
    assert lengths == [MAX_CHANNEL_FRAME_BYTES, 5]
    with pytest.raises(BadChannelFrame):
        ChannelFrame(kind=FrameKind.STDIN, data=data).encode()


@given(
    st.builds(
        ExecChannelRequest,
        command=st.lists(texts, min_size=1, max_size=4).map(tuple),
        terminal=st.booleans(),
        user=st.none() | texts,
        working_directory=st.none() | texts,
        environment=st.dictionaries(texts, texts, max_size=3),
        size=st.none() | sizes,
    )
)
def test_exec_request_round_trip(request: ExecChannelRequest) -> None:
    assert ExecChannelRequest.parse(request.encode()) == request


@given(
    st.builds(
        LogChannelRequest,
        since=st.none() | texts,
        tail=st.none() | st.integers(0, 2**31 - 1),
        follow=st.booleans(),
        timestamps=st.booleans(),
    )
)
def test_log_request_round_trip(request: LogChannelRequest) -> None:
    encoded = request.encode()
    assert encoded.index(b"\n") == len(encoded) - 1
    assert LogChannelRequest.parse(encoded) == request


@given(
    st.builds(
        ExecChannelExit,
        exit_code=st.none() | st.integers(0, 255),
        signal=st.none() | st.integers(1, 127),
        error=st.none() | texts,
    )
)
def test_exit_round_trip(end: ExecChannelExit) -> None:
    assert ExecChannelExit.parse(end.encode()) == end


def test_size_round_trip() -> None:
    assert ChannelSize.parse(ChannelSize(rows=3, columns=4).encode()) == ChannelSize(rows=3, columns=4)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "command must be a list"),
        (b'{"command": []}', "not empty"),
        (b'{"command": "ls"}', "list of texts"),
        (b'{"command": ["ls", 1]}', "must be text"),
        (b'{"command": ["\\ud800"]}', "half a character"),
        (b'{"command": ["ls"], "terminal": 1}', "true or false"),
        (b'{"command": ["ls"], "user": null}', "must be text"),
        (b'{"command": ["ls"], "environment": ["A=B"]}', "object whose values"),
        (b'{"command": ["ls"], "environment": {"A": 1}}', "must be text"),
        (b'{"command": ["ls"], "rows": 3}', "go together"),
        (b'{"command": ["ls"], "rows": 0, "columns": 1}', "from 1 to 65535"),
        (b'{"command": ["ls"], "rows": true, "columns": 1}', "from 1 to 65535"),
        (b'{"command": ["ls"], "privileged": true}', "no field 'privileged'"),
    ],
)
def test_wrong_requests(data: bytes, words: str) -> None:
    with pytest.raises(BadChannelRequest, match=words):
        ExecChannelRequest.parse(data)


def test_a_newer_server_may_say_more_of_an_exit() -> None:
    assert ExecChannelExit.parse(b'{"exit_code": 3, "core": true}') == ExecChannelExit(exit_code=3)
