# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Health of real containers, as stock clients see it."""

from pathlib import Path
from typing import Final

import pytest

from tests.support.listener import listening
from tests.support.oci_layout import busybox_image, write_layout
from tests.support.roots import new_directory
from tests.support.virtocid import SECONDS, STUBBORN, Virtocid, import_image
from tests.support.waiting import wait_until
from tests.support.xml_facts import facts
from tests.system.test_virsh_lifecycle import each_runtime

URI: Final = "https://covirt.org/xmlns/health/1.0"
CAUSE: Final = "https://covirt.org/xmlns/stop-cause/1.0"
CHANGED: Final = f"metadata web 2 {URI}"
# Well from the start; USR1 makes it ill, USR2 well again.
PATIENT: Final = (
    "/bin/sh",
    "-c",
    """touch /tmp/well; trap 'rm /tmp/well' USR1; trap 'touch /tmp/well' USR2; trap 'exit 0' TERM; echo serving
    while :; do sleep 1000 & wait; done""",
)
SERVER: Final = ("/bin/sh", "-c", "trap 'exit 0' TERM; httpd -p 8080 -h /www; echo serving; sleep 1000 & wait")
QUICK: Final = "interval='0.2' timeout='5' retries='1'"


def health(virtocid: Virtocid, fact: str, *, readonly: bool = True) -> str:
    return "".join(facts(virtocid.tell("metadata", "web", URI, readonly=readonly), fact))


def wait_for(virtocid: Virtocid, status: str) -> None:
    wait_until(lambda: health(virtocid, "@status") == status, timeout_seconds=SECONDS, what=f"it to be {status}")


def check(inner: str, *, more: str = "") -> str:
    return f"<covirt:health {QUICK} {more}>{inner}</covirt:health>"


@pytest.fixture(scope="module")
def checked_image(virtocid_daemon: Virtocid) -> str:
    """An image whose HEALTHCHECK asks for the patient's file."""
    healthcheck = {
        "Test": ["CMD-SHELL", "test -e /tmp/well && echo $GREETING"],
        "Interval": 1_000_000_000,
        "Timeout": 5_000_000_000,
        "Retries": 1,
    }
    with new_directory() as path:
        image = busybox_image(Healthcheck=healthcheck, Env=["PATH=/bin:/usr/bin", "GREETING=all is well"])
        layout = write_layout(path / "layout", {"checked": image})
        import_image(virtocid_daemon.root, f"oci:{layout}:checked", "checked")
    return "checked"


@each_runtime
def test_the_images_own_check(virtocid: Virtocid, checked_image: str, runtime: str) -> None:
    with listening(virtocid) as listener:
        virtocid.run("web", PATIENT, image=checked_image, runtime=runtime)
        assert health(virtocid, "@status") in ("starting", "healthy")
        listener.until(CHANGED)
        assert health(virtocid, "@status") == "healthy"
        assert health(virtocid, "*/text()", readonly=False) == "all is well"
        assert health(virtocid, "*/text()") == ""
        virtocid.virsh("send-process-signal", "web", "1", "usr1")
        assert listener.line() == CHANGED
        assert health(virtocid, "@status") == "unhealthy"
        assert health(virtocid, "@failingStreak") != "0"
        assert facts(virtocid.tell("dumpxml", "web"), "metadata/covirthealth:health/@status") == ["unhealthy"]
        assert "unhealthy since" in virtocid.tell("dominfo", "web", readonly=True)
        virtocid.virsh("send-process-signal", "web", "1", "usr2")
        assert listener.line() == CHANGED
        assert health(virtocid, "@status") == "healthy"
    virtocid.virsh("shutdown", "web")
    virtocid.wait_for_state("web", "shut off (shutdown)")
    assert "not present" in virtocid.refusal("metadata", "web", URI)


def test_the_images_check_can_be_switched_off(virtocid: Virtocid, checked_image: str) -> None:
    off = "<covirt:health><covirt:none/></covirt:health>"
    virtocid.run("web", PATIENT, image=checked_image, settings=off)
    assert "not present" in virtocid.refusal("metadata", "web", URI)
    assert "covirthealth" not in virtocid.tell("dumpxml", "web")


@pytest.mark.parametrize(
    ("question", "status", "output"),
    [
        ("<covirt:http port='8080'/>", "healthy", "127.0.0.1:8080/: status 200"),
        ("<covirt:http port='8080' path='/absent'/>", "unhealthy", "127.0.0.1:8080/absent: status 404"),
        ("<covirt:http port='8080' path='/absent' status='404'/>", "healthy", "status 404"),
        ("<covirt:http port='8081'/>", "unhealthy", "127.0.0.1:8081: Connection refused"),
        ("<covirt:tcp port='8080'/>", "healthy", "127.0.0.1:8080: connected"),
        ("<covirt:tcp port='22'/>", "unhealthy", "127.0.0.1:22: Connection refused"),
        ("<covirt:command><covirt:argument>/no/such</covirt:argument></covirt:command>", "unhealthy", "/no/such"),
    ],
)
def test_questions(virtocid: Virtocid, question: str, status: str, output: str) -> None:
    virtocid.run(
        "web", SERVER, settings=check(question, more="start-period='0'").replace("retries='1'", "retries='3'")
    )
    wait_for(virtocid, status)
    assert output in health(virtocid, "*/text()", readonly=False)


def test_a_check_that_hangs_fails_and_is_killed(virtocid: Virtocid) -> None:
    command = "<covirt:command>echo begun; exec sleep 54321</covirt:command>"
    virtocid.run("web", settings=check(command).replace("timeout='5'", "timeout='0.5'"))
    wait_for(virtocid, "unhealthy")
    assert "did not end within 0.5 seconds" in health(virtocid, "*/text()", readonly=False)
    # Between two checks; what is not killed would be there for ever.
    wait_until(lambda: sleepers() == 0, timeout_seconds=SECONDS, what="the end of the check's process")


def sleepers() -> int:
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += b"54321" in path.read_bytes() and b"sleep\0" in path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@each_runtime
def test_what_is_unhealthy_starts_again(virtocid: Virtocid, runtime: str) -> None:
    settings = "<covirt:restart policy='on-failure' delay='0.1'/>" + check(
        "<covirt:command>test -e /tmp/well</covirt:command>", more="on-unhealthy='restart'"
    )
    virtocid.run("web", PATIENT, settings=settings, runtime=runtime)
    wait_for(virtocid, "healthy")
    first = virtocid.tell("domid", "web")
    with listening(virtocid) as listener:
        virtocid.virsh("send-process-signal", "web", "1", "usr1")
        heard = listener.until("lifecycle web -1 5 2")
        assert heard[0] == CHANGED
        wait_until(
            lambda: virtocid.tell("domid", "web") not in ("-", first), timeout_seconds=SECONDS, what="the next run"
        )
    wait_for(virtocid, "healthy")
    text = virtocid.tell("metadata", "web", CAUSE)
    assert facts(text, "@kind") == ["health"]
    assert "health check failed" in facts(text, "@message")[0]


def test_what_does_not_end_when_asked_is_killed_and_stays_off(virtocid: Virtocid) -> None:
    settings = "<covirt:stop timeout='1'/>" + check(
        "<covirt:command>false</covirt:command>", more="on-unhealthy='stop'"
    )
    virtocid.run("web", STUBBORN, settings=settings)
    virtocid.wait_for_state("web", "shut off (crashed)")
    assert facts(virtocid.tell("metadata", "web", CAUSE), "@kind") == ["health"]
    assert facts(virtocid.tell("metadata", "web", CAUSE), "@restartsAt") == []


def test_health_outlives_the_daemon(virtocid: Virtocid) -> None:
    virtocid.run("web", PATIENT, settings=check("<covirt:command>test -e /tmp/well</covirt:command>"))
    wait_for(virtocid, "healthy")
    since = health(virtocid, "@since")
    virtocid.restart()
    assert (health(virtocid, "@status"), health(virtocid, "@since")) == ("healthy", since)
    virtocid.virsh("send-process-signal", "web", "1", "usr1")
    wait_for(virtocid, "unhealthy")
