# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt-host as its package has installed it, and what an engine keeps on it over a reboot."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from covirt.host.virt.volumes import VolumeRef
from tests.support import engine_xml
from tests.support.authority import TestAuthority
from tests.support.covirt_host import SECONDS, HostClient
from tests.support.guest import TinyGuest
from tests.support.host_pool import PoolOnHost
from tests.support.host_vms import machine_xml
from tests.support.virtocid import IMAGE
from tests.support.waiting import wait_until
from tests.vm.installed import output, systemctl, unit_property

UNIT: Final = "covirt-host"
GUEST_FILES: Final = Path("/var/lib/tiny-guest")
_PKI: Final = Path("/etc/pki/vdsm")
_SETTINGS: Final = Path("/etc/covirt/host.d/50-containers.toml")
MEMORY: Final = Path("/var/lib/covirt-engine.json")
_WRITER: Final = "sh -c 'echo kept >/data/word; sync; exec sleep 100000'"


class InstalledHost:
    """Under systemd, with a certificate of an authority of the tests, and containers enabled."""

    def enable(self) -> None:
        if not (_PKI / "certs/vdsmcert.pem").exists():
            TestAuthority().issue(_PKI)
        _SETTINGS.parent.mkdir(parents=True, exist_ok=True)
        # Tiny machines boot a kernel of the host.
        _SETTINGS.write_text(f'[containers]\nenabled = true\n[virt]\nhost_files = ["{GUEST_FILES}"]\n')
        systemctl("enable", UNIT)
        systemctl("restart", UNIT)

    @property
    def pid(self) -> int:
        return int(unit_property(UNIT, "MainPID"))

    @property
    def running(self) -> bool:
        return unit_property(UNIT, "ActiveState") == "active"

    def restart(self) -> None:
        systemctl("restart", UNIT)

    def kill(self) -> None:
        """kill -9, and systemd's own restart."""
        before = self.pid
        output("kill", f"-{signal.SIGKILL.value}", str(before))
        # In this order: systemd may not have heard of the end yet, and what is read first is then old.
        wait_until(lambda: self.pid not in (0, before) and self.running, timeout_seconds=SECONDS, what="its restart")

    @contextmanager
    def client(self) -> Iterator[HostClient]:
        client = HostClient(_PKI).open()
        try:
            yield client
        finally:
            client.close()

    def journal(self) -> list[str]:
        """What the program itself said since the boot."""
        words = ("--quiet", "--boot", f"--unit={UNIT}", "--identifier=covirt-host", "--output=cat")
        return output("journalctl", *words).splitlines()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guests:
    """A machine and a container on one storage domain."""

    machine: str
    container: str

    def pids(self) -> tuple[int, int]:
        """Of QEMU, and of the container's first process."""
        [machine] = output("pgrep", "--full", f"qemu-system.*{self.machine}").split()
        container = Path("/run/covirt/virtocid/runs", self.container, "monitor/pid").read_text()
        return int(machine), int(container)

    def statuses(self, client: HostClient) -> dict[str, str]:
        return {vm["vmId"]: vm["status"] for vm in client.call("Host.getVMList")}

    def wait_until_up(self, client: HostClient) -> None:
        both = {self.machine: "Up", self.container: "Up"}
        wait_until(lambda: self.statuses(client) == both, timeout_seconds=SECONDS, what=f"both guests up: {both}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMemory:
    """What an engine knows of a host that reboots."""

    pool: dict[str, str]
    volumes: list[dict[str, str]]
    machine: str
    container: str
    boot_id: str

    def keep(self) -> None:
        MEMORY.write_text(json.dumps(asdict(self)))

    @classmethod
    def kept(cls) -> "EngineMemory":
        return cls(**json.loads(MEMORY.read_text()))

    @property
    def guests(self) -> Guests:
        ids = [re.findall(r"<uuid>([^<]+)</uuid>", xml)[0] for xml in (self.machine, self.container)]
        return Guests(machine=ids[0], container=ids[1])

    @property
    def pool_on_host(self) -> PoolOnHost:
        return PoolOnHost(**{**self.pool, "export": Path(self.pool["export"])})  # type: ignore[arg-type]

    def start(self, client: HostClient) -> Guests:
        for xml in (self.machine, self.container):
            client.call("VM.create", {"vmID": "", "vmParams": {"xml": xml}}, seconds=SECONDS)
        self.guests.wait_until_up(client)
        return self.guests


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def memory_of(pool: PoolOnHost, volumes: list[dict[str, str]], guest: TinyGuest) -> EngineMemory:
    machine_disk, container_disk = map(ref_of, volumes)
    container_id = str(uuid4())
    container = engine_xml.container_xml(
        "shop", container_id, disks=[("vda", container_disk)], containerImage=IMAGE, volumeMap="data:vda",
        containerCommand=_WRITER,
    )  # fmt: skip
    return EngineMemory(
        pool={**{name: str(value) for name, value in asdict(pool).items()}},
        volumes=volumes,
        machine=engine_xml.with_disk(machine_xml(guest, "box"), machine_disk),
        container=container,
        boot_id=boot_id(),
    )


def ref_of(ids: dict[str, str]) -> VolumeRef:
    return VolumeRef(
        pool_id=ids["storagepoolID"],
        domain_id=ids["storagedomainID"],
        image_id=ids["imageID"],
        volume_id=ids["volumeID"],
    )


def set_up_networks(client: HostClient, networks: dict[str, Any]) -> None:
    options = {"connectivityCheck": False, "commitOnSuccess": False}
    change = {"networks": networks, "bondings": {}, "options": options}
    assert client.call("Host.setupNetworks", change, seconds=SECONDS) is True
