# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Containers that end by themselves start again as their policy says, and stay off when a user says so."""

import os
import signal
from typing import Final

from tests.support.hotplug import container_pid
from tests.support.listener import listening
from tests.support.virtocid import SECONDS, Virtocid
from tests.support.waiting import wait_until
from tests.support.xml_facts import facts

CAUSE: Final = "https://covirt.org/xmlns/stop-cause/1.0"
# Fails as long as its (kept) root layer is young; then it serves.
THIRD_TIME: Final = (
    "/bin/sh",
    "-c",
    "echo run >>/runs; [ $(wc -l </runs) -ge 3 ] || exit 3; trap 'exit 0' TERM; echo serving; sleep 1000 & wait",
)
FAILS: Final = ("/bin/sh", "-c", "exit 3")
SOON: Final = "<covirt:restart policy='on-failure' delay='0.1' max-delay='0.2'/>"
LATE: Final = "<covirt:restart policy='on-failure' delay='3600' max-delay='3600'/>"
CRASHED: Final = "lifecycle web -1 5 2"


def cause(virtocid: Virtocid, fact: str) -> str:
    return "".join(facts(virtocid.tell("metadata", "web", CAUSE, readonly=True), f"@{fact}"))


def waits(virtocid: Virtocid) -> None:
    virtocid.wait_for_state("web", "shut off (crashed)")
    wait_until(lambda: cause(virtocid, "restartsAt") != "", what="a planned restart")


def test_it_fails_twice_and_then_serves(virtocid: Virtocid) -> None:
    virtocid.define("web", THIRD_TIME, settings=SOON)
    with listening(virtocid) as listener:
        virtocid.virsh("start", "web")
        virtocid.wait_for_output("web", "serving")
        heard = listener.until(CRASHED) + listener.until(CRASHED)
    assert f"metadata web 2 {CAUSE}" in heard, "the cause is told before the end"
    assert "reboot web" not in heard
    assert virtocid.state("web") == "running (booted)"
    assert cause(virtocid, "kind") == "exited"
    assert cause(virtocid, "restartsAt") == ""
    virtocid.virsh("shutdown", "web")
    virtocid.wait_for_state("web", "shut off (shutdown)")
    assert cause(virtocid, "restartsAt") == ""


def test_a_kill_from_outside_is_a_failure_and_a_destroy_is_none(virtocid: Virtocid) -> None:
    virtocid.run("web", settings=SOON)
    virtocid.wait_for_output("web", "serving")
    first = virtocid.tell("domid", "web")
    os.kill(container_pid(virtocid, "web"), signal.SIGKILL)
    wait_until(
        lambda: virtocid.state("web") == "running (booted)" and virtocid.tell("domid", "web") != first,
        timeout_seconds=SECONDS,
        what="the second run",
    )
    virtocid.virsh("destroy", "web")
    assert virtocid.state("web") == "shut off (destroyed)"
    assert cause(virtocid, "restartsAt") == ""


def test_while_it_waits_people_are_told_and_a_destroy_cancels(virtocid: Virtocid) -> None:
    virtocid.run("web", FAILS, settings=LATE)
    waits(virtocid)
    assert cause(virtocid, "attempt") == "1"
    assert f"starts again at {cause(virtocid, 'restartsAt')[:16]}" in virtocid.tell("dominfo", "web", readonly=True)
    assert "restartsAt" in virtocid.tell("dumpxml", "web", readonly=True)
    with listening(virtocid) as listener:
        virtocid.virsh("destroy", "web")
        assert listener.line() == f"metadata web 2 {CAUSE}"
    assert "starts again" not in virtocid.tell("dominfo", "web")
    assert "is not running" in virtocid.refusal("destroy", "web")


def test_the_wait_outlives_the_daemon_and_a_shutdown_ends_it(virtocid: Virtocid) -> None:
    virtocid.run("web", FAILS, settings=LATE)
    waits(virtocid)
    virtocid.restart()
    assert cause(virtocid, "attempt") == "1"
    virtocid.virsh("shutdown", "web")
    virtocid.restart()
    assert cause(virtocid, "restartsAt") == ""


def test_the_next_daemon_starts_it_in_time(virtocid: Virtocid) -> None:
    settings = "<covirt:restart policy='on-failure' delay='2'/>"
    virtocid.define("web", THIRD_TIME, settings=settings)
    virtocid.virsh("start", "web")
    waits(virtocid)
    virtocid.kill()
    virtocid.start()
    wait_until(lambda: cause(virtocid, "attempt") == "2", timeout_seconds=SECONDS, what="the second failure")
    virtocid.virsh("start", "web")  # the third run, before its time
    virtocid.wait_for_output("web", "serving")


def test_killed_while_the_container_crashes(virtocid: Virtocid) -> None:
    virtocid.run("web", settings=SOON)
    virtocid.wait_for_output("web", "serving")
    pid = container_pid(virtocid, "web")
    virtocid.kill()
    os.kill(pid, signal.SIGKILL)
    virtocid.start()
    wait_until(
        lambda: virtocid.console_log("web").count("serving") == 2, timeout_seconds=SECONDS, what="the second run"
    )


def test_libvirts_own_words(virtocid: Virtocid) -> None:
    always = "<on_poweroff>restart</on_poweroff><on_crash>restart</on_crash>"
    virtocid.run("web", ("/bin/sh", "-c", "echo run; exit 0"), more=always)
    virtocid.wait_for_state("web", "shut off (shutdown)")
    wait_until(lambda: cause(virtocid, "attempt") == "2", timeout_seconds=SECONDS, what="the second end")
    virtocid.virsh("undefine", "web")
    virtocid.run("web", ("/bin/sh", "-c", "exit 0"), more="<on_crash>restart</on_crash>")
    virtocid.wait_for_state("web", "shut off (shutdown)")
    assert cause(virtocid, "restartsAt") == ""


def test_a_redefinition_while_it_waits_decides_anew(virtocid: Virtocid) -> None:
    virtocid.run("web", FAILS, settings="<covirt:restart policy='on-failure' delay='1'/>")
    waits(virtocid)
    uuid = virtocid.tell("domuuid", "web")
    virtocid.define("web", FAILS, more=f"<uuid>{uuid}</uuid>")
    wait_until(lambda: not cause(virtocid, "restartsAt"), timeout_seconds=SECONDS, what="the new policy")
    assert virtocid.state("web") == "shut off (crashed)"
