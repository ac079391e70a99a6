# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Display, console, commands and logs of real guests through a real engine, by WebSocket clients."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from ovirtsdk4 import types
from websockets.exceptions import InvalidStatus

from covirt.common.channels import FrameKind
from tests.support.covirt_engine import Answer, CovirtEngine, serve_covirt_engine
from tests.support.enrolled_host import WATCHFUL, ask, serve_enrolled_host
from tests.support.guest import TinyGuest
from tests.support.libvirtd import Libvirtd
from tests.support.roots import new_root
from tests.support.virtocid import IMAGE, Virtocid
from tests.support.waiting import wait_until
from tests.support.websockets import StreamSocket, exit_of, said

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

PORT: Final = 54393
MIB: Final = 1 << 20
SHELL: Final = r'["sh", "-c", "echo hello\u003b echo world\u003b exec sh -i"]'
SECRET: Final = "s3cret-of-a-command"  # noqa: S105 - the test's own


class Kitchen:
    """An engine with a host, a machine and a container, both of which run."""

    def __init__(self, engine: CovirtEngine) -> None:
        self.engine = engine
        self.tls = ssl.create_default_context(cafile=str(engine.ca_file))
        self.ids: dict[str, str] = {}
        self.running: set[str] = set()

    def ask(self, name: str, token: str = "", **request: Any) -> Answer:
        """For a ticket."""
        return ask(self.engine, "POST", f"vms/{self.ids[name]}/streams", request, token=token)

    def open(self, name: str, token: str = "", **request: Any) -> StreamSocket:
        answer = self.ask(name, token, **request)
        assert answer.status == 201, answer
        assert answer.json["valid_seconds"] == 60
        return self.show(answer.json["path"])

    def show(self, path: str, **words: Any) -> StreamSocket:
        return StreamSocket(f"wss://localhost:{self.engine.port}{path}", self.tls, **words)

    @contextmanager
    def vms(self) -> Iterator[Any]:
        with self.engine.connection() as connection:
            yield connection.system_service().vms_service()

    def add(self, name: str, **fields: Any) -> None:
        memory = 96 * MIB
        with self.vms() as service:
            vm = types.Vm(
                name=name,
                cluster=types.Cluster(name="Default"),
                template=types.Template(name="Blank"),
                memory=memory,
                memory_policy=types.MemoryPolicy(guaranteed=memory),
                **fields,
            )
            self.ids[name] = service.add(vm).id

    def start(self, name: str) -> None:
        running = (types.VmStatus.UP, types.VmStatus.POWERING_UP)
        with self.vms() as service:
            vm = service.vm_service(self.ids[name])
            vm.start()
            wait_until(lambda: vm.get().status in running, what=f"{name} to run")
        self.running.add(name)

    def stop(self, name: str) -> None:
        with self.vms() as service:
            service.vm_service(self.ids[name]).stop()

    def events(self) -> list[Any]:
        with self.engine.connection() as connection:
            return list(connection.system_service().events_service().list(max=20))


@pytest.fixture(scope="module")
def kitchen(libvirtd: Libvirtd, virtocid_daemon: Virtocid, tiny_guest: TinyGuest) -> Iterator[Kitchen]:
    configuration = (
        f'[virt]\nqemu_uri = "{libvirtd.uri}"\noci_uri = "{virtocid_daemon.uri}"\nsample_seconds = 1\n'
        'host_files = ["/"]\n[containers]\nenabled = true\n'
    )
    with new_root() as root, serve_covirt_engine(root, extra=WATCHFUL) as engine:
        kitchen = Kitchen(engine)
        with engine.connection() as connection:
            _enable_containers(connection.system_service())
        with serve_enrolled_host(engine, port=PORT, configuration=configuration):
            kernel, initrd = str(tiny_guest.kernel), str(tiny_guest.initramfs)
            words = "console=ttyS0 quiet panic=-1 guest.name=web"
            kitchen.add("web", os=types.OperatingSystem(kernel=kernel, initrd=initrd, cmdline=words))
            values = {"containerType": "docker", "containerImage": IMAGE, "containerCommand": SHELL}
            kitchen.add("shop", custom_properties=[types.CustomProperty(name=k, value=v) for k, v in values.items()])
            for name in kitchen.ids:
                kitchen.start(name)
            yield kitchen
            for name in kitchen.running:
                kitchen.stop(name)


def _enable_containers(system: Any) -> None:
    levels = system.cluster_levels_service().level_service("4.8")
    (feature,) = [each for each in levels.cluster_features_service().list() if each.name == "containers"]
    clusters = system.clusters_service()
    (cluster,) = clusters.list(search="name=Default")
    clusters.cluster_service(cluster.id).enabled_features_service().add(types.ClusterFeature(id=feature.id))


def test_a_command_inside_a_container(kitchen: Kitchen) -> None:
    script = "read word; echo got $word $SECRET; echo wrong >&2; exit 3"
    environment = {"SECRET": SECRET}
    with kitchen.open("shop", kind="exec", command=["sh", "-c", script], environment=environment) as client:
        client.type(b"this\n")
        client.type(b"")
        frames = client.frames()
        assert client.closed()[0] == 1000
    assert said(frames, FrameKind.STDOUT) == f"got this {SECRET}\n".encode()
    assert said(frames, FrameKind.STDERR) == b"wrong\n"
    assert exit_of(frames).exit_code == 3
    assert SECRET not in kitchen.engine.log
    told = {event.code: event for event in kitchen.events()}
    assert "opened the command sh of VM shop from '127.0.0.1'" in told[15030].description
    assert re.search(r"admin@internal-authz has left the command sh of VM shop after \d+ s", told[15031].description)
    assert told[15030].user.id


def test_a_ticket_opens_once(kitchen: Kitchen) -> None:
    answer = kitchen.ask("shop", kind="log")
    path = answer.json["path"]
    with kitchen.show(path) as client:
        assert said(client.frames(), FrameKind.STDOUT).startswith(b"hello\r\nworld\r\n")
    with pytest.raises(InvalidStatus) as refused:
        kitchen.show(path)
    assert refused.value.response.status_code == 403
    unused = kitchen.ask("shop", kind="log").json["path"]
    assert kitchen.engine.curl(unused).status == 404
    tickets = [each.rpartition("/")[2] for each in (path, unused)]
    assert not any(ticket in kitchen.engine.log for ticket in tickets)


def test_a_container_s_terminal(kitchen: Kitchen) -> None:
    with kitchen.open("shop", kind="console") as client:
        client.say("echo $((6*7))\n")  # as a browser's terminal sends what is typed
        client.hear(b"42")
        client.say(b"echo $((6*8))\n")
        client.hear(b"48")


def test_a_machine_s_console(kitchen: Kitchen) -> None:
    with kitchen.open("web", kind="console") as first:
        with kitchen.open("web", kind="console") as second:
            code, reason = second.closed()
            assert code == 4503
            assert "Active console session exists" in reason
        with kitchen.open("web", kind="console", force=True) as third:
            assert first.closed() == (1000, "it has ended")
            third.say(b"\n")


def _shake_hands(client: StreamSocket) -> None:
    """As VNC's client does, to the display's name."""
    client.hear(b"RFB 003.008\n")
    client.say(b"RFB 003.008\n")
    client.heard = b""
    client.hear(b"\1\1")  # no password
    client.say(b"\1")
    client.hear(b"\0\0\0\0")
    client.say(b"\1")
    client.hear(b"QEMU (web)")


def test_a_machine_s_display(kitchen: Kitchen) -> None:
    with kitchen.vms() as service:
        consoles = service.vm_service(kitchen.ids["web"]).graphics_consoles_service()
        wait_until(lambda: bool(consoles.list(current=True)), what="a display")
        (console,) = consoles.list()
        ticket = consoles.console_service(console.id).proxy_ticket().value
        with kitchen.show(f"/covirt/streams/{ticket}", subprotocol="binary") as client:
            assert client.subprotocol == "binary"
            _shake_hands(client)
        ticket = consoles.console_service(console.id).proxy_ticket().value
    with kitchen.show(f"/covirt/streams/{ticket}") as client:  # the SDK has logged out
        assert client.closed()[0] == 4401
    with kitchen.open("web", kind="vnc") as client:
        _shake_hands(client)


@pytest.mark.parametrize(
    ("name", "wanted", "status", "reason"),
    [
        ("shop", {"kind": "vnc"}, 409, "shop is a container: it has no display"),
        ("web", {"kind": "exec", "command": ["id"]}, 409, "web is a virtual machine: nothing is run inside it"),
        ("web", {"kind": "log"}, 409, "web is a virtual machine: nobody keeps what it writes"),
        ("shop", {"kind": "exec"}, 400, "command must be a list of texts"),
        ("shop", {"kind": "exec", "command": ["id"], "tty": True}, 400, "there is no field 'tty'"),
        ("shop", {"kind": "films"}, 400, "kind must be one of vnc, console, exec, log"),
        ("shop", {"kind": "console", "force": "yes"}, 400, "force must be true or false"),
    ],
)
def test_what_is_refused(kitchen: Kitchen, name: str, wanted: dict[str, Any], status: int, reason: str) -> None:
    answer = kitchen.ask(name, **wanted)
    assert answer.status == status, answer
    assert reason in answer.json["detail"]


def test_a_log_out_ends_streams(kitchen: Kitchen) -> None:
    token = kitchen.engine.token()
    with kitchen.open("shop", token, kind="log", follow=True) as client:
        client.hear(b"world")
        kitchen.engine.curl("sso/oauth/revoke", "--data-urlencode", f"token={token}")
        code, reason = client.closed()
    assert code == 4401
    assert "The login is over" in reason


def test_streams_end_with_their_guest(kitchen: Kitchen) -> None:
    with kitchen.open("shop", kind="log", follow=True) as log:
        log.hear(b"world")
        with kitchen.open("shop", kind="exec", command=["sleep", "1000"]) as command:
            kitchen.stop("shop")
            assert command.closed()[0] == 1000
            assert log.closed()[0] == 1000
    assert "VM is not running" in kitchen.ask("shop", kind="console").json["detail"]
    kitchen.running.remove("shop")
