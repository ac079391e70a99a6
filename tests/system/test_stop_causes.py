# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every way to end, end to end: state and reason, the events, the metadata, the log."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.hotplug import container_pid
from tests.support.listener import Listener, listening
from tests.support.virtocid import SERVICE, STUBBORN, Virtocid
from tests.support.waiting import wait_until
from tests.support.xml_facts import facts
from tests.system.test_virsh_lifecycle import each_runtime

URI = "https://covirt.org/xmlns/stop-cause/1.0"
SHUTDOWN, DESTROYED, CRASHED, FAILED = 0, 1, 2, 5  # details of a STOPPED event
GUEST = "lifecycle web -1 6 1"  # SHUTDOWN, by the guest
EATER = ("/bin/sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=200M count=5")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the metadata says of the last stop."""

    kind: str
    exit_code: str
    signal: str
    message: str
    log: tuple[str, ...]


def told(virtocid: Virtocid, name: str = "web") -> Told:
    text = virtocid.tell("metadata", name, URI)
    kind, code, number, message = (
        "".join(facts(text, f"@{field}")) for field in ("kind", "exitCode", "signal", "message")
    )
    assert facts(text, "@when")[0].endswith("+00:00")
    dumped = virtocid.tell("dumpxml", "--inactive", name)
    assert facts(dumped, "metadata/covirtstop:cause/@kind", "metadata/covirtstop:cause/@message") == [kind, message]
    wait_until(lambda: f"cause={kind}" in virtocid.log, what=f"{kind} in the log")
    lines = tuple(facts(text, "*/text()"))
    return Told(kind=kind, exit_code=code, signal=number, message=message, log=lines)


def stopped(listener: Listener) -> list[str]:
    """The lifecycle events up to STOPPED; the cause is in the metadata before it is sent."""
    lines = [listener.line()]
    while not lines[-1].startswith("lifecycle web -1 5 "):
        lines.append(listener.line())
    assert f"metadata web 2 {URI}" in lines
    return [line for line in lines if line.startswith(("lifecycle web -1", "control-error"))]


def end_of(detail: int) -> str:
    return f"lifecycle web -1 5 {detail}"


@each_runtime
@pytest.mark.parametrize(
    ("script", "state", "kind", "code", "events"),
    [
        ("echo bye; exit 0", "shut off (shutdown)", "exited", "0", [GUEST, end_of(SHUTDOWN)]),
        ("echo oh no; exit 7", "shut off (crashed)", "exited", "7", [end_of(CRASHED)]),
        ("echo hit; kill -SEGV $$", "shut off (crashed)", "exited", "", [end_of(CRASHED)]),
    ],
)
def test_it_ends_by_itself(
    virtocid: Virtocid, runtime: str, script: str, state: str, kind: str, code: str, events: list[str]
) -> None:
    virtocid.define("web", ("/bin/sh", "-c", f"sleep 0.1; {script}; exit 9"), runtime=runtime)
    with listening(virtocid) as listener:
        virtocid.virsh("start", "web")
        heard = stopped(listener)
    cause = told(virtocid)
    if "SEGV" in script:  # the first process of a PID namespace ignores signals of its own: it goes on to exit 9
        code = "9"
    assert heard == events
    assert virtocid.state("web") == state
    assert (cause.kind, cause.exit_code, cause.signal) == (kind, code, "")
    assert cause.message == f"its process ended with exit code {code}"
    assert cause.log[-1] == script.split(";")[0].removeprefix("echo ")


@each_runtime
def test_killed_from_outside(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("web", runtime=runtime)
    with listening(virtocid) as listener:
        os.kill(container_pid(virtocid, "web"), signal.SIGKILL)
        assert stopped(listener) == [end_of(CRASHED)]
    assert virtocid.state("web") == "shut off (crashed)"
    cause = told(virtocid)
    assert (cause.kind, cause.exit_code, cause.signal) == ("signaled", "137", "9")
    assert cause.message == "its process was killed by SIGKILL"


@each_runtime
def test_out_of_memory(virtocid: Virtocid, runtime: str) -> None:
    virtocid.define("web", EATER, runtime=runtime, memory_mib=64)
    with listening(virtocid) as listener:
        virtocid.virsh("start", "web")
        assert stopped(listener) == [end_of(CRASHED)]
    cause = told(virtocid)
    assert virtocid.state("web") == "shut off (crashed)"
    assert (cause.kind, cause.signal) == ("oom", "9")
    assert "memory limit" in cause.message


def test_a_killed_child_is_not_the_end(virtocid: Virtocid) -> None:
    """The kernel kills a child at the memory limit, and the first process goes on and ends by itself."""
    script = "dd if=/dev/zero of=/dev/null bs=200M count=5; echo survived $?; exit 5"
    virtocid.run("web", ("/bin/sh", "-c", script), memory_mib=64)
    virtocid.wait_for_state("web", "shut off (crashed)")
    cause = told(virtocid)
    assert (cause.kind, cause.exit_code) == ("exited", "5")
    assert "survived 137" in cause.log


@pytest.mark.parametrize(
    ("command", "words", "state", "kind", "events"),
    [
        (SERVICE, ["shutdown", "web"], "shut off (shutdown)", "shutdown", [GUEST, end_of(SHUTDOWN)]),
        (SERVICE, ["destroy", "web"], "shut off (destroyed)", "destroy", [end_of(DESTROYED)]),
        (SERVICE, ["destroy", "web", "--graceful"], "shut off (destroyed)", "destroy", [end_of(DESTROYED)]),
        (STUBBORN, ["destroy", "web"], "shut off (destroyed)", "destroy", [end_of(DESTROYED)]),
    ],
)
def test_a_user_ends_it(
    virtocid: Virtocid, command: tuple[str, ...], words: list[str], state: str, kind: str, events: list[str]
) -> None:
    virtocid.run("web", command)
    virtocid.wait_for_output("web", "serving")
    with listening(virtocid) as listener:
        virtocid.virsh(*words)
        assert stopped(listener) == events
    assert virtocid.state("web") == state
    assert told(virtocid).kind == kind


def test_a_graceful_end_that_takes_too_long_is_no_end(virtocid: Virtocid) -> None:
    virtocid.run("web", STUBBORN, settings="<covirt:stop timeout='1'/>")
    virtocid.wait_for_output("web", "serving")
    virtocid.refusal("destroy", "--graceful", "web")
    assert "not present" in virtocid.refusal("metadata", "web", URI)
    os.kill(container_pid(virtocid, "web"), signal.SIGKILL)
    virtocid.wait_for_state("web", "shut off (crashed)")  # the request was withdrawn when its client was told


def test_reboot_and_reset_leave_a_cause_too(virtocid: Virtocid) -> None:
    virtocid.run("web")
    virtocid.wait_for_output("web", "serving")
    virtocid.virsh("reset", "web")
    assert virtocid.state("web") == "running (booted)"
    assert told(virtocid).kind == "destroy"
    wait_until(lambda: virtocid.console_log("web").count("serving") == 2, what="the second run")
    virtocid.virsh("reboot", "web")
    wait_until(lambda: told(virtocid).kind == "shutdown", what="the cause of the reboot")


@each_runtime
def test_program_that_is_missing(virtocid: Virtocid, runtime: str) -> None:
    """The text is the runtime's own, in one line."""
    virtocid.define("web", ("/no/such/program",), runtime=runtime)
    with listening(virtocid) as listener:
        text = virtocid.refusal("start", "web")
        assert stopped(listener) == [end_of(FAILED)]
    assert "domain 'web' could not be started" in text
    assert "/no/such/program" in text
    assert "o such file or directory" in text
    assert "level=" not in text
    assert '"msg"' not in text
    assert virtocid.state("web") == "shut off (failed)"
    cause = told(virtocid)
    assert cause.kind == "start_failed"
    assert "/no/such/program" in cause.message


@each_runtime
def test_monitor_is_lost(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("web", runtime=runtime)
    pid = container_pid(virtocid, "web")
    monitor = int((next((virtocid.root.run_dir / "virtocid/runs").iterdir()) / "monitor/conmon.pid").read_text())
    with listening(virtocid) as listener:
        os.kill(monitor, signal.SIGKILL)
        assert stopped(listener) == ["control-error web", end_of(FAILED)]
    assert virtocid.state("web") == "shut off (failed)"
    assert told(virtocid).kind == "supervisor_lost"
    assert not Path(f"/proc/{pid}").exists()


def test_host_was_rebooted(virtocid: Virtocid) -> None:
    """As a start-up after a reboot finds it: the record is of another boot, and its processes are no more."""
    virtocid.run("web")
    virtocid.run("restarted")
    virtocid.virsh("autostart", "restarted")
    virtocid.kill()
    for record in (virtocid.root.run_dir / "virtocid/runs").glob("*/run.json"):
        facts_of_run = json.loads(record.read_text())
        facts_of_run["boot_id"] = "00000000-0000-4000-8000-000000000000"
        record.write_text(json.dumps(facts_of_run))
        os.kill(int((record.parent / "monitor/conmon.pid").read_text()), signal.SIGKILL)
        os.kill(int((record.parent / "monitor/pid").read_text()), signal.SIGKILL)
    (virtocid.root.run_dir / "virtocid/autostarted").write_text("00000000-0000-4000-8000-000000000000")
    virtocid.start()
    assert virtocid.state("web") == "shut off (daemon)"
    assert told(virtocid).kind == "host"
    virtocid.wait_for_state("restarted", "running (booted)")
    assert told(virtocid, "restarted").kind == "host"


def test_the_cause_outlives_the_daemon_and_goes_with_the_definition(virtocid: Virtocid) -> None:
    virtocid.run("web", ("/bin/sh", "-c", "exit 7"))
    virtocid.wait_for_state("web", "shut off (crashed)")
    before = told(virtocid)
    virtocid.restart()
    assert virtocid.state("web") == "shut off (crashed)"
    assert told(virtocid) == before
    with virtocid.xml_file(virtocid.tell("dumpxml", "web")) as path:
        virtocid.virsh("define", str(path))  # what a client gives back of it is not believed
    assert told(virtocid) == before
    assert "is written by virtocid itself" in virtocid.refusal("metadata", "web", URI, "--key", "k", "--set", "<a/>")


def test_last_words_that_are_no_text(virtocid: Virtocid) -> None:
    virtocid.run("web", ("/bin/sh", "-c", r"printf 'a\000b\033[31mred\377\n'; printf 'unended'; exit 3"))
    virtocid.wait_for_state("web", "shut off (crashed)")
    assert "red" in "".join(told(virtocid).log)
