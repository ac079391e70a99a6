# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The guest agent of a container, asked with the stock virsh."""

import base64
import json
from typing import Any, Final, Unpack

from tests.support.virtocid import Virtocid, XmlParts

_SERVE: Final = "trap 'exit 0' TERM; echo serving; while :; do sleep 1000 & wait; done"


def script(*lines: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", "; ".join([*lines, _SERVE]))


def ask(virtocid: Virtocid, name: str, command: str, **arguments: Any) -> Any:
    """What virsh qemu-agent-command prints."""
    request = {"execute": command, **({"arguments": arguments} if arguments else {})}
    answer = json.loads(virtocid.tell("qemu-agent-command", name, json.dumps(request)))
    assert answer.keys() == {"return"}
    return answer["return"]


def refusal(virtocid: Virtocid, name: str, command: str, **arguments: Any) -> str:
    request = json.dumps({"execute": command, "arguments": arguments})
    words = virtocid.refusal("qemu-agent-command", name, request)
    beginning = f"internal error: unable to execute QEMU agent command '{command}': "
    assert words.startswith(beginning)
    return words.removeprefix(beginning)


def serving(virtocid: Virtocid, name: str = "box", *lines: str, **parts: Unpack[XmlParts]) -> str:
    virtocid.run(name, script(*lines), **parts)
    virtocid.wait_for_output(name, "serving")
    return name


def write_file(virtocid: Virtocid, name: str, path: str, data: bytes) -> None:
    handle = ask(virtocid, name, "guest-file-open", path=path, mode="w")
    ask(virtocid, name, "guest-file-write", handle=handle, **{"buf-b64": base64.b64encode(data).decode()})
    ask(virtocid, name, "guest-file-close", handle=handle)


def read_file(virtocid: Virtocid, name: str, path: str, count: int = 4096) -> bytes:
    handle = ask(virtocid, name, "guest-file-open", path=path)
    answer = ask(virtocid, name, "guest-file-read", handle=handle, count=count)
    ask(virtocid, name, "guest-file-close", handle=handle)
    data = base64.b64decode(answer["buf-b64"])
    assert answer["count"] == len(data)
    return data
