# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""virsh from define to undefine, with each runtime."""

from pathlib import Path

import pytest

from tests.support.hotplug import container_pid
from tests.support.virtocid import SERVICE, STUBBORN, Virtocid, domain_xml
from tests.support.waiting import wait_until

RUNTIMES = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("runc", "crun")]
each_runtime = pytest.mark.parametrize("runtime", RUNTIMES)


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@each_runtime
def test_define_start_shutdown_undefine(virtocid: Virtocid, runtime: str) -> None:
    virtocid.define("web", runtime=runtime)
    assert virtocid.state("web") == "shut off (unknown)"
    assert virtocid.virsh("domid", "web").stdout.strip() == b"-"
    virtocid.virsh("start", "web")
    assert virtocid.state("web") == "running (booted)"
    assert f"<covirt:runtime>{runtime}</covirt:runtime>" in virtocid.tell("dumpxml", "web")
    virtocid.wait_for_output("web", "serving")
    pid = container_pid(virtocid, "web")
    assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/bin/sh\0-c\0")
    virtocid.virsh("shutdown", "web")
    virtocid.wait_for_state("web", "shut off (shutdown)")
    assert not Path(f"/proc/{pid}").exists()
    virtocid.virsh("undefine", "web")
    assert virtocid.tell("list", "--all", "--name") == ""


@each_runtime
def test_create_is_forgotten_at_its_end(virtocid: Virtocid, runtime: str) -> None:
    with virtocid.xml_file(domain_xml("once", runtime=runtime)) as path:
        virtocid.virsh("create", str(path))
    assert "Persistent:     no" in virtocid.tell("dominfo", "once")
    assert virtocid.tell("list", "--transient", "--name") == "once"
    virtocid.virsh("destroy", "once")
    assert "failed to get domain 'once'" in virtocid.refusal("domstate", "once")


def test_transient_domain_becomes_persistent_and_back(virtocid: Virtocid) -> None:
    with virtocid.xml_file(domain_xml("web")) as path:
        virtocid.virsh("create", str(path))
    with virtocid.xml_file(virtocid.tell("dumpxml", "web", "--inactive")) as path:
        virtocid.virsh("define", str(path))
    assert "Persistent:     yes" in virtocid.tell("dominfo", "web")
    virtocid.virsh("undefine", "web")
    assert "Persistent:     no" in virtocid.tell("dominfo", "web")
    virtocid.virsh("destroy", "web")
    assert virtocid.tell("list", "--all", "--name") == ""


@each_runtime
def test_start_paused_suspend_resume(virtocid: Virtocid, runtime: str) -> None:
    virtocid.define("web", runtime=runtime)
    virtocid.virsh("start", "--paused", "web")
    assert virtocid.state("web") == "paused (user)"
    virtocid.virsh("resume", "web")
    assert virtocid.state("web") == "running (unpaused)"
    virtocid.wait_for_output("web", "serving")
    virtocid.virsh("suspend", "web")
    assert virtocid.state("web") == "paused (user)"
    ticks = virtocid.tell("domstats", "--cpu-total", "web")
    assert virtocid.tell("domstats", "--cpu-total", "web") == ticks
    assert "is paused" in virtocid.refusal("suspend", "web")
    virtocid.virsh("resume", "web")
    assert virtocid.state("web") == "running (unpaused)"
    assert "not paused" in virtocid.refusal("resume", "web")


@each_runtime
def test_suspended_container_can_be_shut_down(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("web", runtime=runtime)
    virtocid.wait_for_output("web", "serving")
    virtocid.virsh("suspend", "web")
    virtocid.virsh("shutdown", "web")
    virtocid.wait_for_state("web", "shut off (shutdown)")


@each_runtime
@pytest.mark.parametrize("how", ["suspended", "started paused"])
def test_paused_container_can_be_destroyed(virtocid: Virtocid, runtime: str, how: str) -> None:
    virtocid.define("web", runtime=runtime)
    if how == "suspended":
        virtocid.virsh("start", "web")
        virtocid.virsh("suspend", "web")
    else:
        virtocid.virsh("start", "--paused", "web")
    virtocid.virsh("destroy", "web")
    assert virtocid.state("web") == "shut off (destroyed)"


@each_runtime
def test_reboot_and_reset_keep_the_id_and_change_the_process(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("web", runtime=runtime)
    virtocid.wait_for_output("web", "serving")
    number, first = virtocid.tell("domid", "web"), container_pid(virtocid, "web")
    virtocid.virsh("reboot", "web")
    wait_until(lambda: not Path(f"/proc/{first}").exists(), what="the end of the first process")
    virtocid.wait_for_state("web", "running (booted)")
    second = container_pid(virtocid, "web")
    assert second != first
    virtocid.virsh("reset", "web")
    assert container_pid(virtocid, "web") not in (first, second)
    assert not Path(f"/proc/{second}").exists()
    assert virtocid.tell("domid", "web") == number


def test_reboot_that_is_configured_as_an_end(virtocid: Virtocid) -> None:
    virtocid.run("web", more="<on_reboot>destroy</on_reboot>")
    virtocid.wait_for_output("web", "serving")
    virtocid.virsh("reboot", "web")
    virtocid.wait_for_state("web", "shut off (shutdown)")


@each_runtime
def test_destroy_gracefully(virtocid: Virtocid, runtime: str) -> None:
    virtocid.run("polite", SERVICE, runtime=runtime)
    virtocid.wait_for_output("polite", "serving")
    virtocid.virsh("destroy", "--graceful", "polite")
    assert virtocid.state("polite") == "shut off (destroyed)"


def test_destroy_gracefully_gives_up_and_kills_nothing(virtocid: Virtocid) -> None:
    virtocid.run("rude", STUBBORN, settings="<covirt:stop timeout='1'/>")
    virtocid.wait_for_output("rude", "serving")
    assert "did not end within 1 seconds after SIGTERM" in virtocid.refusal("destroy", "--graceful", "rude")
    assert virtocid.state("rude") == "running (booted)"
    virtocid.virsh("destroy", "rude")
    assert virtocid.state("rude") == "shut off (destroyed)"


def test_stop_signal_of_the_definition(virtocid: Virtocid) -> None:
    script = "trap 'echo by signal; exit 0' USR1; trap '' TERM; echo serving; while :; do sleep 1000 & wait; done"
    virtocid.run("web", ("/bin/sh", "-c", script), settings="<covirt:stop signal='SIGUSR1'/>")
    virtocid.wait_for_output("web", "serving")
    virtocid.virsh("shutdown", "web")
    virtocid.wait_for_state("web", "shut off (shutdown)")
    assert "by signal" in virtocid.console_log("web")


def test_undefine_while_it_runs_leaves_it_running(virtocid: Virtocid) -> None:
    virtocid.run("web")
    virtocid.virsh("undefine", "web")
    assert virtocid.state("web") == "running (booted)"
    virtocid.virsh("destroy", "web")
    assert virtocid.tell("list", "--all", "--name") == ""
    assert list((virtocid.root.state_dir / "virtocid/domains").iterdir()) == []


def test_redefinition_takes_effect_at_the_next_start(virtocid: Virtocid) -> None:
    virtocid.run("web", memory_mib=64)
    text = virtocid.tell("dumpxml", "--inactive", "web").replace(str(64 * 1024), str(128 * 1024))
    with virtocid.xml_file(text) as path:
        virtocid.virsh("define", str(path))
    assert "Max memory:     65536 KiB" in virtocid.tell("dominfo", "web")
    virtocid.virsh("destroy", "web")
    virtocid.virsh("start", "web")
    assert "Max memory:     131072 KiB" in virtocid.tell("dominfo", "web")


def test_files_written_to_the_root_layer_are_kept_until_undefine(virtocid: Virtocid) -> None:
    script = "ls /kept; touch /kept; echo done"
    virtocid.run("web", ("/bin/sh", "-c", script))
    virtocid.wait_for_state("web", "shut off (shutdown)")
    assert "No such file" in virtocid.console_log("web")
    virtocid.virsh("start", "web")
    virtocid.wait_for_state("web", "shut off (shutdown)")
    assert virtocid.console_log("web").count("No such file") == 1
    uuid = virtocid.tell("domuuid", "web")
    virtocid.virsh("undefine", "web")
    assert not (virtocid.root.state_dir / "virtocid/domains" / uuid).exists()


def test_autostart(virtocid: Virtocid) -> None:
    virtocid.define("web")
    virtocid.virsh("autostart", "web")
    assert "Autostart:      enable" in virtocid.tell("dominfo", "web")
    assert virtocid.tell("list", "--all", "--autostart", "--name") == "web"
    virtocid.define("other")
    (virtocid.root.run_dir / "virtocid/autostarted").unlink()  # as after a boot of the host
    virtocid.restart()
    virtocid.wait_for_state("web", "running (booted)")
    assert virtocid.state("other") == "shut off (unknown)"
    virtocid.virsh("destroy", "web")
    virtocid.restart()
    assert virtocid.state("web") == "shut off (destroyed)"  # once per boot
    virtocid.virsh("autostart", "--disable", "web")
    assert "Autostart:      disable" in virtocid.tell("dominfo", "web")
