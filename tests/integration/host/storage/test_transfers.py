# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Uploads and downloads through the real imageio daemon and real qemu-nbd, in several lives of the agent."""

import os
import select
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from covirt.common.daemon_lock import acquire_daemon_lock
from covirt.common.process import run
from covirt.common.root import Root
from covirt.host.storage import imageio, qemu_img
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.image_volumes import WrittenWhileUsed
from covirt.host.storage.imageio import ImageDaemonRefused, ImageDaemonSilent, ImageioDaemon, NoImageDaemon
from covirt.host.storage.nbd import BadNbdSettings, NbdExport, NbdServerExists, NbdServers
from covirt.host.storage.qemu_img import BrokenImage, ForeignReference, ImageFormat, Layer
from covirt.host.storage.socket_program import ProgramDidNotStart
from covirt.host.storage.storage_errors import UsedByOthers
from covirt.host.storage.ticket_holds import TicketHolds, TicketPathRefused, TicketTooLarge
from covirt.host.storage.transfers import TicketAddressRefused, Transfers
from covirt.host.storage.unprivileged import STORAGE_GID, STORAGE_UID
from covirt.host.verbs.dispatch import CallContext, Dispatcher, VerbClass
from covirt.host.verbs.nbd import NbdVerbs
from covirt.host.verbs.sdm import NO_POOL
from covirt.host.verbs.transfer import TicketVerbs
from covirt.hostapi.errors import CallRefused
from tests.support.covirt_host import SECONDS, CovirtHost
from tests.support.plain_volumes import PlainVolumes
from tests.support.roots import new_root
from tests.support.transfers import Authority, ImageClient, new_authority
from tests.support.waiting import free_port

pytestmark = pytest.mark.root

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The parts of one life of the agent that transfer disks."""

    daemon: ImageioDaemon
    servers: NbdServers
    transfers: Transfers


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A root with a directory of volumes."""

    root: Root
    authority: Authority
    port: int
    images: Path
    volumes: PlainVolumes
    lives: list[Life] = field(default_factory=list)

    def life(self, **settings: Any) -> Life:
        directory = self.root.run_dir / "host"
        config = ImagesConfig(imageio_port=self.port, **settings)
        daemon = ImageioDaemon(directory=directory / "imageio", config=config, tls=self.authority.files)
        servers = NbdServers(directory / "nbd")
        transfers = Transfers(root=self.root, directory=directory / "imageio", daemon=daemon, servers=servers)
        transfers.join(TicketHolds(volumes=self.volumes))
        transfers.start()
        self.lives.append(Life(daemon=daemon, servers=servers, transfers=transfers))
        return self.lives[-1]

    def end(self) -> None:
        for life in self.lives:
            life.daemon.end()
            life.servers.stop_all()

    def raw_volume(self) -> Path:
        path = self._new_volume()
        path.write_bytes(b"")
        os.truncate(path, _MIB)
        os.chown(path, STORAGE_UID, STORAGE_GID)
        path.chmod(0o660)
        self._know(path, ImageFormat.RAW)
        return path

    def qcow2_volume(self) -> Path:
        path = self._new_volume()
        qemu_img.create_qcow2(path, size_bytes=_MIB)
        self._know(path, ImageFormat.QCOW2)
        return path

    def _know(self, path: Path, image_format: ImageFormat) -> None:
        domain_id = self.images.parent.name
        facts = self.volumes.add(path, image_format, pool_id=NO_POOL, domain_id=domain_id)
        self.volumes.known[facts.ref] = replace(facts, capacity_bytes=_MIB)

    def client(self, ticket: dict[str, Any]) -> ImageClient:
        return ImageClient(port=self.port, context=self.authority.context, ticket_id=ticket["uuid"])

    def _new_volume(self) -> Path:
        image = self.images / str(uuid4())
        image.mkdir()
        os.chown(image, STORAGE_UID, STORAGE_GID)
        return image / str(uuid4())


def ticket_for(url: str, *ops: str) -> dict[str, Any]:
    return {"uuid": str(uuid4()), "url": url, "size": _MIB, "timeout": 300, "ops": list(ops)}


@contextmanager
def new_host() -> Iterator[Host]:
    with new_root() as root:
        images = root.path / "rhev/data-center/mnt" / "_exports_data" / str(uuid4()) / "images"
        images.mkdir(parents=True)
        private = root.path / "pki"
        private.mkdir(mode=0o700)
        host = Host(
            root=root, authority=new_authority(private), port=free_port(), images=images, volumes=PlainVolumes(images)
        )
        try:
            yield host
        finally:
            host.end()


@pytest.fixture(scope="module", name="host")
def host_fixture() -> Iterator[Host]:
    """Its daemon runs already."""
    with new_host() as host:
        assert host.life().daemon.control(start=True) is not None
        yield host


@pytest.fixture(name="fresh_host")
def fresh_host_fixture() -> Iterator[Host]:
    with new_host() as host:
        yield host


def test_upload_and_download_raw(host: Host) -> None:
    life, path = host.life(), host.raw_volume()
    ticket = ticket_for(f"file://{path}", "read", "write")
    life.transfers.add(ticket)
    client = host.client(ticket)
    assert client.upload(b"covirt!!" * 64, offset=4096) == 200
    assert client.download(512, offset=4096) == (206, b"covirt!!" * 64)
    assert path.read_bytes()[4096:4608] == b"covirt!!" * 64
    assert life.transfers.get(ticket["uuid"])["size"] == _MIB
    life.transfers.extend(ticket["uuid"], timeout_seconds=600)
    life.transfers.remove(ticket["uuid"])
    assert client.download(512)[0] == 403
    life.transfers.remove(ticket["uuid"])
    with pytest.raises(ImageDaemonRefused, match="404"):
        life.transfers.get(ticket["uuid"])


def test_a_ticket_gives_no_more_than_it_says(host: Host) -> None:
    life, path = host.life(), host.raw_volume()
    ticket = ticket_for(f"file://{path}", "read")
    life.transfers.add(ticket)
    assert host.client(ticket).upload(b"x" * 512) == 403
    assert host.client({"uuid": str(uuid4())}).download(512)[0] == 403
    life.transfers.remove(ticket["uuid"])


def test_upload_into_qcow2(host: Host) -> None:
    life, path = host.life(), host.qcow2_volume()
    server_id = str(uuid4())
    url = life.servers.start(
        server_id, NbdExport(volume=Layer(path=path, format=ImageFormat.QCOW2), discard=True, detect_zeroes=True)
    )
    ticket = ticket_for(url, "read", "write")
    life.transfers.add(ticket)
    client = host.client(ticket)
    assert client.upload(b"q" * 65536, offset=131072) == 200
    life.transfers.remove(ticket["uuid"])
    life.servers.stop(server_id)
    run(["qemu-img", "convert", "-O", "raw", path, f"{path}.raw"], timeout_seconds=30)
    content = Path(f"{path}.raw").read_bytes()
    assert content[131072:196608] == b"q" * 65536
    assert content[:131072].count(0) == 131072
    assert path.stat().st_blocks * 512 < _MIB


def test_a_readonly_server_writes_nothing(host: Host) -> None:
    life, path = host.life(), host.qcow2_volume()
    server_id = str(uuid4())
    url = life.servers.start(server_id, NbdExport(volume=Layer(path=path, format=ImageFormat.QCOW2), readonly=True))
    before = path.read_bytes()
    ticket = ticket_for(url, "read", "write")
    life.transfers.add(ticket)
    assert host.client(ticket).upload(b"x" * 512) >= 400
    life.transfers.remove(ticket["uuid"])
    life.servers.stop(server_id)
    assert path.read_bytes() == before


def test_the_next_life_finds_a_server_and_ends_it(fresh_host: Host) -> None:
    life, path, server_id = fresh_host.life(), fresh_host.raw_volume(), str(uuid4())
    export = NbdExport(volume=Layer(path=path, format=ImageFormat.RAW))
    life.servers.start(server_id, export)
    following = fresh_host.life()
    with pytest.raises(NbdServerExists):
        following.servers.start(server_id, export)
    following.servers.stop(server_id)
    following.servers.stop(server_id)
    life.servers.start(server_id, export)
    life.servers.stop(server_id)


def test_a_server_that_cannot_start_says_why(host: Host) -> None:
    life = host.life()
    raw = Layer(path=host.raw_volume(), format=ImageFormat.RAW)
    qcow2 = Layer(path=host.qcow2_volume(), format=ImageFormat.QCOW2)
    with pytest.raises(BrokenImage, match="begins as something else"):
        life.servers.start(str(uuid4()), NbdExport(volume=replace(qcow2, path=raw.path)))
    with pytest.raises(ProgramDidNotStart, match="Bitmap 'b' is not found"):
        life.servers.start(str(uuid4()), NbdExport(volume=qcow2, readonly=True, bitmap="b"))
    with pytest.raises(BadNbdSettings):
        life.servers.start(str(uuid4()), NbdExport(volume=raw, readonly=True, bitmap="b"))


def test_a_server_shows_no_other_file(host: Host) -> None:
    """Whoever uploads qcow2 as it is writes its header, and could then read on what it names."""
    life, secret, path = host.life(), host.raw_volume(), host.qcow2_volume()
    secret.write_bytes(b"secret" * 1000)
    run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", secret, "-F", "raw", path], timeout_seconds=30)
    with pytest.raises(ForeignReference, match="builds on"):
        life.servers.start(str(uuid4()), NbdExport(volume=Layer(path=path, format=ImageFormat.QCOW2), readonly=True))


def test_transfers_outlive_the_agent_and_idle_ones_do_not(fresh_host: Host) -> None:
    life, path = fresh_host.life(), fresh_host.raw_volume()
    ticket = ticket_for(f"file://{path}", "read")
    life.transfers.add(ticket)
    life.transfers.stop()
    assert fresh_host.client(ticket).download(512)[0] == 206
    following = fresh_host.life()
    following.transfers.remove(ticket["uuid"])
    following.transfers.stop()
    assert following.daemon.control(start=False) is None


def test_what_outlives_the_agent_is_ended_by_its_command(fresh_host: Host) -> None:
    """As when the package is removed: neither the imageio daemon nor an NBD server is left, nor a volume held."""
    life, path, server_id = fresh_host.life(), fresh_host.raw_volume(), str(uuid4())
    life.transfers.add(ticket_for(f"file://{path}", "read"))
    life.servers.start(server_id, NbdExport(volume=Layer(path=fresh_host.qcow2_volume(), format=ImageFormat.QCOW2)))
    life.transfers.stop()
    command = [*map(str, CovirtHost.program), "--root", str(fresh_host.root.path), "end-transfers"]
    with acquire_daemon_lock(fresh_host.root, "covirt-host"):
        refused = run(command, timeout_seconds=SECONDS, check=False)
        assert (refused.status, b"stop it first" in refused.stderr) == (1, True)
    assert life.servers.runs(server_id)
    for _ in range(2):
        run(command, timeout_seconds=SECONDS)
        assert not life.servers.runs(server_id)
        assert life.daemon.control(start=False) is None
    assert fresh_host.life().transfers.count == 0


def test_a_daemon_that_died_is_started_anew(fresh_host: Host) -> None:
    life, path = fresh_host.life(), fresh_host.raw_volume()
    life.transfers.add(ticket_for(f"file://{path}", "read"))
    fresh_host.life().daemon.end()
    ticket = ticket_for(f"file://{path}", "read")
    life.transfers.add(ticket)
    assert fresh_host.client(ticket).download(512)[0] == 206
    life.daemon.end()


def test_tickets_of_a_killed_daemon_are_gone_and_told(fresh_host: Host) -> None:
    """Whoever transfers is cut off, the engine is told at its next question, and a new ticket is good."""
    life, path = fresh_host.life(), fresh_host.raw_volume()
    lost = ticket_for(f"file://{path}", "read", "write")
    life.transfers.add(lost)
    client = fresh_host.client(lost)
    assert client.upload(b"x" * 512) == 200
    kill_daemon(fresh_host)
    for ask in (life.transfers.get, lambda ticket_id: life.transfers.extend(ticket_id, timeout_seconds=60)):
        with pytest.raises(ImageDaemonRefused, match="404"):
            ask(lost["uuid"])
    assert client.download(512)[0] == 403
    kill_daemon(fresh_host)
    ticket = ticket_for(f"file://{path}", "read")
    life.transfers.add(ticket)
    assert life.transfers.count == 1
    assert fresh_host.client(ticket).download(512)[0] == 206
    life.transfers.remove(lost["uuid"])
    life.daemon.end()


@contextmanager
def daemon_process(host: Host) -> Iterator[int]:
    """A pidfd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(host.root.run_dir / "host" / "imageio" / "sock"))
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        process = os.pidfd_open(int.from_bytes(found[:4], sys.byteorder))
    try:
        yield process
    finally:
        os.close(process)


def kill_daemon(host: Host) -> None:
    with daemon_process(host) as process:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        select.select([process], [], [], 30)


def test_a_daemon_whose_tickets_expired_is_idle(fresh_host: Host) -> None:
    life, path = fresh_host.life(), fresh_host.raw_volume()
    ticket = {**ticket_for(f"file://{path}", "read"), "timeout": 0}
    life.transfers.add(ticket)
    assert fresh_host.client(ticket).download(512)[0] == 403
    life.transfers.stop()
    assert life.daemon.control(start=False) is None


def holders(host: Host, path: Path) -> set[str]:
    return {user for ref, user in host.volumes.held if ref.volume_id == path.name}


def test_a_ticket_holds_its_volume(fresh_host: Host) -> None:
    """As long as it is good, over the lives of the agent; its id is not told to who asks for the holders."""
    life, path = fresh_host.life(), fresh_host.raw_volume()
    ticket = ticket_for(f"file://{path}", "write")
    life.transfers.add(ticket)
    (holder,) = holders(fresh_host, path)
    assert ticket["uuid"] not in holder
    domain_id, image_id = fresh_host.images.parent.name, path.parent.name
    with pytest.raises(UsedByOthers), fresh_host.volumes.alone(domain_id, image_id, None, purpose="remove it"):
        pass
    life.transfers.add(ticket)  # again, as after an answer that was lost
    following = fresh_host.life()
    assert holders(fresh_host, path) == {holder}
    following.transfers.sweep()
    assert holders(fresh_host, path) == {holder}
    following.transfers.remove(ticket["uuid"])
    assert not holders(fresh_host, path)


def test_a_ticket_that_is_no_longer_good_holds_nothing(fresh_host: Host) -> None:
    """Expired, lost with its daemon, or never known: to this agent and to the next one."""
    life, path = fresh_host.life(), fresh_host.raw_volume()
    url = f"file://{path}"
    life.transfers.add({**ticket_for(url, "read"), "timeout": 0})
    assert holders(fresh_host, path)
    life.transfers.sweep()
    assert not holders(fresh_host, path)
    assert life.transfers.count == 0
    lost = ticket_for(url, "read")
    life.transfers.add(lost)
    kill_daemon(fresh_host)
    life.transfers.sweep()
    assert not holders(fresh_host, path)
    life.transfers.add(lost)
    kill_daemon(fresh_host)
    fresh_host.life()
    assert not holders(fresh_host, path)
    (ref,) = [ref for ref in fresh_host.volumes.known if ref.volume_id == path.name]
    fresh_host.volumes.prepare(ref, user="ticket-0123456789abcdef")
    fresh_host.life()
    assert not holders(fresh_host, path)


def test_a_ticket_of_a_daemon_that_does_not_answer_is_held(fresh_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the ticket as soon as it goes on, whatever was told of it; until it is taken back nobody else writes."""
    life, path = fresh_host.life(), fresh_host.raw_volume()
    assert life.daemon.control(start=True) is not None
    ticket = ticket_for(f"file://{path}", "write")
    with daemon_process(fresh_host) as process:
        signal.pidfd_send_signal(process, signal.SIGSTOP)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(imageio, "_REQUEST_SECONDS", 0.2)
                with pytest.raises(ImageDaemonSilent):
                    life.transfers.add(ticket)
                with pytest.raises(ImageDaemonSilent):
                    life.transfers.remove(ticket["uuid"])
                life.transfers.sweep()
            assert holders(fresh_host, path)
        finally:
            signal.pidfd_send_signal(process, signal.SIGCONT)
    life.transfers.remove(ticket["uuid"])
    assert not holders(fresh_host, path)


def test_a_refused_ticket_holds_nothing(host: Host) -> None:
    life, path = host.life(), host.raw_volume()
    url = f"file://{path}"
    with pytest.raises(TicketTooLarge, match=f"is for {_MIB + 1} bytes and volume .* has room for {_MIB};"):
        life.transfers.add({**ticket_for(url, "write"), "size": _MIB + 1})
    with pytest.raises(ImageDaemonRefused):
        life.transfers.add({**ticket_for(url, "write"), "sparse": "perhaps"})
    other = host.images.parent.parent.parent / "_elsewhere" / host.images.parent.name / "images"
    aside = other / path.parent.name / path.name
    aside.parent.mkdir(parents=True)
    aside.write_bytes(b"")
    with pytest.raises(TicketPathRefused):
        life.transfers.add(ticket_for(f"file://{aside}", "write"))
    assert not holders(host, path)
    qcow2 = ticket_for(f"file://{host.qcow2_volume()}", "write")
    life.transfers.add({**qcow2, "size": 2 * _MIB})
    life.transfers.remove(qcow2["uuid"])
    with pytest.raises(TicketTooLarge):
        life.transfers.add({**qcow2, "size": 3 * _MIB})


def test_a_renewed_certificate_is_used_when_the_daemon_is_idle(fresh_host: Host) -> None:
    life, path = fresh_host.life(), fresh_host.raw_volume()
    first, second, third = (ticket_for(f"file://{path}", "read") for _ in range(3))
    life.transfers.add(first)
    renewed = replace(fresh_host, authority=new_authority(fresh_host.authority.files.key.parent))
    life.transfers.add(second)
    assert fresh_host.client(second).download(512)[0] == 206
    for ticket in (first, second):
        life.transfers.remove(ticket["uuid"])
    life.transfers.add(third)
    assert renewed.client(third).download(512)[0] == 206
    with pytest.raises(ssl.SSLCertVerificationError):
        fresh_host.client(third).download(512)
    life.daemon.end()


def test_a_port_in_use_is_told(fresh_host: Host) -> None:
    with socket.create_server(("", fresh_host.port)), pytest.raises(NoImageDaemon, match="Address already in use"):
        fresh_host.life().transfers.add(ticket_for(f"file://{fresh_host.raw_volume()}", "read"))


def test_addresses_elsewhere_are_refused(host: Host) -> None:
    life = host.life()
    volume = f"{host.images}/{uuid4()}/{uuid4()}"
    for url in (
        "file:///etc/shadow",
        f"file://{volume}/../../../../../../../../etc/shadow",
        f"file://{volume}/%2e%2e/x",
        f"file://elsewhere{volume}",
        f"file://{host.root.path}/rhev/data-center/mnt/_exports_data/{uuid4()}/dom_md/metadata",
        f"https://localhost:{host.port}/images/{uuid4()}",
        "nbd:localhost:10809",
        f"nbd:unix:{host.root.run_dir}/libvirt.sock",
        f"nbd:unix:{host.root.run_dir}/host/nbd/../imageio/sock",
        "file://[",
    ):
        with pytest.raises(TicketAddressRefused):
            life.transfers.add(ticket_for(url, "read"))
    assert life.transfers.may_serve(f"file://{volume}")
    assert life.transfers.may_serve(
        f"file://{host.root.path}/rhev/data-center/{uuid4()}/{uuid4()}/images/{uuid4()}/{uuid4()}"
    )


def test_without_the_program_the_reason_is_told(fresh_host: Host) -> None:
    life = fresh_host.life(imageio_program="/nonexistent/ovirt-imageio")
    with pytest.raises(NoImageDaemon, match="install ovirt-imageio"):
        life.transfers.add(ticket_for(f"file://{fresh_host.raw_volume()}", "read"))


class NbdAgent:
    """NBD's verbs and tickets, in one life of the agent."""

    def __init__(self, host: Host, volumes: PlainVolumes) -> None:
        life = host.life()
        verbs: list[VerbClass] = [
            NbdVerbs(servers=life.servers, volumes=volumes),
            TicketVerbs(life.transfers),
        ]
        self._dispatcher = Dispatcher(verbs)
        self._dispatcher.set_ready()

    def call(self, method: str, **params: Any) -> Any:
        return cast(Any, self._dispatcher.call(method, params, CallContext(client="test")))

    def code(self, method: str, **params: Any) -> int:
        with pytest.raises(CallRefused) as caught:
            self.call(method, **params)
        return caught.value.code


def test_the_verbs_from_server_to_ticket(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    volumes = PlainVolumes(host.images)
    agent, server_id = NbdAgent(host, volumes), str(uuid4())
    facts = volumes.add(host.qcow2_volume(), ImageFormat.QCOW2, pool_id=NO_POOL)
    ref = facts.ref
    config = {"sd_id": ref.domain_id, "img_id": ref.image_id, "vol_id": ref.volume_id, "readonly": None}
    url = agent.call("NBD.start_server", server_id=server_id, config=config)
    assert url == f"nbd:unix:{host.root.run_dir}/host/nbd/{server_id}.sock"
    assert volumes.users(ref) == {f"nbd-{server_id}"}
    agent.code("NBD.start_server", server_id=server_id, config=config)
    assert volumes.users(ref) == {f"nbd-{server_id}"}
    ticket = {**ticket_for(url, "write"), "sparse": True, "filename": None, "new in 5.0": [1]}
    assert agent.call("Host.add_image_ticket", ticket=ticket) is True
    assert f"Ticket added url={ticket['url']} ops=" in caplog.text
    assert "transfer_id=None" not in caplog.text
    assert host.client(ticket).upload(b"v" * 4096) == 200
    told = agent.call("Host.get_image_ticket", uuid=ticket["uuid"])
    assert (told["transferred"], told["sparse"], told["active"]) == (4096, True, False)
    assert agent.call("Host.extend_image_ticket", uuid=ticket["uuid"], timeout=60) is True
    assert agent.call("Host.remove_image_ticket", uuid=ticket["uuid"]) is True
    assert agent.code("Host.get_image_ticket", uuid=ticket["uuid"]) == 482
    following = NbdAgent(host, volumes)
    assert following.call("NBD.stop_server", server_id=server_id) is True
    assert following.call("NBD.stop_server", server_id=server_id) is True
    assert volumes.users(ref) == frozenset()


def test_a_template_is_served_readonly_only(host: Host) -> None:
    volumes = PlainVolumes(host.images)
    agent, server_id = NbdAgent(host, volumes), str(uuid4())
    ref = volumes.add(host.raw_volume(), ImageFormat.RAW, pool_id=NO_POOL, is_shared=True).ref
    config = {"sd_id": ref.domain_id, "img_id": ref.image_id, "vol_id": ref.volume_id}
    assert agent.code("NBD.start_server", server_id=server_id, config=config) == 219
    agent.call("NBD.start_server", server_id=server_id, config={**config, "readonly": True})
    agent.call("NBD.stop_server", server_id=server_id)
    assert agent.code("NBD.start_server", server_id="../x", config=config) == 91


def test_nobody_writes_under_a_guest(host: Host) -> None:
    """A container's volume is locked by nobody else, and the imageio daemon takes no lock of QEMU's."""
    volumes = PlainVolumes(host.images)
    agent = NbdAgent(host, volumes)
    ref = volumes.add(host.raw_volume(), ImageFormat.RAW, pool_id=NO_POOL).ref
    config = {"sd_id": ref.domain_id, "img_id": ref.image_id, "vol_id": ref.volume_id}
    server_id, known = str(uuid4()), host.volumes.known
    path, held = next((facts.path, one) for one, facts in known.items() if one.volume_id == ref.volume_id)
    volumes.prepare(ref, user="some vm")
    host.volumes.prepare(held, user="some vm")
    agent.call("NBD.start_server", server_id=server_id, config={**config, "readonly": True})
    agent.call("NBD.stop_server", server_id=server_id)
    assert agent.code("NBD.start_server", server_id=server_id, config=config) == 203
    assert volumes.users(ref) == {"some vm"}
    transfers = host.life().transfers
    with pytest.raises(WrittenWhileUsed, match="some vm"):
        transfers.add(ticket_for(f"file://{path}", "read", "write"))
    assert host.volumes.users(held) == {"some vm"}
    reading = ticket_for(f"file://{path}", "read")
    transfers.add(reading)
    transfers.remove(reading["uuid"])


def test_bad_tickets(host: Host) -> None:
    agent = NbdAgent(host, PlainVolumes(host.images))
    good = ticket_for(f"file://{host.raw_volume()}", "read")
    wrongs: list[dict[str, Any]] = [
        {"ops": []},
        {"ops": ["format"]},
        {"size": -1},
        {"timeout": "soon"},
        {"timeout": 10**12},
    ]
    for wrong in wrongs:
        assert agent.code("Host.add_image_ticket", ticket={**good, **wrong}) == -32602
    assert agent.code("Host.add_image_ticket", ticket={**good, "uuid": "../../x"}) == 91
    assert agent.code("Host.get_image_ticket", uuid="x") == 91
