# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A machine's console, a command inside, and a log, on this program's own terminal and streams."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from covirt.cli.errors import NoTerminal, StreamOver
from covirt.client.record import Record
from covirt.client.resources import Resources
from covirt.client.streams import ask_for_stream, open_stream
from covirt.common.channels import ChannelDecoder, ChannelFrame, ChannelSize, ExecChannelExit, FrameKind
from covirt.common.output import OutputGone, discard_output, write_all
from covirt.common.terminal import raw_terminal

_STDIN: Final = 0
_OUTPUTS: Final = {FrameKind.STDOUT: 1, FrameKind.STDERR: 2}
_READ_BYTES: Final = 1 << 16
_ESCAPE: Final = b"\x1d"  # Ctrl-], as with virsh and telnet
_ENDED: Final = 1000  # of a WebSocket: all was said
_COMPLAINT_BYTES: Final = 2000
_OWN_FAILURE: Final = 125  # of a command inside that could not be begun, as with podman and docker

_OnInput = Callable[[ClientConnection, bytes], Any]  # awaitable; empty bytes: the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """A command to run in a container; what is empty is as for the container's own process."""

    command: Sequence[str]
    interactive: bool = False
    terminal: bool = False
    user: str = ""
    workdir: str = ""
    environment: Sequence[str] = ()


def open_console(resources: Resources, vm: Record, *, force: bool) -> None:
    """Until Ctrl-], or the machine's end. Raises NoTerminal, StreamOver and what the engine refuses with."""
    if not sys.stdin.isatty():
        raise NoTerminal(what="a console")
    url = ask_for_stream(resources.api, vm.id, {"kind": "console", "force": force})
    sys.stderr.write(f"Connected to {vm.name}. Ctrl-] leaves.\r\n")
    with raw_terminal(_STDIN):
        asyncio.run(_show_console(resources, url))
    sys.stderr.write("\n")


def run_inside(resources: Resources, vm: Record, inside: Inside) -> int:
    """The status to end with: the command's. Raises NoTerminal, StreamOver and what the engine refuses with."""
    if inside.terminal and inside.interactive and not sys.stdin.isatty():
        raise NoTerminal(what="-t with -i")
    url = ask_for_stream(resources.api, vm.id, {"kind": "exec", **_exec_words(inside)})
    raw = inside.terminal and inside.interactive
    with raw_terminal(_STDIN) if raw else contextlib.nullcontext():
        end = asyncio.run(_run_inside(resources, url, inside))
    if end.error is not None:
        sys.stderr.write(f"covirt: {end.error}\n")
    return end.shell_status(otherwise=_OWN_FAILURE)


def show_log(resources: Resources, vm: Record, request: dict[str, Any]) -> None:
    """On standard output. Raises StreamOver and what the engine refuses with."""
    url = ask_for_stream(resources.api, vm.id, {"kind": "log", **request})
    asyncio.run(_run_inside(resources, url, Inside(command=())))


def _exec_words(inside: Inside) -> dict[str, Any]:
    from covirt.cli.machines import environment_pairs

    words: dict[str, Any] = {"command": list(inside.command), "terminal": inside.terminal}
    variables = environment_pairs(inside.environment)
    if inside.terminal:
        size = _size()
        words |= {"rows": size.rows, "columns": size.columns}
        if "TERM" in os.environ:
            variables.setdefault("TERM", os.environ["TERM"])
    if variables:
        words["environment"] = variables
    if inside.user:
        words["user"] = inside.user
    if inside.workdir:
        words["working_directory"] = inside.workdir
    return words


def _size() -> ChannelSize:
    try:
        present = os.get_terminal_size(_STDIN)
    except OSError:
        return ChannelSize()
    return ChannelSize(rows=max(1, present.lines), columns=max(1, present.columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command inside has ended, and the end of what it complained of."""

    status: int
    complaint: str


async def said_by(
    resources: Resources,
    vm: Record,
    command: Sequence[str],
    *,
    feed: Iterable[bytes] = (),
    take: Callable[[bytes], object] = lambda _data: None,
) -> Said:
    """Run it with ``feed`` as its input, and give ``take`` its output. Raises StreamOver."""
    url = ask_for_stream(resources.api, vm.id, {"kind": "exec", "command": list(command)})
    end, complaint = ExecChannelExit(), b""
    async with open_stream(resources.api, url) as socket:

        async def say() -> None:
            with contextlib.suppress(ConnectionClosed):
                for data in itertools.chain(feed, (b"",)):
                    await socket.send(ChannelFrame(kind=FrameKind.STDIN, data=data).encode())

        saying = asyncio.create_task(say())
        try:
            with _told_ends("the command"):
                async for frame in _frames(socket):
                    if frame.kind is FrameKind.STDOUT:
                        take(frame.data)
                    elif frame.kind is FrameKind.STDERR:
                        complaint = (complaint + frame.data)[-_COMPLAINT_BYTES:]
                    elif frame.kind is FrameKind.EXIT:
                        end = ExecChannelExit.parse(frame.data)
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)
    words = end.error or complaint.decode(errors="replace").strip()
    return Said(status=end.shell_status(otherwise=_OWN_FAILURE), complaint=words)


async def _frames(socket: ClientConnection) -> AsyncIterator[ChannelFrame]:
    decoder = ChannelDecoder()
    async for message in socket:
        for frame in decoder.feed(message if isinstance(message, bytes) else message.encode()):
            yield frame


async def _show_console(resources: Resources, url: str) -> None:
    async def typed(socket: ClientConnection, data: bytes) -> None:
        before, escape, _ = data.partition(_ESCAPE)
        if before:
            await socket.send(before)
        if escape or not data:
            await socket.close()

    async with open_stream(resources.api, url) as socket, _input_to(socket, typed):
        with _told_ends("the console"):
            async for message in socket:
                write_all(1, message if isinstance(message, bytes) else message.encode())


async def _run_inside(resources: Resources, url: str, inside: Inside) -> ExecChannelExit:
    async def typed(socket: ClientConnection, data: bytes) -> None:
        await socket.send(ChannelFrame(kind=FrameKind.STDIN, data=data).encode())

    end = ExecChannelExit()
    async with open_stream(resources.api, url) as socket, contextlib.AsyncExitStack() as stack:
        if inside.interactive:
            await stack.enter_async_context(_input_to(socket, typed))
        elif inside.command and not inside.terminal:
            await typed(socket, b"")
        if inside.terminal:
            stack.enter_context(_resizes(socket))
        with _told_ends("the stream"):
            async for frame in _frames(socket):
                if frame.kind in _OUTPUTS:
                    write_all(_OUTPUTS[frame.kind], frame.data)
                elif frame.kind is FrameKind.EXIT:
                    end = ExecChannelExit.parse(frame.data)
    return end


@contextlib.contextmanager
def _told_ends(what: str) -> Any:
    """Raises StreamOver for an end that is not the machine's, with the engine's reason."""
    try:
        yield
    except ConnectionClosed as error:
        if error.rcvd is None or error.rcvd.code != _ENDED:
            reason = error.rcvd.reason if error.rcvd else "the connection was lost"
            raise StreamOver(what=what, reason=reason) from error
    except OutputGone:
        discard_output()
        raise BrokenPipeError from None


@contextlib.asynccontextmanager
async def _input_to(socket: ClientConnection, typed: _OnInput) -> Any:
    """Standard input, read by a thread that nobody waits for: a read of a terminal cannot be called off."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=4)

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            while True:
                data = _read_input()
                asyncio.run_coroutine_threadsafe(queue.put(data), loop).result()
                if not data:
                    return

    async def pass_on() -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                data = await queue.get()
                await typed(socket, data)
                if not data:
                    return

    threading.Thread(target=read, name="stdin", daemon=True).start()
    task = asyncio.create_task(pass_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _read_input() -> bytes:
    try:
        return os.read(_STDIN, _READ_BYTES)
    except OSError:  # the terminal is gone
        return b""


@contextlib.contextmanager
def _resizes(socket: ClientConnection) -> Any:
    """Tell the command when this terminal changes its size."""
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def changed() -> None:
        frame = ChannelFrame(kind=FrameKind.RESIZE, data=_size().encode()).encode()
        task = loop.create_task(socket.send(frame))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGWINCH, changed)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
