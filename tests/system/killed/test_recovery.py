# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon at any moment: containers go on, what ended meanwhile is told truly, nothing is left."""

import os
import random
import signal
import threading
from pathlib import Path

import libvirt
import pytest

from tests.support.hotplug import container_pid
from tests.support.listener import listening
from tests.support.network import LinuxBridge, fetch
from tests.support.traces import traces_of_runs
from tests.support.virtocid import SERVICE, Virtocid, bridge_device, domain_xml
from tests.support.waiting import wait_until
from tests.system.killed.steps import nothing_is_left
from tests.system.test_stop_causes import told
from tests.system.test_virsh_numbers import pairs


def test_containers_go_on(virtocid: Virtocid, linux_bridge: LinuxBridge) -> None:
    address = linux_bridge.guest_address(2)
    device = bridge_device(linux_bridge.name, f"{address}/24")
    virtocid.run("web", ("/bin/httpd", "-f", "-h", "/www"), devices=f"{device}<console/>")
    with virtocid.xml_file(domain_xml("once")) as path:
        virtocid.virsh("create", str(path))
    virtocid.run("still")
    virtocid.virsh("suspend", "still")
    page = fetch(f"http://{address}/index.html")
    before = {
        name: (virtocid.tell("domid", name), container_pid(virtocid, name)) for name in ("web", "once", "still")
    }
    xml = virtocid.tell("dumpxml", "web")
    received = pairs(virtocid.tell("domstats", "web", "--interface"))["net.0.rx.bytes"]
    virtocid.kill()
    assert fetch(f"http://{address}/index.html") == page
    virtocid.start()
    assert {name: (virtocid.tell("domid", name), container_pid(virtocid, name)) for name in before} == before
    assert virtocid.state("web") == "running (booted)"
    assert virtocid.state("still") == "paused (user)"
    assert virtocid.tell("list", "--transient", "--name") == "once"
    assert virtocid.tell("dumpxml", "web") == xml
    assert int(pairs(virtocid.tell("domstats", "web", "--interface"))["net.0.rx.bytes"]) > int(received)
    assert int(pairs(virtocid.tell("domstats", "web", "--cpu-total"))["cpu.time"]) > 0
    with listening(virtocid) as listener:
        virtocid.virsh("resume", "still")
        virtocid.virsh("destroy", "web")
        assert "lifecycle web -1 5 1" in listener.until("lifecycle web -1 5 1")
    virtocid.remove_domains()
    nothing_is_left(virtocid)


@pytest.mark.parametrize(
    ("script", "state", "code"), [("exit 0", "shut off (shutdown)", "0"), ("exit 42", "shut off (crashed)", "42")]
)
def test_container_that_ended_meanwhile(virtocid: Virtocid, script: str, state: str, code: str) -> None:
    virtocid.run("web", ("/bin/sh", "-c", f"trap '{script}' HUP; echo ready; while :; do sleep 0.05; done"))
    virtocid.wait_for_output("web", "ready")
    pid = container_pid(virtocid, "web")
    virtocid.kill()
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the process")
    virtocid.start()
    assert virtocid.state("web") == state
    assert (told(virtocid).kind, told(virtocid).exit_code) == ("exited", code)
    nothing_is_left(virtocid)


def test_monitor_that_was_lost_meanwhile(virtocid: Virtocid) -> None:
    virtocid.run("web")
    pid = container_pid(virtocid, "web")
    uuid = virtocid.tell("domuuid", "web")
    monitor = int((virtocid.root.run_dir / "virtocid/runs" / uuid / "monitor/conmon.pid").read_text())
    virtocid.kill()
    os.kill(monitor, signal.SIGKILL)
    virtocid.start()
    assert virtocid.state("web") == "shut off (failed)"
    assert told(virtocid).kind == "supervisor_lost"
    assert not Path(f"/proc/{pid}").exists()
    nothing_is_left(virtocid)


def test_transient_domain_that_ended_meanwhile_is_forgotten(virtocid: Virtocid) -> None:
    with virtocid.xml_file(domain_xml("once")) as path:
        virtocid.virsh("create", str(path))
    pid = container_pid(virtocid, "once")
    virtocid.kill()
    os.kill(pid, signal.SIGKILL)
    virtocid.start()
    assert virtocid.tell("list", "--all", "--name") == ""
    assert virtocid.image_users() == []
    nothing_is_left(virtocid)


def test_second_daemon_on_one_root(virtocid: Virtocid) -> None:
    virtocid.run("web")
    second = Virtocid(virtocid.root)
    child = second.launch()
    assert child.wait(timeout_seconds=60) == 1
    assert f"another virtocid (pid {virtocid.pid}) " in virtocid.log.splitlines()[-1]
    assert virtocid.state("web") == "running (booted)"


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again(virtocid: Virtocid, linux_bridge: LinuxBridge, seed: int) -> None:
    """At random moments while two clients start, stop, define and undefine as fast as they can."""
    device = bridge_device(linux_bridge.name)
    dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for _ in range(4):
        stop = threading.Event()
        clients = [
            threading.Thread(
                target=busy_client, args=(virtocid, f"web{number}", device, stop), name=f"client{number}"
            )
            for number in range(2)
        ]
        for client in clients:
            client.start()
        stop.wait(dice.uniform(0.05, 1.5))
        virtocid.kill()
        stop.set()
        for client in clients:
            client.join()
        virtocid.start()
        agrees_with_the_machine(virtocid)
    virtocid.remove_domains()
    nothing_is_left(virtocid)
    assert virtocid.image_users() == []
    assert list((virtocid.root.state_dir / "virtocid/domains").iterdir()) == []


def busy_client(virtocid: Virtocid, name: str, device: str, stop: threading.Event) -> None:
    """Until the daemon is killed, which every call may tell."""
    while not stop.is_set():
        try:
            with virtocid.connect() as connection:
                domain = connection.defineXML(domain_xml(name, SERVICE, devices=device))
                domain.create()
                domain.suspend()
                domain.resume()
                domain.reset()
                domain.destroy()
                domain.undefine()
                connection.createXML(domain_xml(f"{name}-once", ("/bin/true",)))
        except libvirt.libvirtError:
            continue


def agrees_with_the_machine(virtocid: Virtocid) -> None:
    """What is said to run runs, and nothing else does."""
    running = virtocid.tell("list", "--name").split()

    def monitors() -> int:
        return sum(trace.startswith("process") and "conmon" in trace for trace in traces_of_runs(virtocid.root))

    wait_until(
        lambda: monitors() == len(virtocid.tell("list", "--name").split()), what=f"a monitor for each of {running}"
    )
    for name in virtocid.tell("list", "--name").split():
        assert Path(f"/proc/{container_pid(virtocid, name)}").exists()
