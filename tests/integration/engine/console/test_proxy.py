# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Streams through the engine: what goes through, what holds them back, and every way in which they end."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from covirt.common.channels import ChannelFrame, ExecChannelExit, ExecChannelRequest, FrameKind
from covirt.engine.console import streams as module
from covirt.engine.console.request import FACTS
from covirt.engine.console.tickets import StreamTickets
from covirt.engine.hosts.errors import HostRefused, HostUncertain
from covirt.engine.model.access import ObjectType
from covirt.engine.model.hardware import VmKind
from covirt.engine.vms.kinds import STREAMS, Stream
from covirt.hostapi.errors import Code
from tests.integration.engine.console.conftest import Proxy
from tests.support.engine_changing import give
from tests.support.engine_samples import CONTAINER_ID, USER_ID, VM_ID
from tests.support.waiting import wait_until
from tests.support.websockets import exit_of

MIB = 1 << 20
# Of what waits in the kernel's buffers and in TLS's, on both connections; nothing of the engine's own grows.
MOST_WAITING = 24 * MIB


def frame(kind: FrameKind, data: bytes) -> bytes:
    return ChannelFrame(kind=kind, data=data).encode()


def test_a_command_is_asked_for_by_the_engine(proxy: Proxy) -> None:
    wanted: dict[str, Any] = {
        "command": ["sh", "-c", "secret words"],
        "terminal": True,
        "rows": 10,
        "columns": 20,
        "user": "www",
    }
    with proxy.open(kind="exec", **wanted) as client:
        guest = proxy.host.next()
        assert proxy.host.tickets[-1] == "of VM.openExec"
        guest.hear(b"}")
        assert guest.heard[:1] == b"\0"
        request = ExecChannelRequest.parse(guest.heard[5:])
        assert request.command == ("sh", "-c", "secret words")
        assert json.loads(request.encode()) == wanted
        client.type(b"typed")
        guest.hear(frame(FrameKind.STDIN, b"typed"))
        two = frame(FrameKind.STDOUT, b"a" * 100_000) + frame(FrameKind.STDERR, b"b")
        for piece in (two[:3], two[3:70_000], two[70_000:]):
            guest.say(piece)
        assert client.frame() == ChannelFrame(kind=FrameKind.STDOUT, data=b"a" * 100_000)
        assert client.frame() == ChannelFrame(kind=FrameKind.STDERR, data=b"b")
        guest.say(frame(FrameKind.EXIT, ExecChannelExit(exit_code=7).encode()))
        guest.close()
        frames = client.frames()
        assert exit_of(frames).exit_code == 7
        assert client.closed() == (1000, "it has ended")
    proxy.wait_none()
    assert not any("secret words" in event.description for event in proxy.told(15030))
    assert "the command sh of VM salad" in proxy.told(15030)[0].description
    assert proxy.told(15030)[0].address == "127.0.0.1"


def test_a_client_that_does_not_read_holds_its_guest_back(proxy: Proxy) -> None:
    with proxy.open(kind="console") as client:
        guest = proxy.host.next()
        said = guest.stuff()
        assert said < MOST_WAITING
        heard = 0
        while heard < said:
            heard += len(client.message())
        assert heard == said
        guest.say(b"and on")
        client.hear(b"and on")


def test_a_guest_that_does_not_read_holds_its_client_back(proxy: Proxy) -> None:
    with proxy.open(kind="console") as client:
        guest = proxy.host.next()
        assert client.overfill(4 * MOST_WAITING) < MOST_WAITING
    guest.wait_end()  # once all was read


def test_a_client_that_leaves_ends_its_stream(proxy: Proxy) -> None:
    with proxy.open(kind="console"):
        guest = proxy.host.next()
        assert proxy.streams.counts() == {"console": 1}
    guest.wait_end()
    proxy.wait_none()
    wait_until(lambda: "the client has left" in proxy.told(15031)[0].description, what="the event")


@pytest.mark.parametrize(
    ("kind", "said", "reason"),
    [
        ("exec", frame(FrameKind.REQUEST, b"{}"), "kind 1 (stdin) and 4 (resize) only"),
        ("exec", b"\xff" * 10, "a frame of 4294967295 bytes"),
        ("exec", "text", "must be binary"),
        ("log", b"x", "a log is only read"),
    ],
)
def test_what_a_client_may_not_say(proxy: Proxy, kind: str, said: bytes | str, reason: str) -> None:
    words: dict[str, Any] = {"command": ["id"]} if kind == "exec" else {}
    with proxy.open(kind=kind, **words) as client:
        guest = proxy.host.next()
        client.say(said)
        code, told = client.closed()
        assert code == 4400
        assert reason in told
        guest.wait_end()


def test_a_login_that_is_over(proxy: Proxy) -> None:
    with proxy.open(kind="console") as client:
        guest = proxy.host.next()
        wait_until(lambda: bool(proxy.told(15030)), what="the event")
        proxy.streams.check()
        guest.say(b"still here")
        client.hear(b"still here")
        proxy.logins.over.add("admin's")
        proxy.streams.check()
        code, reason = client.closed()
        assert code == 4401
        assert "The login is over" in reason
        guest.wait_end()
    waiting = proxy.ask(kind="console").json()["path"]
    with proxy.show(waiting) as client:
        assert client.closed()[0] == 4401


def test_a_login_that_is_over_ends_also_who_does_not_read(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.2)
    with proxy.open(kind="console"):
        guest = proxy.host.next()
        guest.stuff()
        proxy.logins.over.add("admin's")
        proxy.streams.check()
        guest.wait_end()
        proxy.wait_none()


@pytest.fixture
def manager(proxy: Proxy) -> Iterator[str]:
    """The cook's permission, for as long as it is there."""
    with proxy.store.read() as session:
        (role,) = [each for each in session.roles.list() if each.name == "UserVmManager"]
    made = give(proxy.store, USER_ID, role.id, ObjectType.VM, CONTAINER_ID)
    yield made
    with proxy.store.write() as session:
        if session.permissions.find(id=made) is not None:
            session.permissions.remove(made)


def test_a_machine_that_is_removed(proxy: Proxy) -> None:
    with proxy.open(kind="console") as client:
        guest = proxy.host.next()
        wait_until(lambda: bool(proxy.told(15030)), what="the event")
        with proxy.store.write() as session:
            session.vms.remove(CONTAINER_ID)
        proxy.streams.check()
        code, reason = client.closed()
        assert (code, reason) == (4409, f"There is no Vm {CONTAINER_ID}.")
        guest.wait_end()


def test_a_permission_that_is_taken_away(proxy: Proxy, manager: str) -> None:
    with proxy.open(who="user", kind="console") as client:
        guest = proxy.host.next()
        with proxy.store.write() as session:
            session.permissions.remove(manager)
        proxy.streams.check()
        code, reason = client.closed()
        assert code == 4403
        assert "connect_to_serial_console" in reason
        guest.wait_end()


def test_a_permission_is_needed(proxy: Proxy) -> None:
    refused = proxy.ask(CONTAINER_ID, who="user", kind="exec", command=["id"])
    assert refused.status_code == 404
    for kind, permit in (("console", "connect_to_serial_console"), ("vnc", "connect_to_vm")):
        refused = proxy.ask(VM_ID, who="user", kind=kind)
        assert refused.status_code == 403
        assert permit in refused.json()["detail"]


@pytest.mark.parametrize(("kind", "stream"), [(kind, stream) for kind in STREAMS for stream in Stream])
def test_the_table_of_streams(proxy: Proxy, kind: VmKind, stream: Stream) -> None:
    """Each line of docs/engine-vm-actions.md."""
    words: dict[str, Any] = {"command": ["id"]} if stream is Stream.EXEC else {}
    vm_id = VM_ID if kind is VmKind.VIRTUAL_MACHINE else CONTAINER_ID
    reason = STREAMS[kind][stream]
    answer = proxy.ask(vm_id, kind=str(stream), **words)
    assert answer.status_code == (409 if reason else 201), answer.text
    assert reason in answer.text
    if reason:
        return
    with proxy.show(answer.json()["path"]):
        proxy.host.next()
    assert proxy.host.tickets == [f"of {FACTS[stream].verb}"]


def test_a_host_that_refuses(proxy: Proxy) -> None:
    proxy.hosts.answers["VM.openConsole"] = HostRefused(
        host="oven", verb="VM.openConsole", code=Code.VM_IS_DOWN, text="Virtual machine is down"
    )
    with proxy.open(kind="console", force=True) as client:
        assert client.closed() == (4409, "Host oven has refused VM.openConsole: Virtual machine is down (code 6).")
    assert proxy.hosts.asked("VM.openConsole") == [{"vmID": CONTAINER_ID, "force": True}]
    proxy.wait_none()
    wait_until(lambda: bool(proxy.told(15032)), what="the event")
    assert "could not open the console of VM salad from '127.0.0.1'" in proxy.told(15032)[0].description


def test_hosts_that_cannot(proxy: Proxy) -> None:
    del proxy.hosts.answers["VM.openConsole"]
    with proxy.open(kind="console") as client:
        assert client.closed() == (
            4409,
            "Host oven cannot show the console: it is no covirt-host, or too old a one.",
        )
    proxy.hosts.answers["VM.openConsole"] = HostUncertain(host="oven", verb="VM.openConsole", reason="it is silent")
    with proxy.open(kind="console") as client:
        assert client.closed()[0] == 4503
    proxy.hosts.answers["VM.openConsole"] = {"ticket": "two\nlines"}
    with proxy.open(kind="console") as client:
        assert client.closed()[0] == 4503
    proxy.hosts.answers["VM.openConsole"] = {"ticket": "good"}
    proxy.host.answer = b"ERROR there is an active session\n"
    with proxy.open(kind="console") as client:
        assert client.closed() == (4503, "Host oven has not opened the stream: there is an active session.")


def test_a_ticket_is_one_stream_s(proxy: Proxy) -> None:
    path = proxy.ask(kind="console").json()["path"]
    with proxy.show(path) as client:
        proxy.host.next().close()
        client.closed()
    forged = StreamTickets().issue(proxy.tickets.take(proxy.ask(kind="log").json()["ticket"]))
    for wrong in (path, "/covirt/streams/x", f"/covirt/streams/{forged}", f"{path[:-2]}AA"):
        with pytest.raises(InvalidStatus) as refused:
            proxy.show(wrong)
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize("limit", ["MOST_STREAMS", "MOST_OF_ONE"])
def test_no_more_streams_than_there_may_be(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(module, limit, 1)
    with proxy.open(kind="console"):
        proxy.host.next()
        with proxy.open(kind="console") as client:
            assert client.closed() == (
                4503,
                "1 streams are open, 1 of them yours, and the engine has no more; close one first.",
            )
    proxy.wait_none()
    with proxy.open(kind="console"):
        proxy.host.next()


def test_streams_end_with_the_engine(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    with proxy.open(kind="console") as client, proxy.open(kind="console") as stuck:
        proxy.host.next()
        proxy.host.next()
        stuck.overfill(4 * MOST_WAITING)
        wait_until(lambda: len(proxy.told(15030)) == 2, what="the events")
        proxy.streams.stop()
        proxy.server.stop()
        assert client.closed() == (1012, "the engine stops")
    assert [event.description.rpartition(": ")[2] for event in proxy.told(15031)] == ["the engine stops."] * 2
    assert "graceful shutdown exceeded" not in caplog.text  # nobody was waited for in vain
