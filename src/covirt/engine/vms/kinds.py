# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What can be done to a machine of each kind: data with reasons. docs/engine-vm-actions.md is made out of it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from covirt.engine.model.hardware import VmKind
from covirt.engine.vms.errors import NotForThisKind

KIND_NAMES: Final[Mapping[VmKind, str]] = MappingProxyType(
    {VmKind.VIRTUAL_MACHINE: "virtual machine", VmKind.CONTAINER: "container"}
)
_NO_MOVE: Final = "it cannot be moved to another host while it runs; shut it down and start it there"
_NO_STATE: Final = "its state cannot be kept while it is off; shut it down instead"
_NO_POOL: Final = "it belongs to no pool, for covirt has no pools"
_NO_DISPLAY: Final = "it has no display; its console shows what it prints"
_NO_INSIDE: Final = "nothing is run inside it from here; use its console, or log in over its network"
_NO_LOG: Final = "nobody keeps what it writes; its console shows it while it is open"
_NO_FREEZE: Final = "nothing in it freezes file systems; stop it, or stop what writes in it"

# Kinds that have no snapshots, with the reason.
NO_SNAPSHOTS: Final[Mapping[VmKind, str]] = MappingProxyType(
    {VmKind.CONTAINER: "its volumes are raw, and nothing of them is kept aside; copy its disks instead"}
)
_PREVIEWS: Final = ("commitsnapshot", "previewsnapshot", "undosnapshot")
# Action to the reasons why a kind has it not. One without a reason is done.
_BOTH: Final[Mapping[str, str]] = {
    "cancelmigration": _NO_MOVE,
    "clone": "",
    "detach": _NO_POOL,
    "maintenance": "the engine does not run in it",
    "migrate": _NO_MOVE,
    "reboot": "",
    "reset": "",
    "shutdown": "",
    "start": "",
    "stop": "",
}
ACTIONS: Final[Mapping[VmKind, Mapping[str, str]]] = MappingProxyType(
    {
        VmKind.VIRTUAL_MACHINE: MappingProxyType(
            {
                **_BOTH,
                **dict.fromkeys(_PREVIEWS, ""),
                "freezefilesystems": "",
                "suspend": "",
                "thawfilesystems": "",
                "ticket": "",
            }
        ),
        VmKind.CONTAINER: MappingProxyType(
            {
                **_BOTH,
                **dict.fromkeys(_PREVIEWS, NO_SNAPSHOTS[VmKind.CONTAINER]),
                "freezefilesystems": _NO_FREEZE,
                "suspend": _NO_STATE,
                "thawfilesystems": _NO_FREEZE,
                "ticket": _NO_DISPLAY,
            }
        ),
    }
)


class Stream(StrEnum):
    """What can be seen of a machine that runs."""

    VNC = "vnc"
    CONSOLE = "console"
    EXEC = "exec"
    LOG = "log"


# As ACTIONS.
STREAMS: Final[Mapping[VmKind, Mapping[Stream, str]]] = MappingProxyType(
    {
        VmKind.VIRTUAL_MACHINE: MappingProxyType(
            {Stream.VNC: "", Stream.CONSOLE: "", Stream.EXEC: _NO_INSIDE, Stream.LOG: _NO_LOG}
        ),
        VmKind.CONTAINER: MappingProxyType(
            {Stream.VNC: _NO_DISPLAY, Stream.CONSOLE: "", Stream.EXEC: "", Stream.LOG: ""}
        ),
    }
)
_STREAM_ACTIONS: Final[Mapping[Stream, str]] = MappingProxyType(
    {
        Stream.VNC: "open the display of",
        Stream.CONSOLE: "open the console of",
        Stream.EXEC: "run a command in",
        Stream.LOG: "read the log of",
    }
)


def done_actions(kind: VmKind) -> tuple[str, ...]:
    """What an object of the kind tells as its actions."""
    return tuple(sorted(action for action, reason in ACTIONS[kind].items() if not reason))


def require_action(action: str, kind: VmKind, *, name: str) -> None:
    """Raises NotForThisKind."""
    reason = ACTIONS[kind][action]
    if reason:
        raise NotForThisKind(action=action, name=name, kind=KIND_NAMES[kind], reason=reason)


def require_stream(stream: Stream, kind: VmKind, *, name: str) -> None:
    """Raises NotForThisKind."""
    reason = STREAMS[kind][stream]
    if reason:
        raise NotForThisKind(action=_STREAM_ACTIONS[stream], name=name, kind=KIND_NAMES[kind], reason=reason)
