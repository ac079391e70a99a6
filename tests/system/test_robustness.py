# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What must not take a container, its files or the daemon with it: found by a hostile review, kept by these tests."""

import contextlib
import json
import os
import signal
import threading
from pathlib import Path

import libvirt

from covirt.common.process import DEVNULL, spawn
from tests.support.virtocid import STUBBORN, Virtocid
from tests.support.waiting import wait_until


def domain_directory(virtocid: Virtocid, name: str) -> Path:
    return virtocid.root.state_dir / "virtocid" / "domains" / virtocid.tell("domuuid", name).strip()


def monitor_pid(virtocid: Virtocid, name: str) -> int:
    uuid = virtocid.tell("domuuid", name).strip()
    return int((virtocid.root.run_dir / "virtocid" / "runs" / uuid / "monitor" / "conmon.pid").read_text())


def test_a_definition_that_cannot_be_read_keeps_its_files(virtocid: Virtocid) -> None:
    virtocid.run("web")
    directory = domain_directory(virtocid, "web")
    precious = directory / "root-layer" / "upper" / "precious"
    precious.write_text("data")
    virtocid.kill()
    definition = directory / "domain.json"
    good = definition.read_text()
    definition.write_text(json.dumps({**json.loads(good), "version": 99}))
    virtocid.start()
    assert virtocid.state("web").startswith("running")
    virtocid.virsh("destroy", "web")
    assert "web" not in virtocid.tell("list", "--all")
    assert precious.read_text() == "data"
    virtocid.kill()
    definition.write_text(good)
    virtocid.start()
    assert virtocid.state("web").startswith("shut off")
    assert precious.read_text() == "data"


def test_a_stop_that_was_refused_is_not_repeated_by_the_next_daemon(virtocid: Virtocid) -> None:
    virtocid.run("web", STUBBORN, settings="<covirt:stop timeout='1'/>")
    virtocid.wait_for_output("web", "serving")
    virtocid.refusal("destroy", "--graceful", "web")
    virtocid.virsh("shutdown", "web")
    virtocid.kill()
    virtocid.start()
    assert virtocid.state("web").startswith("running")
    virtocid.restart()
    assert virtocid.state("web").startswith("running")


def test_a_monitor_that_hangs_does_not_stop_the_daemon(virtocid: Virtocid) -> None:
    virtocid.run("web")
    pid = monitor_pid(virtocid, "web")
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(20):  # more than its socket's backlog
            with virtocid.connect() as connection:
                stream = connection.newStream(0)
                with contextlib.suppress(libvirt.libvirtError):
                    connection.lookupByName("web").openConsole(None, stream, 1)
                    stream.abort()
        assert "web" in virtocid.tell("list")
    finally:
        os.kill(pid, signal.SIGCONT)
    virtocid.virsh("destroy", "web")
    assert virtocid.state("web") == "shut off (destroyed)"


def test_a_stopped_monitor_cannot_keep_its_container(virtocid: Virtocid) -> None:
    virtocid.run("web")
    os.kill(monitor_pid(virtocid, "web"), signal.SIGSTOP)
    virtocid.virsh("destroy", "web")
    assert virtocid.state("web") == "shut off (destroyed)"


def test_defining_and_undefining_at_once(virtocid: Virtocid) -> None:
    """Two clients that take turns at one name: each call is answered soon, and nothing comes back from the dead."""
    with virtocid.xml_file(virtocid_xml(virtocid)) as path:
        failures: list[str] = []

        def turn(*words: str) -> None:
            for _ in range(10):
                done = virtocid.virsh(*words, check=False)
                if b"busy" in done.stderr:
                    failures.append(done.stderr.decode())

        threads = [
            threading.Thread(target=turn, args=words, name=words[0])
            for words in (("define", str(path)), ("undefine", "web"), ("define", str(path)), ("undefine", "web"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    virtocid.virsh("undefine", "web", check=False)
    virtocid.restart()
    assert "web" not in virtocid.tell("list", "--all")


def virtocid_xml(virtocid: Virtocid) -> str:
    virtocid.define("web")
    text = virtocid.tell("dumpxml", "--inactive", "web")
    virtocid.virsh("undefine", "web")
    return text


def test_a_full_disk_does_not_keep_a_domain_in_shutdown(virtocid: Virtocid) -> None:
    """A mount that refuses every write stands for it: the error is another, its way the same."""
    virtocid.run("web")
    domains = virtocid.root.state_dir / "virtocid" / "domains"
    with spawn(["mount", "--bind", "-o", "ro", domains, domains], stdout=DEVNULL) as mounted:
        assert mounted.wait(timeout_seconds=20) == 0
    with spawn(["mount", "-o", "remount,bind,ro", domains], stdout=DEVNULL) as mounted:
        assert mounted.wait(timeout_seconds=20) == 0
    try:
        virtocid.virsh("destroy", "web")
        wait_until(lambda: "could not be written down" in virtocid.log, what="the failure in the log")
        assert virtocid.state("web") == "shut off (destroyed)"
    finally:
        with spawn(["umount", domains], stdout=DEVNULL) as mounted:
            assert mounted.wait(timeout_seconds=20) == 0
