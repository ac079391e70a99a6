# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A secret from a file to its container, through command line, engine, host and virtocid: and nowhere else.

All daemons log everything here, see conftest.
"""

import base64
import contextlib
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from covirt.common.process import run
from tests.support.waiting import wait_until
from tests.system.cli.conftest import PROGRAM, Terminal

pytestmark = [pytest.mark.qemu, pytest.mark.runc, pytest.mark.timeout(300)]

_VALUE: Final = "correct horse battery staple"
# As it is, as VM.create and virtocid have it in base64, and as a dump of bytes would.
_CLEAR: Final = (
    _VALUE.encode(),
    base64.b64encode(_VALUE.encode()),
    base64.b64encode(base64.b64encode(_VALUE.encode())),
    _VALUE.encode().hex().encode(),
)
# Below these the container has it, or virtocid keeps it for the container's restarts.
_OWN: Final = ("bundle/secrets", "bundle/config.json", "virtocid/secrets", "runtimes/crun")
# Its end by the signal of "restart me" has another exit code than that of a stop.
_KEEPER: Final = "trap 'exit 7' USR1; trap 'exit 0' TERM; while :; do sleep 0.1; done"
_LISTS: Final = ("vms", "events", "jobs", "hosts", "disks", "storagedomains", "templates")


def clear(data: bytes) -> bool:
    return any(word in data for word in _CLEAR)


def readable(top: Path) -> Iterator[tuple[Path, bytes]]:
    """Files of the installation, and what ps shows of all processes."""
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if name not in ("rootfs", "namespaces")]
        for name in files:
            path = Path(directory, name)
            with contextlib.suppress(OSError):
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path, path.read_bytes()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path, path.read_bytes()


def holding(terminal: Terminal) -> list[str]:
    return [str(path) for path, data in readable(terminal.machine.root.path) if clear(data)]


def carrying() -> list[Path]:
    """Processes with the value in their environment, by their namespaces of processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if clear(path.read_bytes()):
                found.append((path.parent / "ns/pid").readlink())
    return found


def virsh(terminal: Terminal, *words: str, readonly: bool = False) -> bytes:
    socket = "virtocid-sock-ro" if readonly else "virtocid-sock"
    uri = f"oci:///system?socket={terminal.machine.root.libvirt_dir / socket}"
    argv = ["virsh", "-q", *(["-r"] if readonly else []), "-c", uri, *words]
    return run(argv, timeout_seconds=30).stdout


def told_by_virsh(terminal: Terminal, *, readonly: bool) -> Iterator[bytes]:
    (vm_id,) = virsh(terminal, "list", "--uuid", readonly=readonly).split()
    yield virsh(terminal, "dumpxml", vm_id.decode(), readonly=readonly)
    yield virsh(terminal, "domstats", readonly=readonly)
    for uuid in kept(terminal):
        yield virsh(terminal, "secret-dumpxml", uuid, readonly=readonly)
        refused = run(
            ["virsh", "-c", f"oci:///system?socket={terminal.machine.root.run_dir.parent}/libvirt/virtocid-sock",
             "secret-get-value", uuid],
            timeout_seconds=30, check=False,
        )  # fmt: skip
        assert refused.status != 0
        assert b"private" in refused.stderr


def kept(terminal: Terminal) -> list[str]:
    """Secrets of virtocid's."""
    return [line.split()[0].decode() for line in virsh(terminal, "secret-list").splitlines()]


def told_by_the_engine(terminal: Terminal) -> Iterator[bytes]:
    """To its administrator, who sees everything."""
    with terminal.machine.connection() as connection:
        base = connection.url.removesuffix("/api")
        headers = {"Authorization": f"Bearer {connection.authenticate()}", "All-Content": "true"}
        words = ["curl", "--silent", "--fail", "--cacert", terminal.machine.status["ca_file"]]
        for name, value in headers.items():
            words += ["--header", f"{name}: {value}"]
        paths = [*(f"/api/{each}" for each in _LISTS), *(f"/api/jobs/{job}/steps" for job in jobs(terminal))]
        for path in paths:
            yield run([*words, f"{base}{path}"], timeout_seconds=30).stdout
        yield run([*words, f"{base.removesuffix('/ovirt-engine')}/covirt/secrets"], timeout_seconds=30).stdout


def jobs(terminal: Terminal) -> list[str]:
    return [job["id"] for job in terminal.data("job", "list")]


def require_given(terminal: Terminal, value: str = _VALUE) -> None:
    for path in ("/run/secrets/db-password", "/etc/db.key"):
        assert terminal.say("container", "exec", "keeper", "cat", path) == value
        assert terminal.say("container", "exec", "keeper", "stat", "-c", "%a %u %g", path) == "400 0 0\n"
    assert terminal.say("container", "exec", "keeper", "sh", "-c", 'printf %s "$DB_PASSWORD"') == value


def begun(terminal: Terminal) -> str:
    """When its first process was started, in the kernel's ticks; nothing while there is none."""
    done = run(
        [PROGRAM, "container", "exec", "keeper", "cat", "/proc/1/stat"],
        environment=terminal.environment, timeout_seconds=60, check=False,
    )  # fmt: skip
    return done.stdout.decode().split()[21] if done.status == 0 else ""


def end_by_itself(terminal: Terminal) -> None:
    before = begun(terminal)
    assert before
    terminal.say("container", "exec", "keeper", "sh", "-c", "kill -USR1 1")
    wait_until(lambda: begun(terminal) not in ("", before), timeout_seconds=60, what="its restart")


def kill_all_daemons(terminal: Terminal) -> None:
    """The engine, covirt-host and virtocid; each is started again by the supervisor."""
    machine, before = terminal.machine, begun(terminal)
    killed = machine.pids
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(machine.pids.values()) & set(killed.values()), what="the killed to be gone")
    wait_until(lambda: machine.status["ready"], timeout_seconds=60, what="all to run again")
    wait_until(lambda: begun(terminal) != "", timeout_seconds=60, what="the container to be reached")
    assert begun(terminal) == before, "what runs goes on"


def test_a_secret(terminal: Terminal) -> None:
    """One test, since its parts need each other and an installation is dear."""
    terminal.say("secret", "create", "db-password", "-", stdin=_VALUE.encode())
    words = ["--name", "keeper", "--net", "ovirtmgmt", "--volume", "/data:discard", "--no-tls-verify"]
    given = ["--secret", "db-password", "--secret", "db-password:DB_PASSWORD", "--secret", "db-password:/etc/db.key"]
    command = ["--restart", "on-failure", "--", "sh", "-c", _KEEPER]
    terminal.say("container", "run", terminal.reference, *words, *given, *command)
    require_given(terminal)
    _nobody_else_has_it(terminal)
    assert "is given to: keeper" in terminal.refused("secret", "remove", "db-password", status=5)

    end_by_itself(terminal)
    require_given(terminal)
    kill_all_daemons(terminal)
    require_given(terminal)
    end_by_itself(terminal)
    require_given(terminal)
    _nobody_else_has_it(terminal)

    terminal.say("secret", "set", "db-password", "-", stdin=b"another one")
    require_given(terminal)
    terminal.say("container", "stop", "keeper")
    wait_until(lambda: kept(terminal) == [], timeout_seconds=60, what="a container that is down to lose its secrets")
    assert holding(terminal) == []
    terminal.say("container", "start", "keeper")
    require_given(terminal, "another one")
    terminal.say("secret", "set", "db-password", "-", stdin=_VALUE.encode())
    before = begun(terminal)
    terminal.say("container", "restart", "keeper")
    wait_until(lambda: begun(terminal) not in ("", before), timeout_seconds=60, what="its restart")
    require_given(terminal, "another one")
    terminal.say("container", "stop", "keeper")
    terminal.say("container", "start", "keeper")
    require_given(terminal)

    terminal.say("container", "remove", "--force", "keeper")
    terminal.say("secret", "remove", "db-password")
    assert holding(terminal) == []
    assert carrying() == []
    assert kept(terminal) == []
    assert not any(clear(text) for text in told_by_the_engine(terminal))


def _nobody_else_has_it(terminal: Terminal) -> None:
    told = holding(terminal)
    assert told
    assert not [path for path in told if not any(own in path for own in _OWN)]
    for path in told:
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0, path
    assert len(set(carrying())) == 1, "processes of the container alone"
    assert Path("/proc/self/ns/pid").readlink() not in carrying()
    for readonly in (False, True):
        assert not any(clear(text) for text in told_by_virsh(terminal, readonly=readonly))
    assert not any(clear(text) for text in told_by_the_engine(terminal))
