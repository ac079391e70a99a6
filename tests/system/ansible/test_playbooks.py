# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""oVirt's collection of Ansible, unmodified, against an installation of ``covirt up``; the host is looked at, too."""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from ovirtsdk4 import types

from covirt.common.process import run
from covirt.common.root import Root
from covirt.host.storage.socket_program import SocketProgram
from tests.support.covirt_up import Machine, new_machine
from tests.support.libvirtd import Libvirtd
from tests.support.oci_layout import busybox_image, write_layout
from tests.support.roots import new_directory
from tests.support.virtocid import IMAGE, import_image
from tests.support.waiting import free_port

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

_BIN: Final = Path(sys.executable).parent
_PLAYBOOKS: Final = Path(__file__).parent
_RECAP: Final = re.compile(r"localhost +: ok=\d+ +changed=\d+ +unreachable=0 +failed=0 ")
_CHANGED: Final = re.compile(r"TASK \[([^\]]+)\] \*+\nchanged:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    machine: Machine
    directory: Path

    def play(self, name: str, **more: str) -> list[str]:
        """The tasks that have changed something; all of them have to end well."""
        status = self.machine.status
        words = {
            "ansible_python_interpreter": sys.executable,
            "url": status["url"],
            "user": status["user"],
            "password_file": status["password_file"],
            "ca_file": status["ca_file"],
            "image": IMAGE,
            "image_file": str(self.directory / "image"),
            "directory": str(self.directory),
            **more,
        }
        options = [option for key, value in words.items() for option in ("-e", f"{key}={value}")]
        done = run(
            [_BIN / "ansible-playbook", "-i", "localhost,", "-c", "local", *options, _PLAYBOOKS / name],
            environment={"HOME": str(self.directory), "ANSIBLE_LOCALHOST_WARNING": "False", "ANSIBLE_NOCOLOR": "1"},
            timeout_seconds=200,
            check=False,
        )
        told = done.stdout.decode() + done.stderr.decode()
        assert _RECAP.search(told), told
        return _CHANGED.findall(told)


@pytest.fixture(scope="module", name="place")
def place_fixture(libvirtd: Libvirtd) -> Iterator[Place]:
    assert libvirtd.uri  # the test's own, which covirt up then uses
    with new_directory() as directory, new_machine() as machine:
        settings = machine.root.config_dir / "host.d"
        settings.mkdir(parents=True)
        (settings / "60-test.toml").write_text(f"[images]\nimageio_port = {free_port()}\n")
        machine.up()
        layout = write_layout(directory / "layout", {IMAGE: busybox_image()})
        import_image(machine.root, f"oci:{layout}:{IMAGE}", IMAGE)
        (directory / "image").write_bytes(b"uploaded" * (1 << 17))
        with machine.connection() as connection:
            domains = connection.system_service().storage_domains_service()
            (domain,) = domains.list()
            domains.storage_domain_service(domain.id).update(types.StorageDomain(critical_space_action_blocker=0))
        try:
            yield Place(machine=machine, directory=directory)
        finally:
            machine.down("--guests")
            SocketProgram(Root(machine.root.path).run_dir / "host/imageio/sock").end(grace_seconds=5)


@pytest.mark.timeout(600)  # each of some sixty tasks starts a program
def test_a_site_comes_stays_and_goes(place: Place) -> None:
    assert "The container runs" in place.play("site.yml")
    with place.machine.connection() as connection:
        vms = connection.system_service().vms_service()
        (web,) = vms.list(search="name=web")
        (host,) = connection.system_service().hosts_service().list()
        assert (web.status, web.host.id) == (types.VmStatus.UP, host.id)
        (db,) = vms.list(search="name=db")
        assert [each.id for each in vms.vm_service(db.id).nics_service().list()]
    assert place.play("site.yml") == []
    place.play("gone.yml")
    with place.machine.connection() as connection:
        system = connection.system_service()
        assert system.vms_service().list() == []
        assert [disk.name for disk in system.disks_service().list()] == []
        assert [network.name for network in system.networks_service().list()] == ["ovirtmgmt"]


@pytest.mark.timeout(600)  # each of some hundred tasks starts a program
def test_each_kind_of_object_comes_stays_and_goes(place: Place) -> None:
    second = place.directory / "second"
    second.mkdir()
    os.chown(second, 36, 36)  # vdsm:kvm, as the engine demands of local storage
    with place.machine.connection() as connection:
        (host,) = connection.system_service().hosts_service().list()
    assert place.play("present.yml", host=host.name)
    assert place.play("present.yml", host=host.name) == []
    (images,) = second.glob("*/images")
    assert len(list(images.iterdir())) == 1
    place.play("life.yml", host=host.name)
    assert place.play("absent.yml", host=host.name, machines="yes")
    assert place.play("absent.yml", host=host.name, machines="no") == []
    assert list(second.glob("*/images")) == []
