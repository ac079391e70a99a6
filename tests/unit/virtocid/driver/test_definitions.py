# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a definition takes (name, ids, image, file) and gives back, also when it is refused."""

from pathlib import Path
from uuid import UUID

import pytest

from covirt.common.errors import Error
from covirt.oci.image.errors import ImageInUse, NoSuchImage
from covirt.oci.runtimes.errors import UnknownRuntime, UnusableRuntime
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.errors import (
    DirectoryNotAllowed,
    DomainExists,
    DomainIsTransient,
    LogNotAllowed,
    NoSuchNetwork,
    NotSupported,
    UnmappedDisk,
    UuidInUse,
)
from tests.support.fake_services import FakeHost, write_image
from tests.support.virtocid import domain_xml


def holders(host: FakeHost, image: str = "busybox") -> tuple[str, ...]:
    """UUIDs of the domains that keep this image from being removed."""
    return host.services.images.users(host.services.images.find(image))


def stored(host: FakeHost) -> dict[str, bool]:
    """Names on disk, with their autostart flag."""
    records, broken = host.services.store.load_all()
    assert not broken
    return {record.name: record.autostart for record in records}


def nothing_is_taken(host: FakeHost) -> bool:
    return stored(host) == {} and holders(host) == () and host.driver.domains.all() == []


def with_uuid(text: str, uuid: UUID) -> str:
    return text.replace("</name>", f"</name><uuid>{uuid}</uuid>")


def test_a_definition_takes_and_undefine_gives_back(host: FakeHost) -> None:
    domain = host.define("one")
    assert stored(host) == {"one": False}
    assert holders(host) == (str(domain.uuid),)
    with pytest.raises(ImageInUse):
        host.services.images.remove("busybox")
    host.driver.definitions.undefine(domain)
    assert nothing_is_taken(host)
    assert domain.gone
    assert not host.services.store.directory(domain.uuid).exists()


def test_domains_have_ids_of_their_own(host: FakeHost) -> None:
    first, second = host.define("one"), host.define("two")
    assert abs(first.facts.first_id - second.facts.first_id) >= 65_536
    freed = first.facts.first_id
    host.driver.definitions.undefine(first)
    assert host.define("three").facts.first_id == freed


def test_ids_stay_when_it_is_defined_again(host: FakeHost) -> None:
    domain = host.define("one")
    before = domain.facts.first_id
    assert host.driver.definitions.define(with_uuid(domain_xml("one", memory_mib=128), domain.uuid)) is domain
    assert domain.facts.first_id == before
    assert domain.next_config.memory_kib == 128 * 1024


def test_a_name_that_is_taken_takes_nothing_more(host: FakeHost) -> None:
    domain = host.define("one")
    with pytest.raises(DomainExists, match=str(domain.uuid)):
        host.define("one")
    with pytest.raises(UuidInUse, match="'one'"):
        host.driver.definitions.define(with_uuid(domain_xml("two"), domain.uuid))
    with pytest.raises(UuidInUse):
        host.driver.create(with_uuid(domain_xml("two"), domain.uuid), paused=False)
    assert stored(host) == {"one": False}
    assert holders(host) == (str(domain.uuid),)


@pytest.mark.parametrize(
    ("devices", "more", "expected"),
    [
        ("<interface type='network'><source network='absent'/></interface>", "", NoSuchNetwork),
        ("<filesystem type='mount'><source dir='/etc'/><target dir='/x'/></filesystem>", "", DirectoryNotAllowed),
        ("<filesystem type='mount'><source dir='/'/><target dir='/'/></filesystem>", "", NotSupported),
        ("<console type='pty'><log file='/etc/passwd'/></console>", "", LogNotAllowed),
        ("<disk type='file' device='disk'><source file='/x'/><target dev='sda'/></disk>", "", UnmappedDisk),
    ],
)
def test_what_is_sure_to_fail_is_refused_and_takes_nothing(
    host: FakeHost, devices: str, more: str, expected: type[Error]
) -> None:
    for attempt in (host.define, host.create):
        with pytest.raises(expected):
            attempt("one", devices=devices, more=more)
    assert nothing_is_taken(host)


@pytest.mark.parametrize(
    ("runtime", "expected", "words"),
    [("absent", UnknownRuntime, "fake"), ("rkt", UnusableRuntime, "archived")],
)
def test_a_runtime_that_does_not_work_is_refused_with_those_that_do(
    host: FakeHost, runtime: str, expected: type[Error], words: str
) -> None:
    with pytest.raises(expected, match=words):
        host.define("one", runtime=runtime)
    assert nothing_is_taken(host)


def test_an_image_that_is_not_there(host: FakeHost) -> None:
    with pytest.raises(NoSuchImage, match="absent"):
        host.define("one", image="absent")
    assert nothing_is_taken(host)


def test_a_transient_domain_that_does_not_start_leaves_nothing(host: FakeHost) -> None:
    with pytest.raises(Error, match="no such file"):
        host.create("one", ("/absent",))
    assert nothing_is_taken(host)


def test_a_transient_domain_is_not_stored_until_it_is_defined(host: FakeHost) -> None:
    domain = host.create("one")
    assert stored(host) == {}
    assert holders(host) == (str(domain.uuid),)
    host.driver.definitions.define(with_uuid(domain_xml("one"), domain.uuid))
    assert stored(host) == {"one": False}
    host.driver.lifecycle.destroy(domain, graceful=False)
    assert stored(host) == {"one": False}


def test_a_running_domain_that_is_undefined_is_gone_with_its_run(host: FakeHost) -> None:
    domain = host.run("one")
    host.driver.definitions.set_autostart(domain, autostart=True)
    host.driver.definitions.undefine(domain)
    assert stored(host) == {}
    assert not domain.facts.autostart
    with pytest.raises(DomainIsTransient):
        host.driver.definitions.undefine(domain)
    host.driver.lifecycle.destroy(domain, graceful=False)
    assert nothing_is_taken(host)
    assert not host.services.store.directory(domain.uuid).exists()


def test_autostart_is_stored(host: FakeHost) -> None:
    domain = host.define("one")
    host.driver.definitions.set_autostart(domain, autostart=True)
    assert stored(host) == {"one": True}
    host.driver.definitions.define(with_uuid(domain_xml("one"), domain.uuid))
    assert stored(host) == {"one": True}


def test_a_run_in_another_form_holds_its_image_too(host: FakeHost) -> None:
    write_image(host.root, "other", config={"Env": ["OTHER=1"]})
    domain = host.define("one")
    once = with_uuid(domain_xml("one", image="other", memory_mib=128), domain.uuid)
    assert host.driver.create(once, paused=False) is domain
    assert domain.persistent
    assert holders(host, "other") == holders(host) == (str(domain.uuid),)
    assert domain.config.memory_kib == 128 * 1024
    host.driver.lifecycle.destroy(domain, graceful=False)
    assert domain.config.memory_kib == 64 * 1024
    assert stored(host) == {"one": False}


def test_every_interface_has_a_mac_that_stays(host: FakeHost) -> None:
    device = "<interface type='bridge'><source bridge='br0'/></interface>"
    domain = host.define("one", devices=device * 2)
    macs = [interface.mac for interface in domain.config.interfaces]
    assert None not in macs
    assert len(set(macs)) == 2
    host.driver.lifecycle.start(domain, paused=False)
    assert [interface.mac for interface in domain.config.interfaces] == macs
    assert [interface.target for interface in domain.next_config.interfaces] == [None, None]


def test_settings_of_an_interface_that_is_not_there_are_told(
    host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    settings = [f"<covirt:interface mac='52:54:00:00:00:0{number}' dhcp='no'/>" for number in (1, 2)]
    device = "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface>"
    host.define("one", settings="".join(settings), devices=device)
    told = [record.getMessage() for record in caplog.records if "No <interface>" in record.getMessage()]
    assert told == ["No <interface> has these MAC addresses yet domain=one macs=52:54:00:00:00:02"]


def test_a_broken_file_of_one_does_not_hide_another(host: FakeHost, caplog: pytest.LogCaptureFixture) -> None:
    broken, whole = host.define("one"), host.define("two")
    file_of(host, broken).write_text("{")
    records, complaints = host.services.store.load_all()
    assert [record.uuid for record in records] == [whole.uuid]
    assert [complaint.path for complaint in complaints] == [file_of(host, broken)]


def file_of(host: FakeHost, domain: Domain) -> Path:
    return host.services.store.directory(domain.uuid) / "domain.json"
