# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events as stock clients hear them: each one, with the right detail, in order, to everybody."""

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import libvirt
import pytest

from covirt.common.process import DEVNULL, PIPE, Child, spawn
from tests.support.listener import listening
from tests.support.virtocid import SERVICE, STUBBORN, Virtocid, domain_xml

_STOP_CAUSE = "https://covirt.org/xmlns/stop-cause/1.0"


def test_a_whole_life_to_two_clients(virtocid: Virtocid) -> None:
    with listening(virtocid) as first, listening(virtocid, readonly=True) as second:
        virtocid.define("web")
        virtocid.virsh("start", "--paused", "web")
        number = virtocid.tell("domid", "web")
        for command in ("resume", "suspend", "resume"):
            virtocid.virsh(command, "web")
        virtocid.wait_for_output("web", "serving")
        virtocid.virsh("desc", "web", "--live", "--new-desc", "words")
        virtocid.virsh("metadata", "web", "urn:x", "--key", "k", "--set", "<a/>", "--live")
        virtocid.virsh("reboot", "web")
        expected = [
            "lifecycle web -1 0 0",  # defined, added
            f"lifecycle web {number} 2 0",  # started, booted
            f"lifecycle web {number} 3 0",  # suspended, paused
            f"lifecycle web {number} 4 0",  # resumed, unpaused
            f"lifecycle web {number} 3 0",
            f"lifecycle web {number} 4 0",
            "metadata web 0 None",
            "metadata web 2 urn:x",
            f"metadata web 2 {_STOP_CAUSE}",  # why the first run ended
            "reboot web",
        ]
        assert first.until("reboot web") == expected
        virtocid.virsh("destroy", "web")
        virtocid.virsh("define", write(virtocid, domain_xml("web").replace("<name>", uuid_of(virtocid, "web"))))
        virtocid.virsh("undefine", "web")
        more = [
            f"metadata web 2 {_STOP_CAUSE}",
            "lifecycle web -1 5 1",  # stopped, destroyed
            "lifecycle web -1 0 1",  # defined, updated
            "lifecycle web -1 1 0",  # undefined, removed
        ]
        assert first.until(more[-1]) == more
        assert second.until(more[-1]) == expected + more


def uuid_of(virtocid: Virtocid, name: str) -> str:
    return f"<uuid>{virtocid.tell('domuuid', name)}</uuid><name>"


def write(virtocid: Virtocid, text: str) -> str:
    path = virtocid.root.path / "again.xml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("command", "stop", "events"),
    [
        (SERVICE, "shutdown", ["lifecycle web -1 6 1", "lifecycle web -1 5 0"]),
        (SERVICE, "destroy", ["lifecycle web -1 5 1"]),
        (SERVICE, "destroy --graceful", ["lifecycle web -1 5 1"]),
        (STUBBORN, "destroy", ["lifecycle web -1 5 1"]),
        (SERVICE, "send-process-signal web 1 kill", ["lifecycle web -1 5 2"]),
        (SERVICE, "reset", ["reboot web"]),
    ],
)
def test_ends(virtocid: Virtocid, command: tuple[str, ...], stop: str, events: list[str]) -> None:
    virtocid.run("web", command)
    virtocid.wait_for_output("web", "serving")
    with listening(virtocid) as listener:
        words = stop.split()
        virtocid.virsh(*(words if "web" in words else [words[0], "web", *words[1:]]))
        heard = [line for line in listener.until(events[-1]) if not line.startswith("metadata")]
        assert heard == events


def test_transient_domain(virtocid: Virtocid) -> None:
    with listening(virtocid) as listener:
        virtocid.virsh("create", write(virtocid, domain_xml("once", ("/bin/true",))))
        heard = listener.until("lifecycle once -1 5 0")
        assert [line.rsplit(" ", 2)[1:] for line in heard if "lifecycle" in line] == [
            ["2", "0"],
            ["6", "1"],
            ["5", "0"],
        ]


def test_start_that_fails(virtocid: Virtocid) -> None:
    virtocid.define("web", ("/no/such/program",))
    with listening(virtocid) as listener:
        virtocid.refusal("start", "web")
        assert listener.until("lifecycle web -1 5 5")[-1] == "lifecycle web -1 5 5"


@contextmanager
def virsh_event(virtocid: Virtocid, *options: str, until_heard: Callable[[], object]) -> Iterator[Child]:
    """virsh event in a loop. It does not say when it listens, so ``until_heard`` is repeated until it shows that."""
    argv = ["virsh", "-c", virtocid.uri, "event", "--loop", *options]
    with spawn(argv, stdout=PIPE, stderr=DEVNULL) as child:
        while not select.select([child.stdout], [], [], 0.1)[0]:
            until_heard()
        yield child


def test_events_of_one_domain_only(virtocid: Virtocid) -> None:
    """libvirt registers at the server for that domain; events of others do not come over."""
    for name in ("one", "two"):
        virtocid.define(name)
    path = write(virtocid, virtocid.tell("dumpxml", "two"))
    options = ("--domain", "two", "--event", "lifecycle")
    with virsh_event(virtocid, *options, until_heard=lambda: virtocid.virsh("define", path)) as child:
        for name in ("one", "two"):
            virtocid.virsh("start", name)
        heard = read_until(child, "Started")
    assert set(heard.splitlines()) == {
        "event 'lifecycle' for domain 'two': Defined Updated",
        "event 'lifecycle' for domain 'two': Started Booted",
    }


def read_until(child: Child, text: str) -> str:
    heard = ""
    while text not in heard:
        more = os.read(child.stdout.fileno(), 65536).decode()
        assert more, f"virsh ended; it said {heard}"
        heard += more
    return heard


def test_virsh_event_all_loop(virtocid: Virtocid) -> None:
    virtocid.define("web")
    wake = lambda: virtocid.virsh("desc", "web", "--config", "--new-desc", "words")  # noqa: E731
    with virsh_event(virtocid, "--all", until_heard=wake) as child:
        virtocid.virsh("start", "web")
        virtocid.wait_for_output("web", "serving")
        virtocid.virsh("reboot", "web")
        heard = read_until(child, "event 'reboot' for domain 'web'")
        virtocid.virsh("destroy", "web")
        heard += read_until(child, "Stopped Destroyed")
    assert "event 'lifecycle' for domain 'web': Started Booted" in heard
    assert "event 'metadata-change' for domain 'web': type description, uri" in heard


def test_close_callback_when_the_daemon_is_killed(virtocid: Virtocid) -> None:
    with listening(virtocid) as listener:
        virtocid.kill()
        assert listener.line() == f"closed {libvirt.VIR_CONNECT_CLOSE_REASON_EOF}"


def test_events_go_on_after_a_restart(virtocid: Virtocid) -> None:
    virtocid.run("web")
    virtocid.restart()
    with listening(virtocid) as listener:
        virtocid.virsh("destroy", "web")
        assert listener.until("lifecycle web -1 5 1")
