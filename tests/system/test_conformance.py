# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The running daemon answers every procedure as docs/conformance.md says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from covirt.wire import procedures as proc
from covirt.wire.codec import codec_of
from covirt.wire.constants import ErrorCode
from covirt.wire.framing import Frame, FrameStatus, FrameType
from covirt.wire.structs import RemoteError
from tests.support.virtocid import Virtocid
from tests.support.wire_client import WireClient
from tools.conformance.page import PAGE
from tools.conformance.table import PROGRAMS

_PROGRAM: Final = re.compile(r"^## .*\((0x[0-9a-f]{8})\)$")
_ROW: Final = re.compile(
    r"^\| (\d+) \| `(\w+)` \| (?:`(\w+)`)? \| (supported|sent|refused|not applicable)(?:: (.*))? \|$"
)
# Too short for any arguments, and enough for a procedure without: those run.
_NOT_ARGUMENTS: Final = b"\xff\xff\xff"
_REFUSED: Final = "this function is not supported by the connection driver: "


@dataclass(frozen=True, slots=True)
class Line:
    """What the page says of one procedure."""

    program: int
    number: int
    name: str
    function: str | None
    answer: str
    reason: str


def page_lines() -> Iterator[Line]:
    program = 0
    for text in PAGE.path.read_text().splitlines():
        if section := _PROGRAM.match(text):
            program = int(section[1], 16)
        elif row := _ROW.match(text):
            yield Line(program, int(row[1]), row[2], row[3], row[4], row[5] or "")


LINES: Final = tuple(page_lines())


@pytest.fixture(scope="module")
def answers(virtocid_daemon: Virtocid) -> dict[tuple[int, int], RemoteError | None]:
    """What the daemon says to each of them; None when it does not fail. The call that closes comes last."""
    ordered = sorted(LINES, key=lambda line: line.name == proc.CONNECT_CLOSE.name)
    found: dict[tuple[int, int], RemoteError | None] = {}
    with (
        virtocid_daemon.used_by_a_test() as virtocid,
        WireClient(virtocid.root.libvirt_dir / "virtocid-sock") as client,
    ):
        client.open()
        for serial, line in enumerate(ordered, 1000):
            client.send(
                Frame(
                    program=line.program,
                    procedure=line.number,
                    type=FrameType.CALL,
                    serial=serial,
                    payload=_NOT_ARGUMENTS,
                )
            )
            reply = client.reply(serial)
            failed = reply.status == FrameStatus.ERROR
            found[line.program, line.number] = codec_of(RemoteError).decode(reply.payload) if failed else None
    return found


def test_the_page_has_every_procedure() -> None:
    assert len(LINES) == len({(line.program, line.number) for line in LINES}) == 443 + 7 + 1
    assert {line.program for line in LINES} == set(PROGRAMS.values())


def test_supported_ones_are_answered(answers: dict[tuple[int, int], RemoteError | None]) -> None:
    """With what the arguments lack, or, for those that have none, at once."""
    for line in LINES:
        if line.answer != "supported":
            continue
        error = answers[line.program, line.number]
        assert error is None or error.code != ErrorCode.NO_SUPPORT, f"{line}: {error}"


def test_all_others_are_not_supported(answers: dict[tuple[int, int], RemoteError | None]) -> None:
    for line in LINES:
        if line.answer == "supported":
            continue
        error = answers[line.program, line.number]
        assert error is not None and error.code == ErrorCode.NO_SUPPORT, f"{line}: {error}"  # noqa: PT018
        assert (error.message or "").startswith(_REFUSED), line


def test_reasons_are_the_pages(answers: dict[tuple[int, int], RemoteError | None]) -> None:
    for line in LINES:
        if line.answer in ("refused", "not applicable") and line.function:
            error = answers[line.program, line.number]
            assert error is not None
            assert error.message == f"{_REFUSED}{line.function} ({line.reason})"
