# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Containers that are given secrets: they have them, and nobody else has."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from covirt.common.mountinfo import mounts_below
from covirt.common.process import Completed
from tests.support.virtocid import SERVICE, Virtocid, domain_xml
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.runc]

_ID = "0a1b2c3d-1111-2222-3333-444455556666"
_VALUE = "correct horse\nbattery staple"
_FILE = "<covirt:secret usage='db'/>"
_VARIABLE = "<covirt:secret usage='db' environment='DB_PASSWORD'/>"


def define_secret(virtocid: Virtocid, *, uuid: str = _ID, usage: str = "db", ephemeral: str = "yes") -> None:
    text = (
        f"<secret ephemeral='{ephemeral}' private='yes'><uuid>{uuid}</uuid>"
        f"<usage type='ceph'><name>{usage}</name></usage></secret>"
    )
    with virtocid.xml_file(text) as path:
        virtocid.virsh("secret-define", str(path))


def give(virtocid: Virtocid, value: bytes = _VALUE.encode(), *, uuid: str = _ID) -> None:
    with virtocid.connect() as connection:
        connection.secretLookupByUUIDString(uuid).setValue(value)


@pytest.fixture(autouse=True)
def secret(virtocid: Virtocid) -> Iterator[None]:
    define_secret(virtocid)
    give(virtocid)
    yield
    if not virtocid.running:
        virtocid.start()
    with virtocid.connect() as connection:
        for one in connection.listAllSecrets():
            one.undefine()


def inside(virtocid: Virtocid, *words: str) -> Completed:
    return virtocid.exec("web", "--", *words)


def told(virtocid: Virtocid, *words: str) -> str:
    completed = inside(virtocid, *words)
    assert completed.status == 0, completed.stderr.decode()
    return completed.stdout.decode()


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_a_file_for_the_containers_root_alone(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("web", settings=_FILE, runtime=runtime)
    assert told(virtocid, "cat", "/run/secrets/db") == _VALUE
    assert told(virtocid, "stat", "-c", "%a %u %g", "/run/secrets/db") == "400 0 0\n"
    assert inside(virtocid, "sh", "-c", "echo x > /run/secrets/db").status != 0
    assert inside(virtocid, "rm", "/run/secrets/db").status != 0
    assert inside(virtocid, "mount", "-o", "remount,rw", "/run/secrets/db").status != 0


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_a_file_belongs_to_who_the_process_starts_as(virtocid: Virtocid, runtime: str) -> None:
    """A process that is not root in its container has a secret for itself, and for no other user in there."""
    of_root = "<covirt:secret usage='db' path='/etc/of-root' uid='0'/>"
    text = domain_xml("web", settings=f"{_FILE}{of_root}", runtime=runtime)
    with virtocid.xml_file(text.replace("</os>", "<inituser>web</inituser></os>")) as path:
        virtocid.virsh("define", str(path))
    virtocid.virsh("start", "web")
    assert told(virtocid, "cat", "/run/secrets/db") == _VALUE
    assert told(virtocid, "stat", "-c", "%a %u %g", "/run/secrets/db") == "400 101 102\n"
    assert inside(virtocid, "cat", "/etc/of-root").status != 0


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_a_place_a_mode_and_an_owner(virtocid: Virtocid, runtime: str) -> None:
    where = f"<covirt:secret uuid='{_ID}' path='/etc/shop/db.key' mode='0440' uid='100' gid='101'/>"
    virtocid.run("web", settings=where, runtime=runtime)
    assert told(virtocid, "stat", "-c", "%a %u %g", "/etc/shop/db.key") == "440 100 101\n"
    with virtocid.connect() as connection:
        text = connection.lookupByName("web").XMLDesc()
    assert f"<covirt:secret uuid='{_ID}' path='/etc/shop/db.key' mode='0440' uid='100' gid='101'/>" in text


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_a_variable_of_the_process_and_of_others_started_in_it(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("web", settings=_VARIABLE, runtime=runtime)
    assert f"DB_PASSWORD={_VALUE}\0" in told(virtocid, "cat", "/proc/1/environ")
    assert told(virtocid, "sh", "-c", 'printf %s "$DB_PASSWORD"') == _VALUE


def test_both_of_one_secret_on_a_read_only_root(virtocid: Virtocid) -> None:
    virtocid.run("web", settings=f"{_FILE}{_VARIABLE}<covirt:root readonly='yes' layer='discarded'/>")
    assert (
        told(virtocid, "cat", "/run/secrets/db") == told(virtocid, "sh", "-c", 'printf %s "$DB_PASSWORD"') == _VALUE
    )


def test_a_file_in_memory_of_the_containers_own(virtocid: Virtocid) -> None:
    memory = "<filesystem type='ram'><source usage='1024' units='KiB'/><target dir='/run'/></filesystem>"
    virtocid.run("web", settings=_FILE, devices=memory)
    assert told(virtocid, "cat", "/run/secrets/db") == _VALUE


def test_any_bytes_in_a_file_and_text_alone_in_a_variable(virtocid: Virtocid) -> None:
    give(virtocid, b"\x00\xff" * 32768)
    virtocid.run("web", settings=_FILE)
    assert inside(virtocid, "cat", "/run/secrets/db").stdout == b"\x00\xff" * 32768
    virtocid.define("other", settings=_VARIABLE)
    assert f"the value of secret {_ID} (db) is no text" in virtocid.refusal("start", "other")


def test_one_that_is_not_there_or_has_no_value_is_named(virtocid: Virtocid) -> None:
    virtocid.define("web", settings="<covirt:secret usage='never'/>")
    assert "no secret with matching usage 'never'" in virtocid.refusal("start", "web")
    define_secret(virtocid, uuid=_ID.replace("6666", "7777"), usage="never")
    assert "(never) does not have a value" in virtocid.refusal("start", "web")
    give(virtocid, uuid=_ID.replace("6666", "7777"))
    virtocid.virsh("start", "web")
    assert told(virtocid, "cat", "/run/secrets/never") == _VALUE


def test_a_new_daemon_and_a_restart_by_policy(virtocid: Virtocid) -> None:
    virtocid.run("web", settings=f"{_FILE}{_VARIABLE}<covirt:restart policy='always' delay='0.1'/>")
    virtocid.restart()
    assert (
        told(virtocid, "cat", "/run/secrets/db") == told(virtocid, "sh", "-c", 'printf %s "$DB_PASSWORD"') == _VALUE
    )
    before = virtocid.tell("domid", "web")
    give(virtocid, b"another one")
    assert told(virtocid, "cat", "/run/secrets/db") == _VALUE, "what runs keeps what it was given"
    virtocid.virsh("send-process-signal", "web", "1", "kill")
    wait_until(lambda: virtocid.tell("domid", "web") not in ("-", before), timeout_seconds=60)
    assert told(virtocid, "cat", "/run/secrets/db") == "another one"


def test_a_reboot(virtocid: Virtocid) -> None:
    virtocid.run("web", settings=_FILE)
    virtocid.virsh("reset", "web")
    assert told(virtocid, "cat", "/run/secrets/db") == _VALUE


def test_they_are_gone_with_the_container(virtocid: Virtocid) -> None:
    virtocid.run("web", settings=f"{_FILE}{_VARIABLE}")
    virtocid.virsh("secret-undefine", _ID)
    assert told(virtocid, "cat", "/run/secrets/db") == _VALUE, "what runs keeps what it was given"
    assert {path.name for path in holding(virtocid)} >= {"0", "config.json"}
    virtocid.virsh("destroy", "web")
    assert holding(virtocid) == []
    assert not any("secrets" in entry.target for entry in mounts_below(virtocid.root.run_dir))


def test_a_kill_in_the_middle_leaves_no_value(virtocid: Virtocid) -> None:
    virtocid.run("web", settings=_FILE)
    virtocid.kill()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "conmon" in process.name() and str(virtocid.root.path) in " ".join(process.cmdline()):
                process.kill()
    virtocid.start()
    wait_until(lambda: virtocid.state("web").startswith("shut off"), timeout_seconds=60)
    virtocid.virsh("secret-undefine", _ID)
    assert holding(virtocid) == []


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_nobody_else_sees_the_value(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("web", SERVICE, settings=f"{_FILE}{_VARIABLE}", runtime=runtime)
    told(virtocid, "cat", "/run/secrets/db")
    virtocid.virsh("metadata", "web", "urn:x", "--key", "k", "--set", "<a/>", "--live")
    texts = [virtocid.log]
    for readonly in (False, True):
        texts += [virtocid.tell("dumpxml", "web", readonly=readonly), virtocid.tell("secret-dumpxml", _ID)]
        texts.append(virtocid.tell("domstats", readonly=readonly))
    texts.append(virtocid.tell("dumpxml", "web", "--security-info"))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            texts.append(" ".join(process.cmdline()))
    assert not any("correct horse" in text for text in texts)
    for path in holding(virtocid):
        status = path.stat()
        theirs = path.parent.name == "secrets"
        assert stat.S_IMODE(status.st_mode) & 0o077 == 0, f"{path} shows the value"
        assert status.st_uid == 0 or theirs, f"{path} is not root's"
        assert theirs or path.name == "config.json", f"{path} has no business with the value"


def holding(virtocid: Virtocid) -> list[Path]:
    """Files with the value in them, as text or as JSON writes it; overlays show the container's own."""
    words = (b"correct horse", b"Y29ycmVjdCBob3JzZ")  # base64
    found = []
    for directory, names, files in os.walk(virtocid.root.path):
        names[:] = [name for name in names if name not in ("rootfs", "lower", "namespaces", "value")]
        for name in files:
            path = Path(directory, name)
            if stat.S_ISREG(path.lstat().st_mode) and path.suffix not in (".raw", ".base64"):
                with contextlib.suppress(OSError):
                    data = path.read_bytes()
                    if any(word in data for word in words):
                        found.append(path)
    return found
