# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""STOMP frames: golden bytes, any cutting into pieces, and what nobody may send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.rpc.errors import BadFrame, FrameTooLarge
from covirt.rpc.stomp import CLIENT_COMMANDS, SERVER_COMMANDS, Decoder, Frame, Limits

texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
plain = st.text(st.characters(exclude_characters="\0\r\n:\\", codec="utf-8"), max_size=20)
names = texts.filter(lambda name: name not in ("", "content-length"))
frames = st.builds(
    Frame,
    command=st.sampled_from([one for one in CLIENT_COMMANDS + SERVER_COMMANDS if not one.startswith("CONNECT")]),
    headers=st.dictionaries(names, texts, max_size=4),
    body=st.binary(max_size=100),
) | st.builds(
    Frame,
    command=st.sampled_from(("CONNECT", "CONNECTED")),
    headers=st.dictionaries(plain.filter(lambda name: name not in ("", "content-length")), plain, max_size=4),
)
SMALL = Limits(header_bytes=64, headers=3, body_bytes=100)


def decoded(data: bytes, limits: Limits | None = None) -> list[Frame | None]:
    return [None if frame is None else without_length(frame) for frame in Decoder(limits).feed(data)]


def without_length(frame: Frame) -> Frame:
    headers = {name: value for name, value in frame.headers.items() if name != "content-length"}
    return Frame(command=frame.command, headers=headers, body=frame.body)


def test_bytes_of_a_message() -> None:
    headers = {"destination": "jms.queue.events", "content-type": "application/json", "subscription": "a:b"}
    expected = (
        b"MESSAGE\ndestination:jms.queue.events\ncontent-type:application/json\nsubscription:a\\cb\n"
        b'content-length:9\n\n{"a":"b"}\0'
    )
    assert Frame(command="MESSAGE", headers=headers, body=b'{"a":"b"}').encode() == expected


def test_what_vdsm_s_own_client_says_first() -> None:
    said = (
        b"CONNECT\naccept-version:1.2\nheart-beat:0,24000\n\n\0"
        b"SUBSCRIBE\ndestination:jms.topic.answers\nack:auto\nid:1\n\n\0"
        b"SEND\ndestination:jms.topic.vdsm_requests\ncontent-type:application/json\nreply-to:jms.topic.answers\n"
        b"ovirtCorrelationId:flow\ncontent-length:4\n\n[{}]\0\n"
    )
    connect, subscribe, send, beat = decoded(said)
    assert connect == Frame(command="CONNECT", headers={"accept-version": "1.2", "heart-beat": "0,24000"})
    assert subscribe is not None
    assert subscribe.headers["id"] == "1"
    assert send is not None
    assert (send.body, send.headers["ovirtCorrelationId"]) == (b"[{}]", "flow")
    assert beat is None


def test_lines_may_end_in_two_bytes_and_a_body_without_a_length_ends_at_its_zero() -> None:
    assert decoded(b"\r\nSEND\r\na:1\r\na:2\r\n\r\nbody\0\n\n") == [
        None,
        Frame(command="SEND", headers={"a": "1"}, body=b"body"),
        None,
    ]
    assert decoded(b"SEND\na:1\n\r\n\nbody\0") == [Frame(command="SEND", headers={"a": "1"}, body=b"\nbody")]


def test_a_body_with_a_length_may_hold_zeros() -> None:
    assert decoded(b"SEND\ncontent-length:3\n\n\0\n\0\0") == [Frame(command="SEND", body=b"\0\n\0")]


@given(st.lists(frames, max_size=4), st.data())
def test_frames_survive_any_cutting(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(frame.encode() for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    decoder, received = Decoder(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += [frame for frame in decoder.feed(stream[start:end]) if frame is not None]
    assert [without_length(frame) for frame in received] == sent
    assert decoder.buffered_bytes == 0


@given(st.binary(max_size=300) | frames.flatmap(lambda frame: st.just(frame.encode()[:-2] + b"\xff\0")))
def test_garbage_is_refused_or_is_frames(data: bytes) -> None:
    try:
        found = decoded(data, SMALL)
    except BadFrame:
        return
    assert all(frame is None or frame.command for frame in found)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HELLO\n\n\0", "no command 'HELLO'"),
        (b"send\n\n\0", "no command 'send'"),
        (b"SEND\nnonsense\n\n\0", "'nonsense' is no header"),
        (b"SEND\n:value\n\n\0", "':value' is no header"),
        (b"SEND\na:\\t\n\n\0", "escapes nothing"),
        (b"SEND\na:\\", ""),
        (b"SEND\na:\xff\n\n\0", "not UTF-8"),
        (b"SEND\ncontent-length:-1\n\n\0", "content-length is '-1'"),
        (b"SEND\ncontent-length:1e3\n\n\0", "content-length is '1e3'"),
        (b"SEND\ncontent-length:\xc2\xb2\n\n\0", "content-length is"),
        (b"SEND\ncontent-length:1\n\nab\0", "no zero byte follows"),
    ],
)
def test_what_is_wrong_is_told(data: bytes, reason: str) -> None:
    if not reason:
        assert decoded(data) == []  # not whole yet
        return
    with pytest.raises(BadFrame, match=reason):
        decoded(data)


@pytest.mark.parametrize(
    "data",
    [
        b"SEND\na:" + b"x" * 100,  # refused before it ends
        b"SEND\na:" + b"x" * 100 + b"\n\n\0",
        b"SEND\na:1\nb:2\nc:3\nd:4\n\n\0",
        b"SEND\ncontent-length:101\n\n",  # refused before any of it comes
        b"SEND\ncontent-length:99999999999999999999\n\n",
        b"SEND\n\n" + b"x" * 101,
        b"SEND\n\n" + b"x" * 101 + b"\0",
    ],
)
def test_nothing_over_the_limits_is_kept(data: bytes) -> None:
    with pytest.raises(BadFrame):
        decoded(data, SMALL)


def test_a_frame_as_large_as_the_limits_is_taken() -> None:
    head = b"SEND\na:" + b"x" * 57
    assert len(head) == SMALL.header_bytes
    assert len(decoded(head + b"\n\n" + b"y" * 100 + b"\0", SMALL)) == 1
    with pytest.raises(FrameTooLarge):
        decoded(head + b"x\n\n\0", SMALL)
