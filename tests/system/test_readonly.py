# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Read-only connections: everybody may look, nobody may change, and secrets stay secret."""

import contextlib
import os
import socket
import stat
from collections.abc import Callable

import libvirt
import pytest

from covirt.wire import procedures as proc
from covirt.wire.structs import DomainArgs, DomainFlagsArgs, NameArgs
from tests.support.virtocid import SERVICE, Virtocid
from tests.support.wire_client import CallFailed, WireClient
from tests.support.xml_facts import facts

_SECRET = "correct horse battery staple"  # noqa: S105
_READING = (
    "list", "version", "nodeinfo", "capabilities", "hostname", "dominfo web", "domstate web", "dumpxml web",
    "domstats", "domblklist web", "domiflist web", "vcpuinfo web", "dommemstat web", "schedinfo web",
    "ttyconsole web", "desc web", "domid web", "cpu-stats web", "domifaddr web",
)  # fmt: skip
_WRITING = (
    "start idle", "shutdown web", "destroy web", "reboot web", "reset web", "suspend web", "resume web",
    "undefine web", "autostart web", "desc web --new-desc x", "metadata web urn:x --set <a/> --key k",
    "send-process-signal web 1 kill", "domrename web other", "managedsave web", "setmem web 32M",
)  # fmt: skip


def secretive(virtocid: Virtocid) -> str:
    return virtocid.run("web", SERVICE, environment={"PASSWORD": _SECRET})


def test_reading(virtocid: Virtocid) -> None:
    secretive(virtocid)
    for command in _READING:
        virtocid.virsh(*command.split(), readonly=True)
    assert virtocid.tell("domstate", "web", readonly=True) == "running"


def test_writing_is_refused(virtocid: Virtocid) -> None:
    secretive(virtocid)
    virtocid.define("idle")
    for command in _WRITING:
        assert "read only access" in virtocid.refusal(*command.split(), readonly=True), command
    with virtocid.xml_file("<domain type='oci'/>") as path:
        for command in ("define", "create"):
            assert "read only access" in virtocid.refusal(command, str(path), readonly=True)
    assert virtocid.state("web") == "running (booted)"


def test_environment_is_blank(virtocid: Virtocid) -> None:
    secretive(virtocid)
    assert facts(virtocid.tell("dumpxml", "web"), "//initenv/text()") == [_SECRET]
    for words in (("dumpxml", "web"), ("dumpxml", "web", "--inactive")):
        text = virtocid.tell(*words, readonly=True)
        assert facts(text, "//initenv/@name") == ["PASSWORD"]
        assert _SECRET not in text
    assert "forbidden" in virtocid.refusal("dumpxml", "web", "--security-info", readonly=True)


def test_last_words_are_blank(virtocid: Virtocid) -> None:
    virtocid.run("web", ("/bin/sh", "-c", "echo it is $PASSWORD; exit 4"), environment={"PASSWORD": _SECRET})
    virtocid.wait_for_state("web", "shut off (crashed)")
    assert _SECRET in virtocid.tell("dumpxml", "web")
    assert _SECRET not in virtocid.tell("dumpxml", "web", readonly=True)
    stop_cause = ("metadata", "web", "https://covirt.org/xmlns/stop-cause/1.0")
    assert _SECRET in virtocid.tell(*stop_cause)
    assert _SECRET not in virtocid.tell(*stop_cause, readonly=True)


def test_secret_is_in_no_log_and_in_no_file_of_others(virtocid: Virtocid) -> None:
    secretive(virtocid)
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")
    assert _SECRET not in virtocid.log
    for directory, names, files in os.walk(virtocid.root.path):
        names[:] = [name for name in names if not os.path.ismount(os.path.join(directory, name))]
        for name in files:
            path = os.path.join(directory, name)
            if stat.S_ISREG(os.lstat(path).st_mode) and _SECRET.encode() in read(path):
                assert not os.stat(path).st_mode & 0o077, f"{path} shows the secret"


def read(path: str) -> bytes:
    with contextlib.suppress(OSError), open(path, "rb") as file:  # a namespace is bound on a file
        return file.read()
    return b""


def test_console_is_refused(virtocid: Virtocid) -> None:
    secretive(virtocid)
    with virtocid.connect(readonly=True) as connection, pytest.raises(libvirt.libvirtError, match="read only access"):
        connection.lookupByName("web").openConsole(None, connection.newStream())


def test_server_does_not_rely_on_the_client(virtocid: Virtocid) -> None:
    """A client without libvirt's own courtesy check, on the read-only socket and with the read-only flag."""
    secretive(virtocid)
    sockets = virtocid.root.libvirt_dir
    for path, flags in ((sockets / "virtocid-sock-ro", 0), (sockets / "virtocid-sock", 1)):
        with WireClient(path) as client:
            client.open(flags=flags)
            dom = client.call(proc.DOMAIN_LOOKUP_BY_NAME, NameArgs(name="web")).dom
            text = client.call(proc.DOMAIN_GET_XML_DESC, DomainFlagsArgs(dom=dom, flags=0)).xml
            assert _SECRET not in text
            calls: list[Callable[[], object]] = [
                lambda: client.call(proc.DOMAIN_DESTROY, DomainArgs(dom=dom)),  # noqa: B023
                lambda: client.call(proc.DOMAIN_GET_XML_DESC, DomainFlagsArgs(dom=dom, flags=1)),  # noqa: B023
                lambda: client.call(proc.DOMAIN_SHUTDOWN_FLAGS, DomainFlagsArgs(dom=dom, flags=0)),  # noqa: B023
            ]
            for call in calls:
                with pytest.raises(CallFailed, match="read only access"):
                    call()
    assert virtocid.state("web") == "running (booted)"


def test_modes_of_the_sockets(virtocid: Virtocid) -> None:
    sockets = virtocid.root.libvirt_dir
    assert stat.S_IMODE((sockets / "virtocid-sock").stat().st_mode) == 0o660
    assert stat.S_IMODE((sockets / "virtocid-sock-ro").stat().st_mode) == 0o666


def test_a_stranger_may_look_and_not_change(virtocid: Virtocid) -> None:
    sockets = virtocid.root.libvirt_dir
    assert as_nobody(lambda: connects(str(sockets / "virtocid-sock-ro")))
    assert not as_nobody(lambda: connects(str(sockets / "virtocid-sock")))


def connects(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


def as_nobody(question: Callable[[], bool]) -> bool:
    """Ask in a process of user nobody."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        os._exit(0 if question() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
