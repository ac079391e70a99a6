# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Which stream of a machine somebody wants."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from covirt.common.channels import (
    BadChannelRequest,
    ChannelFrame,
    ExecChannelRequest,
    FrameKind,
    LogChannelRequest,
)
from covirt.engine.auth.permits import Right
from covirt.engine.console.errors import BadStreamRequest
from covirt.engine.vms.kinds import Stream
from covirt.rpc.jsonrpc import Json

_KINDS: Final = ", ".join(Stream)
_LONGEST_TOLD: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """``verb`` of the host gives the ticket; ``framed``: the bytes are frames of the channel's."""

    verb: str
    right: Right
    name: str
    framed: bool = False


# A console is a terminal of somebody who may be root, and so is a command: they need the same permit.
FACTS: Final[Mapping[Stream, StreamFacts]] = MappingProxyType(
    {
        Stream.VNC: StreamFacts(verb="VM.openDisplay", right=Right.CONNECT_TO_VM, name="the display"),
        Stream.CONSOLE: StreamFacts(verb="VM.openConsole", right=Right.CONNECT_TO_SERIAL_CONSOLE, name="the console"),
        Stream.EXEC: StreamFacts(
            verb="VM.openExec", right=Right.CONNECT_TO_SERIAL_CONSOLE, name="a command", framed=True
        ),
        Stream.LOG: StreamFacts(verb="VM.openLog", right=Right.CONNECT_TO_VM, name="the log", framed=True),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    """``params`` are the verb's; ``first`` is said to the host before anything of the client's, and may hold secrets,
    as a command's variables are. ``told`` is what events and the log call the stream."""

    stream: Stream
    told: str
    params: Mapping[str, Json] = field(default_factory=dict)
    first: bytes = field(default=b"", repr=False)

    @property
    def facts(self) -> StreamFacts:
        return FACTS[self.stream]


def parse_request(body: Mapping[str, Any]) -> StreamRequest:
    """``kind``, and what belongs to it as org.covirt.exec.0 and org.covirt.log.0 name it; of a console, ``force``.
    Raises BadStreamRequest, also for what is not known."""
    words = dict(body)
    kind = words.pop("kind", None)
    if not isinstance(kind, str) or kind not in tuple(Stream):
        raise BadStreamRequest(reason=f"kind must be one of {_KINDS}")
    try:
        return _PARSERS[Stream(kind)](words)
    except BadChannelRequest as error:
        raise BadStreamRequest(reason=error.fields["reason"]) from error


def _vnc(words: dict[str, Any]) -> StreamRequest:
    _refuse_others(words)
    return StreamRequest(stream=Stream.VNC, told="the display")


def _console(words: dict[str, Any]) -> StreamRequest:
    force = words.pop("force", False)
    if not isinstance(force, bool):
        raise BadStreamRequest(reason="force must be true or false")
    _refuse_others(words)
    return StreamRequest(stream=Stream.CONSOLE, told="the console", params={"force": force})


def _exec(words: dict[str, Any]) -> StreamRequest:
    request = ExecChannelRequest.parse(json.dumps(words).encode())
    first = ChannelFrame(kind=FrameKind.REQUEST, data=request.encode()).encode()
    # Its arguments may be secrets, its name is not.
    program = "".join(letter if letter.isprintable() else "?" for letter in request.command[0])[:_LONGEST_TOLD]
    return StreamRequest(stream=Stream.EXEC, told=f"the command {program}", first=first)


def _log(words: dict[str, Any]) -> StreamRequest:
    request = LogChannelRequest.parse(json.dumps(words).encode())
    return StreamRequest(stream=Stream.LOG, told="the log", first=request.encode())


def _refuse_others(words: Mapping[str, Any]) -> None:
    if words:
        raise BadStreamRequest(reason=f"there is no field {ascii(min(words))[:100]}")


_PARSERS: Final = {Stream.VNC: _vnc, Stream.CONSOLE: _console, Stream.EXEC: _exec, Stream.LOG: _log}
