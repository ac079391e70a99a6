# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Verbs that open streams of a Vm: covirt's extensions ``vm-streams`` and ``vm-display``."""

from typing import Final, TypedDict

from pydantic import Field

from covirt.hostapi.verb import Verb
from covirt.hostapi.vm import VmParams

_EXTENSION: Final = "vm-streams"
_DISPLAY: Final = "vm-display"


class OpenConsoleParams(VmParams):
    """``force``: end another client's console; a machine has only one at a time."""

    force: bool = Field(default=False)


class StreamTicket(TypedDict):
    """For one stream on the port of this call, within so many seconds; docs/streams.md says how."""

    ticket: str
    validSeconds: int  # on the wire


VERBS: Final = (
    Verb(name="VM.openConsole", summary="A ticket for the serial console of a machine, the terminal of a container.",
         params=OpenConsoleParams, result=StreamTicket, extension=_EXTENSION),
    Verb(name="VM.openDisplay", summary="A ticket for the display of a machine, which then asks for no password.",
         params=VmParams, result=StreamTicket, extension=_DISPLAY),
    Verb(name="VM.openExec", summary="A ticket for running a command inside a container.", params=VmParams,
         result=StreamTicket, extension=_EXTENSION),
    Verb(name="VM.openLog", summary="A ticket for reading what a container has written.", params=VmParams,
         result=StreamTicket, extension=_EXTENSION),
)  # fmt: skip
