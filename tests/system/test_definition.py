# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a definition says is what the process inside sees, with each runtime."""

from pathlib import Path
from typing import Unpack

from covirt.common.process import run
from tests.support.roots import new_directory
from tests.support.virtocid import SECONDS, Virtocid, XmlParts, serve_virtocid
from tests.support.waiting import wait_until
from tests.system.test_stop_causes import told
from tests.system.test_virsh_lifecycle import each_runtime


def said(virtocid: Virtocid, script: str, **parts: Unpack[XmlParts]) -> list[str]:
    """Run a script to its end as a container; the lines it wrote."""
    virtocid.run("box", ("/bin/sh", "-c", f"{script}; echo end"), **parts)
    virtocid.wait_for_output("box", "end")
    lines = virtocid.console_log("box").splitlines()
    return [line.split(" ", 3)[3].rstrip("\r") for line in lines][:-1]


@each_runtime
def test_defaults(virtocid: Virtocid, runtime: str) -> None:
    script = (
        "id -u; hostname; pwd; echo $PATH; cat /proc/self/status | grep -E 'NoNewPrivs|Seccomp:|CapEff';"
        "cat /proc/1/uid_map; ls -ld /proc/kcore; echo x > /proc/sys/kernel/domainname; mount -t tmpfs x /tmp"
    )
    lines = said(virtocid, script, runtime=runtime)
    assert lines[:4] == ["0", "box", "/", "/bin:/usr/bin"]
    assert any(line.split() == ["NoNewPrivs:", "1"] for line in lines)
    assert any(line.split() == ["Seccomp:", "2"] for line in lines)
    assert any(line.split()[0] == "0" and line.split()[2] == "65536" for line in lines if len(line.split()) == 3)
    assert sum("denied" in line or "Read-only" in line or "not permitted" in line for line in lines) == 2


@each_runtime
def test_process(virtocid: Virtocid, runtime: str) -> None:
    more = "<inituser>web</inituser><initgroup>logs</initgroup><initdir>/www</initdir>"
    virtocid.define("box", ("/bin/sh", "-c", "id; pwd; echo $COLOUR; echo end"), runtime=runtime)
    text = virtocid.tell("dumpxml", "--inactive", "box")
    text = text.replace("</os>", f"<initenv name='COLOUR'>deep &lt;blue&gt;</initenv>{more}</os>")
    with virtocid.xml_file(text) as path:
        virtocid.virsh("define", str(path))
    virtocid.virsh("start", "box")
    virtocid.wait_for_output("box", "end")
    output = virtocid.console_log("box")
    assert "uid=101(web) gid=103(logs)" in output
    assert "/www" in output
    assert "deep <blue>" in output


def test_settings(virtocid: Virtocid) -> None:
    settings = (
        "<covirt:hostname>shop.example.org</covirt:hostname><covirt:root readonly='yes'/>"
        "<covirt:capabilities><covirt:add name='NET_ADMIN'/><covirt:drop name='CHOWN'/></covirt:capabilities>"
        "<covirt:rlimit name='nofile' soft='100' hard='200'/><covirt:shm unit='MiB'>8</covirt:shm>"
        "<covirt:sysctl name='net.ipv4.ip_unprivileged_port_start' value='80'/>"
        "<covirt:dns><covirt:nameserver address='192.0.2.53'/><covirt:search domain='example.org'/></covirt:dns>"
    )
    script = (
        "hostname; touch /new; ulimit -n; df -m /dev/shm | tail -1; cat /etc/resolv.conf;"
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; touch /dev/shm/x; chown 5 /dev/shm/x || echo may not;"
        "ip link set lo down && echo may"
    )
    lines = said(virtocid, script, settings=settings)
    text = "\n".join(lines)
    assert lines[0] == "shop.example.org"
    assert "/new: Read-only file system" in text
    assert "100" in lines
    assert "nameserver 192.0.2.53" in lines
    assert "search example.org" in lines
    assert "80" in lines
    assert "may" in lines
    assert "may not" in lines


def test_memory_file_system(virtocid: Virtocid) -> None:
    devices = "<filesystem type='ram'><source usage='2' units='MiB'/><target dir='/scratch'/></filesystem><console/>"
    lines = said(virtocid, "dd if=/dev/zero of=/scratch/x bs=1M count=4; stat -f -c %T /scratch", devices=devices)
    assert any("No space left" in line for line in lines)
    assert "tmpfs" in lines


def test_limits_are_enforced(virtocid: Virtocid) -> None:
    settings = "<covirt:processes limit='8'/>"
    script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done; echo started"
    virtocid.run("box", ("/bin/sh", "-c", script), settings=settings)
    virtocid.wait_for_output("box", "fork")


def test_reaper(virtocid: Virtocid) -> None:
    """An orphan that ends is waited for by the init in front, and the container's own exit code is kept."""
    script = "(sh -c 'sleep 0.1 & exit 0'); sleep 1; ps; exit 6"
    virtocid.run("box", ("/bin/sh", "-c", script), settings="<covirt:init reaper='yes'/>")
    virtocid.wait_for_state("box", "shut off (crashed)")
    assert "Z" not in [line.split()[-1] for line in virtocid.console_log("box").splitlines() if "sleep" in line]
    assert told(virtocid, "box").exit_code == "6"


@each_runtime
def test_host_directory_that_is_allowed(busybox_layout: Path, runtime: str) -> None:
    with new_directory() as shown:
        (shown / "note").write_text("from the host\n")
        configuration = f"[container]\nallowed_directories = ['{shown}']\n"
        devices = (
            f"<filesystem type='mount'><source dir='{shown}'/><target dir='/host'/><readonly/></filesystem><console/>"
        )
        with serve_virtocid(busybox_layout, configuration=configuration) as own, own.used_by_a_test() as virtocid:
            lines = said(virtocid, "cat /host/note; touch /host/new", runtime=runtime, devices=devices)
            assert lines[0] == "from the host"
            assert "Read-only file system" in lines[1]
            assert list(shown.iterdir()) == [shown / "note"]


def test_log_file_of_the_definition(virtocid: Virtocid) -> None:
    place = virtocid.root.path / "var/log/covirt/web.log"
    place.parent.mkdir(parents=True)
    virtocid.run("web", devices=f"<console type='pty'><log file='{place}'/></console>")
    wait_until(lambda: "serving" in place.read_text(), what="a line in the log")
    assert virtocid.console_log("web") == ""


def test_virsh_edit(virtocid: Virtocid) -> None:
    virtocid.define("web")
    words = ["virsh", "-q", "-c", virtocid.uri, "edit", "web"]
    editor = {"EDITOR": "sed -i s/65536/131072/g"}
    run(words, environment=editor, timeout_seconds=SECONDS)
    assert "131072 KiB" in virtocid.tell("dominfo", "web")
