# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Fuzz the guest agent: ``python -m tests.fuzz.agent --seconds 60``.

Commands are damaged, as JSON and as text, and asked of a fake container. Each must be answered with JSON that a
client can read, or refused with an error of ours. Anything else ends the run with a traceback.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from covirt.common.errors import Error
from covirt.oci.execution import ExecRequest, Execution
from covirt.oci.execution_errors import CommandNotFound
from covirt.oci.fake_inside import FakeInside
from covirt.virtocid.driver.agent.service import BLOCK, Agent
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import translate
from tests.support.fake_services import fake_host, write_image
from tests.support.roots import new_directory, new_root

_SEEDS: Final[tuple[dict[str, Any], ...]] = (
    {"execute": "guest-ping"},
    {"execute": "guest-sync", "arguments": {"id": 7}, "id": "x"},
    {"execute": "guest-info"},
    {"execute": "guest-get-osinfo"},
    {"execute": "guest-get-users"},
    {"execute": "guest-get-timezone"},
    {"execute": "guest-get-fsinfo"},
    {"execute": "guest-shutdown", "arguments": {"mode": "reboot"}},
    {"execute": "guest-exec", "arguments": {"path": "true", "arg": ["a"], "env": ["A=b"], "capture-output": True}},
    {"execute": "guest-exec-status", "arguments": {"pid": 7}},
    {"execute": "guest-file-open", "arguments": {"path": "/a", "mode": "w+"}},
    {"execute": "guest-file-read", "arguments": {"handle": 1000, "count": 10}},
    {"execute": "guest-file-write", "arguments": {"handle": 1000, "buf-b64": "AAAA", "count": 3}},
    {"execute": "guest-file-seek", "arguments": {"handle": 1000, "offset": 0, "whence": "set"}},
    {"execute": "guest-file-flush", "arguments": {"handle": 1000}},
    {"execute": "guest-file-close", "arguments": {"handle": 1000}},
)
_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2, 1000, 1 << 31, 1 << 63, -(1 << 70), 0.5, 1e300, "", "/", "/a", "a", "\0",
    "\ud800", "x" * 5000, "=", "AA=", "r", "rb+", [], ["a"], [1], {}, {"a": {}}, "guest-ping", "end", "/etc",
    "/../../etc/x",
)  # fmt: skip
_TEXTS: Final = (b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\\ud800", b"\xff", b"NaN", b"1e999", b"\0")


class _Power:
    """Nothing ends here."""

    def shutdown(self, domain: Domain) -> None: ...

    def reboot(self, domain: Domain) -> None: ...


def _start_nothing(_domain: Domain, request: ExecRequest) -> Execution:
    """A fake container's processes are the host's, and the programs asked for are anything."""
    raise CommandNotFound(command=request.arguments[0], message="nothing is there")


def one_input(agent: Agent, domain: Domain, data: bytes) -> None:
    try:
        answer = agent.command(domain, data.decode(errors="replace"), timeout=BLOCK)
    except Error as error:
        translate(error)
        return
    assert "return" in json.loads(answer)
    answer.encode("ascii")


def _damaged(source: random.Random, request: dict[str, Any]) -> dict[str, Any]:
    request = json.loads(json.dumps(request))
    arguments = request.setdefault("arguments", {})
    for _ in range(source.randint(0, 2)):
        place = source.choice((request, arguments))
        names = [*place, source.choice(("execute", "arguments", "id", "path", "handle", "odd"))]
        name = source.choice(names)
        if source.random() < 0.2:
            place.pop(name, None)
        else:
            place[name] = source.choice(_VALUES)
    return request


def _sample(source: random.Random) -> bytes:
    data = bytearray(json.dumps(_damaged(source, source.choice(_SEEDS))).encode())
    for _ in range(source.choice((0, 0, 0, 1, 2))):
        place = source.randrange(len(data) + 1)
        if source.random() < 0.5:
            data[place:place] = source.choice(_TEXTS)
        else:
            del data[place : place + source.randint(1, 9)]
    return bytes(data)


@contextmanager
def _fake_agent() -> Iterator[tuple[Agent, Domain]]:
    with new_root() as root, new_directory() as files:
        write_image(root)
        (files / "etc").mkdir()
        (files / "etc/os-release").write_text("ID=fake\n")
        with fake_host(root) as host:
            agent = Agent(host.services, _Power(), _start_nothing, FakeInside(files).start)
            try:
                yield agent, host.run()
            finally:
                agent.close()
                host.end_containers()


def run_random(*, seconds: float, seed: int) -> int:
    """Random damage for so long; the number of inputs tried."""
    source = random.Random(seed)  # noqa: S311 - nothing secret
    count = 0
    with _fake_agent() as (agent, domain):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            one_input(agent, domain, _sample(source))
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big") >> 1)
    arguments = parser.parse_args()
    count = run_random(seconds=arguments.seconds, seed=arguments.seed)
    print(f"agent: {count} inputs, nothing found, seed {arguments.seed}")  # noqa: T201


if __name__ == "__main__":
    main()
