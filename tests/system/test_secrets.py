# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets, as stock virsh and libvirt-python know them."""

import base64
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from covirt.wire import procedures as proc
from covirt.wire import procedures_secret as secret
from covirt.wire import structs as s
from covirt.wire import structs_secret as x
from tests.support.listener import listening
from tests.support.virtocid import Virtocid
from tests.support.wire_client import CallFailed, WireClient

pytestmark = [pytest.mark.root, pytest.mark.runc]

_ID = "0a1b2c3d-1111-2222-3333-444455556666"
_VALUE = b"correct horse \xff battery"
_OTHER = "0a1b2c3d-1111-2222-3333-444455557777"


@pytest.fixture(autouse=True)
def no_secrets_left(virtocid: Virtocid) -> Iterator[None]:
    yield
    for uuid in listed(virtocid):
        virtocid.virsh("secret-undefine", uuid)


def listed(virtocid: Virtocid, *options: str) -> list[str]:
    return [line.split()[0] for line in virtocid.tell("secret-list", *options).splitlines()]


def secret_xml(uuid: str = _ID, usage: str = "db", *, ephemeral: str = "no", private: str = "no") -> str:
    return (
        f"<secret ephemeral='{ephemeral}' private='{private}'><uuid>{uuid}</uuid><description>A shop</description>"
        f"<usage type='ceph'><name>{usage}</name></usage></secret>"
    )


def define(virtocid: Virtocid, text: str) -> None:
    with virtocid.xml_file(text) as path:
        virtocid.virsh("secret-define", str(path))


def give(virtocid: Virtocid, value: bytes = _VALUE, uuid: str = _ID) -> None:
    path = virtocid.root.path / "value"
    path.write_bytes(value)
    try:
        virtocid.virsh("secret-set-value", uuid, "--file", str(path), "--plain")
    finally:
        path.unlink()


def test_a_whole_life_with_virsh(virtocid: Virtocid) -> None:
    define(virtocid, secret_xml())
    assert virtocid.tell("secret-list").split() == [_ID, "ceph", "db"]
    text = virtocid.tell("secret-dumpxml", _ID)
    assert "<secret ephemeral='no' private='no'>" in text
    assert "<name>db</name>" in text
    assert "does not have a value" in virtocid.refusal("secret-get-value", _ID)
    give(virtocid)
    assert base64.b64decode(virtocid.tell("secret-get-value", _ID)) == _VALUE
    virtocid.virsh("secret-set-value", _ID, "--base64", base64.b64encode(b"new").decode())
    assert virtocid.tell("secret-get-value", _ID, "--plain") == "new"
    virtocid.virsh("secret-undefine", _ID)
    assert virtocid.tell("secret-list") == ""
    assert "Secret not found" in virtocid.refusal("secret-dumpxml", _ID)


@pytest.mark.parametrize("ephemeral", ["no", "yes"])
def test_both_kinds_outlive_the_daemon(virtocid: Virtocid, ephemeral: str) -> None:
    define(virtocid, secret_xml(ephemeral=ephemeral))
    give(virtocid)
    virtocid.restart()
    assert base64.b64decode(virtocid.tell("secret-get-value", _ID)) == _VALUE


def test_filters_of_virsh(virtocid: Virtocid) -> None:
    define(virtocid, secret_xml())
    define(virtocid, secret_xml(_OTHER, "web", ephemeral="yes", private="yes"))
    assert listed(virtocid, "--ephemeral") == listed(virtocid, "--private") == [_OTHER]
    assert listed(virtocid, "--no-ephemeral") == listed(virtocid, "--no-private") == [_ID]


def test_a_private_value_is_not_told(virtocid: Virtocid) -> None:
    define(virtocid, secret_xml(private="yes"))
    give(virtocid)
    assert "secret is private" in virtocid.refusal("secret-get-value", _ID)
    with virtocid.xml_file(secret_xml()) as path:
        assert "cannot change private flag" in virtocid.refusal("secret-define", str(path))


def test_as_libvirt_python_sees_it(virtocid: Virtocid) -> None:
    with virtocid.connect() as connection:
        made = connection.secretDefineXML(secret_xml(), libvirt.VIR_SECRET_DEFINE_VALIDATE)
        made.setValue(_VALUE)
        assert made.value() == _VALUE
        assert (made.usageType(), made.usageID()) == (libvirt.VIR_SECRET_USAGE_TYPE_CEPH, "db")
        assert connection.secretLookupByUUIDString(_ID).UUIDString() == _ID
        found = connection.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_CEPH, "db")
        assert found.UUIDString() == _ID
        assert (connection.numOfSecrets(), connection.listSecrets()) == (1, [_ID])
        with pytest.raises(libvirt.libvirtError) as caught:
            connection.secretDefineXML(secret_xml(_OTHER))
        assert caught.value.get_error_code() == libvirt.VIR_ERR_INTERNAL_ERROR
        with pytest.raises(libvirt.libvirtError) as caught:
            connection.secretLookupByUUIDString(_OTHER)
        assert (caught.value.get_error_code(), caught.value.get_error_domain()) == (
            libvirt.VIR_ERR_NO_SECRET,
            libvirt.VIR_FROM_SECRET,
        )


def test_events(virtocid: Virtocid) -> None:
    with listening(virtocid, secrets=True) as one, listening(virtocid, secrets=True, readonly=True) as other:
        define(virtocid, secret_xml())
        give(virtocid)
        virtocid.virsh("secret-undefine", _ID)
        for listener in (one, other):
            assert [listener.line() for _ in range(3)] == [
                f"secret {_ID} 0",
                f"secret-value {_ID}",
                f"secret {_ID} 1",
            ]


def test_virsh_waits_for_an_event(virtocid: Virtocid) -> None:
    assert virtocid.tell("secret-event", "--list").split() == ["lifecycle", "value-changed"]


def test_a_read_only_connection_learns_no_value_and_changes_nothing(virtocid: Virtocid) -> None:
    define(virtocid, secret_xml())
    give(virtocid)
    assert listed(virtocid) == [_ID]
    assert virtocid.tell("secret-list", readonly=True).split() == [_ID, "ceph", "db"]
    assert "<name>db</name>" in virtocid.tell("secret-dumpxml", _ID, readonly=True)
    for command in ("secret-get-value", "secret-undefine"):
        assert "read only access" in virtocid.refusal(command, _ID, readonly=True)
    with virtocid.xml_file(secret_xml(_OTHER, "web")) as path:
        assert "read only access" in virtocid.refusal("secret-define", str(path), readonly=True)
        words = ("secret-set-value", _ID, "--file", str(path))
        assert "read only access" in virtocid.refusal(*words, readonly=True)


@pytest.mark.parametrize(("socket", "flags"), [("virtocid-sock-ro", 0), ("virtocid-sock", 1)])
def test_the_server_does_not_rely_on_the_client(virtocid: Virtocid, socket: str, flags: int) -> None:
    define(virtocid, secret_xml())
    give(virtocid)
    with WireClient(virtocid.root.libvirt_dir / socket) as client:
        client.open(flags=flags)
        found = client.call(proc.CONNECT_LIST_ALL_SECRETS, s.ListArgs(need_results=1, flags=0)).secrets[0]
        calls = (
            lambda: client.call(secret.SECRET_GET_VALUE, x.SecretFlagsArgs(secret=found, flags=0)),
            lambda: client.call(secret.SECRET_UNDEFINE, x.SecretArgs(secret=found)),
            lambda: client.call(secret.SECRET_SET_VALUE, x.SecretSetValueArgs(secret=found, value=b"x", flags=0)),
        )
        for call in calls:
            with pytest.raises(CallFailed, match="read only access"):
                call()
    assert base64.b64decode(virtocid.tell("secret-get-value", _ID)) == _VALUE


def test_values_are_in_files_of_root_alone_and_in_no_log(virtocid: Virtocid) -> None:
    define(virtocid, secret_xml())
    define(virtocid, secret_xml(_OTHER, "web", ephemeral="yes"))
    for uuid in (_ID, _OTHER):
        give(virtocid, b"correct horse battery", uuid)
        virtocid.tell("secret-get-value", uuid)
    encoded = base64.b64encode(b"correct horse battery").decode()
    assert encoded not in virtocid.log
    assert "correct horse" not in virtocid.log
    holding = [path for path in _files(virtocid.root.path) if encoded in path.read_text(errors="replace")]
    assert sorted(path.name for path in holding) == [f"{_ID}.base64", f"{_OTHER}.base64"]
    assert all(path.stat().st_mode & 0o777 == 0o600 and path.stat().st_uid == 0 for path in holding)


def _files(top: Path) -> Iterator[Path]:
    return (path for path in top.rglob("*") if path.is_file() and not path.is_symlink() and path.suffix != ".raw")
