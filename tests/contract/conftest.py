# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Five implementations of libvirt's connection, and what one of them cannot be expected to do."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import libvirt
import pytest

from covirt.common.root import Root
from covirt.virtocid.server import VirtocidServer
from tests.support.connections import SECONDS, Ability, Client, Implementation, Listener, event_loop
from tests.support.fake_services import FakeHost, fake_virtocid, write_image
from tests.support.guest import BOOTED, TinyGuest
from tests.support.libvirtd import Libvirtd
from tests.support.roots import new_directory
from tests.support.virtocid import Virtocid, domain_xml, serve_virtocid
from tests.support.waiting import wait_until

# libvirt's test driver keeps domains in the client's memory, where nothing ever runs.
_TEST_LACKS: Final = {
    Ability.KEEPALIVE: "the test driver has no peer",
    Ability.READ_ONLY_SOCKET: "the test driver has no socket",
    Ability.START_PAUSED: "the test driver knows no flags of a start",
    Ability.STRICT_TRANSIENT: "the test driver does not tell transient domains from others there",
    Ability.STATISTICS: "nothing runs in the test driver",
    Ability.CPU_TIME: "nothing runs in the test driver",
    Ability.REBOOT_EVENT: "the test driver resets without telling",
    Ability.SHUTDOWN_EVENT: "the test driver stops at once",
    Ability.JOB_INFO: "the test driver has no jobs",
}
_FAKE_LACKS: Final = {Ability.CPU_TIME: "the fake supervisor has no cgroups"}


@pytest.fixture(scope="session")
def _events() -> Iterator[None]:
    with event_loop():
        yield


@pytest.fixture(scope="package")
def shared_daemon(busybox_layout: Path) -> Iterator[Virtocid]:
    """The daemon that runc's and crun's tests share."""
    with serve_virtocid(busybox_layout) as daemon:
        yield daemon


@pytest.fixture(scope="package")
def guest_logs() -> Iterator[Path]:
    with new_directory() as path:
        yield path


@pytest.fixture(
    scope="package",
    params=[
        "test",
        "fake",
        pytest.param("runc", marks=[pytest.mark.runc, pytest.mark.root]),
        pytest.param("crun", marks=[pytest.mark.crun, pytest.mark.root]),
        pytest.param("qemu", marks=[pytest.mark.qemu, pytest.mark.root]),
    ],
)
def served(request: pytest.FixtureRequest, _events: None) -> tuple[str, Implementation | None]:
    """The name of each implementation in turn; with it the implementation where all tests share it."""
    name: str = request.param
    if name == "test":
        return name, _test_driver()
    if name == "qemu":
        needs = [request.getfixturevalue(need) for need in ("libvirtd", "tiny_guest", "guest_logs")]
        return name, _qemu(*needs)
    if name in ("runc", "crun"):
        return name, _virtocid(name, request.getfixturevalue("shared_daemon"))
    return name, None


@pytest.fixture
def implementation(served: tuple[str, Implementation | None], root_dir: Root) -> Iterator[Implementation]:
    """Each implementation in turn."""
    if served[1] is not None:
        yield served[1]
        return
    # Its threads come and go in this process, so that each test has its own.
    write_image(root_dir)
    with fake_virtocid(root_dir) as (host, server):
        yield _fake(host, server)


def _test_driver() -> Implementation:
    def xml(name: str) -> str:
        return f"<domain type='test'><name>{name}</name><memory>65536</memory><os><type>hvm</type></os></domain>"

    return Implementation(
        name="test",
        uri="test:///default",
        readonly_uri="test:///default",
        make_xml=xml,
        lacks=_TEST_LACKS,
        # Its oldest functions answer "internal error" where all others say that the operation is not valid.
        wrong_state=frozenset({libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_INTERNAL_ERROR}),
    )


def _fake(host: FakeHost, server: VirtocidServer) -> Implementation:
    return Implementation(
        name="fake",
        uri=f"oci+unix:///system?socket={server.socket_path}",
        readonly_uri=f"oci+unix:///system?socket={server.readonly_socket_path}",
        make_xml=domain_xml,
        wait_until_ready=lambda name: host.wait_for_output(host.domain(name), "serving"),
        lacks=_FAKE_LACKS,
    )


def _virtocid(runtime: str, daemon: Virtocid) -> Implementation:
    return Implementation(
        name=runtime,
        uri=daemon.uri,
        readonly_uri=daemon.readonly_uri,
        make_xml=lambda name: domain_xml(name, runtime=runtime),
        wait_until_ready=lambda name: daemon.wait_for_output(name, "serving"),
    )


def _qemu(libvirtd: Libvirtd, guest: TinyGuest, logs: Path) -> Implementation:
    def log(name: str) -> Path:
        return logs / f"{name}.log"

    def xml(name: str) -> str:
        log(name).unlink(missing_ok=True)  # of an earlier test
        return guest.domain_xml(name, log=log(name))

    def wait_until_booted(name: str) -> None:
        wait_until(
            lambda: log(name).exists() and BOOTED in log(name).read_text(errors="replace"),
            timeout_seconds=SECONDS,
            what=f"{name} has booted",
        )

    return Implementation(
        name="qemu",
        uri=libvirtd.uri,
        readonly_uri=f"{libvirtd.uri.replace('qemu:', 'qemu+unix:')}?socket=/run/libvirt/libvirt-sock-ro",
        make_xml=xml,
        wait_until_ready=wait_until_booted,
        ends_by_signal_at_once=True,  # it is QEMU that gets it, not the guest
        # QEMU tells of the SIGTERM by which libvirt destroys it, and before a start is done that its CPUs run.
        adds_events=frozenset({(libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_HOST)}),
        resumes_to_start=True,
    )


@pytest.fixture
def client(implementation: Implementation) -> Iterator[Client]:
    """An open connection; the test's domains are removed afterwards."""
    connection = libvirt.open(implementation.uri)
    made = Client(implementation, connection)
    try:
        yield made
    finally:
        made.remove_domains()
        connection.close()


@pytest.fixture
def readonly(implementation: Implementation, client: Client) -> Iterator[Client]:
    """A second connection, which may only read."""
    connection = libvirt.openReadOnly(implementation.readonly_uri)
    yield Client(implementation, connection)
    connection.close()


@pytest.fixture
def listen(client: Client) -> Iterator[Callable[..., Listener]]:
    """Makes listeners on the client's connection: ``listen()`` to all domains, ``listen(domain)`` to one."""
    with ExitStack() as stack:

        def make(domain: "libvirt.virDomain | None" = None) -> Listener:
            listener = Listener(client, domain)
            stack.callback(listener.close)
            return listener

        yield make
