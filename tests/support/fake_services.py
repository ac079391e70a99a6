# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The real driver, and on demand the real server, over fakes of all that needs root or another program."""

import functools
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Unpack

from covirt.common.daemon_lock import acquire_daemon_lock
from covirt.common.root import Root
from covirt.oci.cgroup import CgroupReader
from covirt.oci.fake import FakeBundles, FakeNamespaces, fake_monitor
from covirt.oci.image.model import host_architecture
from covirt.oci.image.store import ImageStore
from covirt.oci.image.trailer import append_trailer
from covirt.oci.image.trust import TrustRecords
from covirt.oci.processes import ExitWatcher
from covirt.oci.runtime import RuntimeInfo
from covirt.oci.runtimes.command_line import CommandLineRuntime
from covirt.oci.runtimes.fake import FAKE_RUNTIME, FakeSupervisor
from covirt.oci.runtimes.registry import Runtimes
from covirt.virtocid.config import ContainerConfig, VirtocidConfig
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import translate
from covirt.virtocid.driver.fake_addressing import FakeAddressing
from covirt.virtocid.driver.fake_network import FakeNetwork
from covirt.virtocid.driver.handlers.table import handler_table
from covirt.virtocid.driver.id_pool import IdPool
from covirt.virtocid.driver.secrets.files import SecretFiles
from covirt.virtocid.driver.secrets.secrets import Secrets
from covirt.virtocid.driver.services import Services
from covirt.virtocid.driver.store import DomainStore, RunStore
from covirt.virtocid.events import Event, EventBus
from covirt.virtocid.server import VirtocidServer
from covirt.wire.constants import EventId
from tests.support.garbage import collected_here
from tests.support.virtocid import IMAGE, SERVICE, XmlParts, domain_xml
from tests.support.waiting import wait_until

SECONDS: Final = 60.0
_PROFILE: Final = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}


def write_image(root: Root, name: str = IMAGE, *, config: Mapping[str, object] | None = None) -> Path:
    """Put an image into the store whose trailer is right and whose file system is one empty block."""
    block = bytearray(4096)
    struct.pack_into("<I", block, 1024, 0xE0F5E1E2)  # erofs: magic, log2 of the block size, blocks
    block[1024 + 12] = 12
    struct.pack_into("<I", block, 1024 + 36, 1)
    digest = f"sha256:{'5' * 64}"
    about = {
        "version": 1,
        "digest": digest,
        "architecture": host_architecture(),
        "config": {"config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin:/usr/bin"], **(config or {})}},
    }
    path = root.images_dir / f"{name}.raw"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(block)
    descriptor = os.open(path, os.O_RDWR)
    try:
        file_digest = append_trailer(descriptor, about)
    finally:
        os.close(descriptor)
    TrustRecords(root.state_dir / "trusted-images").record(file_digest, image_digest=digest, source="a test")
    return path


def fake_config(root: Root) -> VirtocidConfig:
    """The defaults, but for the runtime, and a system call filter that need not be installed."""
    profile = root.path / "seccomp.json"
    profile.write_text(json.dumps(_PROFILE))
    container = ContainerConfig(
        default_runtime=FAKE_RUNTIME.name, seccomp_profile=profile, stop_timeout_seconds=SECONDS
    )
    return VirtocidConfig(container=container)


def fake_services(root: Root, config: VirtocidConfig | None = None, *, boot_id: str = "this boot") -> Services:
    """All parts. Containers are plain processes of busybox; write_image() comes first."""
    config = config or fake_config(root)
    watcher = ExitWatcher(name="fake-exits")
    watcher.start()
    supervisor, bus = FakeSupervisor(), EventBus()
    return Services(
        root=root,
        config=config,
        bus=bus,
        runtimes=_runtimes(root),
        images=ImageStore(root),
        bundles=FakeBundles(_rootfs(root.path / "rootfs")),
        ids=IdPool(first=config.ids.first, ranges=config.ids.ranges, root_id=root.id),
        namespaces=FakeNamespaces(),
        supervisor=supervisor,
        monitor=fake_monitor(),
        reader=CgroupReader(supervisor.layout),
        watcher=watcher,
        network=FakeNetwork(),
        addressing=FakeAddressing(),
        store=DomainStore(root.state_dir),
        runs=RunStore(root.run_dir),
        secrets=Secrets(SecretFiles(state_dir=root.state_dir, run_dir=root.run_dir, boot_id=boot_id), bus),
        boot_id=boot_id,
    )


def _runtimes(root: Root) -> Runtimes:
    runtime = CommandLineRuntime(FAKE_RUNTIME, state_dir=root.run_dir / "runtimes" / FAKE_RUNTIME.name)
    return Runtimes(by_name={runtime.name: runtime}, infos=_probed())


@functools.cache
def _probed() -> Mapping[str, RuntimeInfo]:
    """Once per process: the answer is the same everywhere."""
    return {FAKE_RUNTIME.name: CommandLineRuntime(FAKE_RUNTIME, state_dir=Path("/nonexistent")).probe()}


def _rootfs(path: Path) -> Path:
    (path / "bin").mkdir(parents=True, exist_ok=True)
    busybox = shutil.which("busybox")
    assert busybox is not None, "busybox-static is not installed"
    if not (path / "bin/busybox").exists():
        (path / "bin/busybox").symlink_to(busybox)
        (path / "bin/sh").symlink_to("busybox")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeHost:
    """A driver over fakes, and what it told of."""

    root: Root
    services: Services
    driver: Driver
    events: list[Event]

    def domain(self, name: str) -> Domain:
        return self.driver.domains.by_name(name)

    def define(self, name: str = "one", command: Sequence[str] = SERVICE, **parts: Unpack[XmlParts]) -> Domain:
        return self.driver.definitions.define(domain_xml(name, command, **parts))

    def run(self, name: str = "one", command: Sequence[str] = SERVICE, **parts: Unpack[XmlParts]) -> Domain:
        """Define and start; returns when it has said ``serving``."""
        domain = self.define(name, command, **parts)
        self.driver.lifecycle.start(domain, paused=False)
        self.wait_for_output(domain, "serving")
        return domain

    def create(self, name: str = "one", command: Sequence[str] = SERVICE, **parts: Unpack[XmlParts]) -> Domain:
        """A running transient domain."""
        return self.driver.create(domain_xml(name, command, **parts), paused=False)

    @property
    def heard(self) -> list[tuple[int, int]]:
        """Lifecycle events since the last call, as event and detail."""
        messages = [event.make(0)[1] for event in self.events if event.event_id == EventId.LIFECYCLE]
        self.events.clear()
        return [(message.event, message.detail) for message in messages]

    def end_containers(self) -> None:
        for domain in self.driver.domains.all():
            if domain.active:
                self.driver.lifecycle.destroy(domain, graceful=False)

    def wait_until_off(self, domain: Domain) -> None:
        wait_until(lambda: not domain.active, timeout_seconds=SECONDS, what=f"the end of {domain.name}")

    def wait_for_output(self, domain: Domain, text: str) -> None:
        run = domain.run
        assert run is not None
        wait_until(
            lambda: run.log.exists() and text in run.log.read_text(),
            timeout_seconds=SECONDS,
            what=f"{text!r} from {domain.name}",
        )


@contextmanager
def fake_host(root: Root, config: VirtocidConfig | None = None, *, boot_id: str = "this boot") -> Iterator[FakeHost]:
    """A driver that has started. Containers that run when it is closed go on."""
    services = fake_services(root, config, boot_id=boot_id)
    events: list[Event] = []
    services.bus.subscribe(events.append)
    driver = Driver(services)
    try:
        driver.start()
        yield FakeHost(root=root, services=services, driver=driver, events=events)
    finally:
        driver.close()


@contextmanager
def fake_virtocid(root: Root) -> Iterator[tuple[FakeHost, VirtocidServer]]:
    """The same behind a server at the root's sockets."""
    with acquire_daemon_lock(root, "virtocid"), fake_host(root) as host:
        server = VirtocidServer(
            root=root, handlers=handler_table(host.driver), translate=translate, bus=host.services.bus
        )
        server.start()
        try:
            with collected_here():
                yield host, server
        finally:
            server.stop()
