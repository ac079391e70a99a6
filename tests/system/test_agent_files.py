# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""guest-file-*, and looking into a container that does not want to be looked into."""

import base64
import json
import os
import signal
from pathlib import Path

import libvirt
import libvirt_qemu
import pytest

from covirt.virtocid.driver.agent.files import READ_BYTES
from covirt.virtocid.driver.agent.guest import MAX_HANDLES
from tests.support.agent import ask, read_file, refusal, serving, write_file
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until
from tests.system.test_virsh_lifecycle import each_runtime

_PROGRAM = "inside_program.py"


def helpers(virtocid: Virtocid) -> set[int]:
    """The daemon's helpers that are in containers now."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes()
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if _PROGRAM.encode() in words and parent == virtocid.pid:
            found.add(int(place.name))
    return found


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@each_runtime
def test_read_and_write(virtocid: Virtocid, runtime: str) -> None:
    serving(virtocid, "box", runtime=runtime)
    handle = ask(virtocid, "box", "guest-file-open", path="/new", mode="w+b")
    assert ask(virtocid, "box", "guest-file-write", handle=handle, **{"buf-b64": b64(b"0123456789")}) == {
        "count": 10,
        "eof": False,
    }
    write = {"handle": handle, "buf-b64": b64(b"abcdef"), "count": 2}
    assert ask(virtocid, "box", "guest-file-write", **write)["count"] == 2
    assert ask(virtocid, "box", "guest-file-flush", handle=handle) == {}
    for whence, offset, position in ((0, 4, 4), ("cur", 2, 6), (2, -4, 8), ("set", 3, 3), ("end", 0, 12)):
        seek = ask(virtocid, "box", "guest-file-seek", handle=handle, offset=offset, whence=whence)
        assert seek == {"position": position, "eof": False}
    ask(virtocid, "box", "guest-file-seek", handle=handle, offset=8, whence="set")
    read = ask(virtocid, "box", "guest-file-read", handle=handle, count=3)
    assert read == {"count": 3, "buf-b64": b64(b"89a"), "eof": False}
    assert ask(virtocid, "box", "guest-file-read", handle=handle)["eof"] is True
    assert len(helpers(virtocid)) == 1
    assert ask(virtocid, "box", "guest-file-close", handle=handle) == {}
    assert not helpers(virtocid)
    assert refusal(virtocid, "box", "guest-file-close", handle=handle) == f"handle '{handle}' has not been found"
    append = ask(virtocid, "box", "guest-file-open", path="/new", mode="a")
    ask(virtocid, "box", "guest-file-write", handle=append, **{"buf-b64": b64(b"!")})
    ask(virtocid, "box", "guest-file-close", handle=append)
    assert read_file(virtocid, "box", "/new") == b"0123456789ab!"


def test_long_files_are_read_in_pieces(virtocid: Virtocid) -> None:
    serving(virtocid, "box", "head -c 7000000 /dev/zero > /long")
    handle = ask(virtocid, "box", "guest-file-open", path="/long")
    sizes = []
    while True:
        answer = ask(virtocid, "box", "guest-file-read", handle=handle, count=48 << 20)
        sizes.append(answer["count"])
        if answer["eof"]:
            break
    assert sizes == [READ_BYTES, READ_BYTES, 7_000_000 - 2 * READ_BYTES]
    assert refusal(virtocid, "box", "guest-file-read", handle=handle, count=(48 << 20) + 1).endswith("argument count")


def test_mistakes(virtocid: Virtocid) -> None:
    serving(virtocid, "box")
    no = "failed to open file '{}' (mode: 'r'): {}"
    assert refusal(virtocid, "box", "guest-file-open", path="/no") == no.format("/no", "No such file or directory")
    assert refusal(virtocid, "box", "guest-file-open", path="/etc") == no.format("/etc", "Is a directory")
    assert "give its whole path" in refusal(virtocid, "box", "guest-file-open", path="etc/passwd")
    assert "invalid file open mode 'rw'" in refusal(virtocid, "box", "guest-file-open", path="/etc", mode="rw")
    assert "zero byte" in refusal(virtocid, "box", "guest-file-open", path="/etc\0x")
    handle = ask(virtocid, "box", "guest-file-open", path="/bin/busybox")
    wrong = refusal(virtocid, "box", "guest-file-write", handle=handle, **{"buf-b64": "?"})
    assert wrong.startswith("Base64 data of 'buf-b64' is not valid")
    assert "Bad file descriptor" in refusal(virtocid, "box", "guest-file-write", handle=handle, **{"buf-b64": "AA=="})
    assert "invalid whence" in refusal(virtocid, "box", "guest-file-seek", handle=handle, offset=0, whence="up")
    with virtocid.connect() as connection:
        domain = connection.lookupByName("box")
        open_file = json.dumps({"execute": "guest-file-open", "arguments": {"path": "/bin/busybox"}})
        for _ in range(MAX_HANDLES - 1):
            libvirt_qemu.qemuAgentCommand(domain, open_file, 10, 0)
        with pytest.raises(libvirt.libvirtError, match="close one first"):
            libvirt_qemu.qemuAgentCommand(domain, open_file, 10, 0)


def test_handles_end_with_their_container_and_with_the_daemon(virtocid: Virtocid) -> None:
    serving(virtocid, "box")
    handle = ask(virtocid, "box", "guest-file-open", path="/kept", mode="w")
    (helper,) = helpers(virtocid)
    virtocid.virsh("suspend", "box")
    virtocid.virsh("resume", "box")
    ask(virtocid, "box", "guest-file-write", handle=handle, **{"buf-b64": b64(b"still there")})
    virtocid.virsh("reset", "box")
    assert helper not in helpers(virtocid)
    assert refusal(virtocid, "box", "guest-file-flush", handle=handle).endswith("has not been found")
    assert read_file(virtocid, "box", "/kept") == b"still there"
    ask(virtocid, "box", "guest-file-open", path="/kept")
    (helper,) = helpers(virtocid)
    virtocid.restart()
    wait_until(lambda: not Path(f"/proc/{helper}").exists(), what="the end of the helper")
    handle = ask(virtocid, "box", "guest-file-open", path="/kept")
    virtocid.virsh("destroy", "box")
    assert not helpers(virtocid)


def test_the_helper_has_no_more_rights_than_the_container(virtocid: Virtocid) -> None:
    weaker = "<covirt:capabilities><covirt:drop name='DAC_OVERRIDE'/></covirt:capabilities>"
    serving(virtocid, "box", "mkdir /own", "chmod 0 /own", settings=weaker)
    ask(virtocid, "box", "guest-file-open", path="/bin/busybox")
    (helper,) = helpers(virtocid)
    status = dict(line.split(":\t") for line in Path(f"/proc/{helper}/status").read_text().splitlines())
    first_id = int(Path(f"/proc/{helper}/uid_map").read_text().split()[1])
    assert first_id > 0
    assert status["Uid"].split() == [str(first_id)] * 4
    assert status["Gid"].split() == [str(first_id)] * 4
    assert status["Groups"].strip() == ""
    assert status["NoNewPrivs"] == "1"
    kept = 1 << 0 | 1 << 3 | 1 << 4  # CHOWN, FOWNER, FSETID
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[name], 16) == kept, name
    for name in ("CapInh", "CapAmb"):
        assert int(status[name], 16) == 0, name
    groups = Path(f"/proc/{helper}/cgroup").read_text()
    assert "memory" in groups
    assert all(line.endswith("/container") for line in groups.splitlines() if ":memory:" in line or ":pids:" in line)
    opened = [Path(link).readlink() for link in Path(f"/proc/{helper}/fd").iterdir()]
    assert sum(str(each).startswith("/") for each in opened) <= 2  # the file, and null for its complaints
    assert "Permission denied" in refusal(virtocid, "box", "guest-file-open", path="/own/x", mode="w")


def test_hostile_files(virtocid: Virtocid) -> None:
    """Nothing leads out, nothing hangs, and nothing of it reaches a client's terminal."""
    serving(
        virtocid,
        "box",
        "ln -s /proc/kcore /etc/os-release",
        "mkdir -p /run /usr/lib",
        "mkfifo /run/utmp /pipe /etc/localtime",
        "head -c 3000000 /dev/zero > /usr/lib/os-release",
        "ln -s ../../../../../../../../etc/hostname /out",
        "ln -s /proc/1/root/etc/hostname /magic",
        "ln -s loop /loop",
        "hostname -F /dev/null",
        settings="<covirt:hostname>inner</covirt:hostname>",
    )
    assert ask(virtocid, "box", "guest-get-osinfo").keys() == {"kernel-release", "kernel-version", "machine"}
    assert ask(virtocid, "box", "guest-get-users") == []
    assert ask(virtocid, "box", "guest-get-timezone") == {"zone": "UTC", "offset": 0}
    everything = virtocid.tell("guestinfo", "box")
    assert "os.machine" in everything
    assert "No such device" in refusal(virtocid, "box", "guest-file-open", path="/pipe", mode="w")
    handle = ask(virtocid, "box", "guest-file-open", path="/pipe")
    assert ask(virtocid, "box", "guest-file-read", handle=handle)["count"] == 0
    ask(virtocid, "box", "guest-file-close", handle=handle)
    assert read_file(virtocid, "box", "/out").strip() == b"inner"
    assert "Too many levels" in refusal(virtocid, "box", "guest-file-open", path="/loop")
    name = "/proc/sys/kernel/hostname"
    assert "Read-only file system" in refusal(virtocid, "box", "guest-file-open", path=name, mode="w")
    assert not helpers(virtocid)


def test_os_release_with_what_a_terminal_would_obey(virtocid: Virtocid) -> None:
    serving(virtocid, "box")
    text = b'ID="x\x1b[2J"\nNAME=\xff\xfe\nVERSION=$(reboot)\nPRETTY_NAME="' + b"x" * 5000 + b'"\nVARIANT=a b\n'
    write_file(virtocid, "box", "/etc/os-release", text)
    facts = ask(virtocid, "box", "guest-get-osinfo")
    assert "id" not in facts
    assert "pretty-name" not in facts
    assert "variant" not in facts
    assert facts["version"] == "$(reboot)"
    assert facts["name"] == "\ufffd\ufffd"
    assert "\x1b" not in virtocid.tell("guestinfo", "box", "--os")


def test_a_helper_that_hangs(virtocid: Virtocid) -> None:
    """As one in a file system that does not answer: its caller is told, and the next command has a new one."""
    serving(virtocid, "box")
    handle = ask(virtocid, "box", "guest-file-open", path="/bin/busybox")
    (helper,) = helpers(virtocid)
    os.kill(helper, signal.SIGSTOP)
    request = json.dumps({"execute": "guest-file-read", "arguments": {"handle": handle}})
    words = virtocid.refusal("qemu-agent-command", "--timeout", "2", "box", request)
    assert words.startswith("Guest agent is not responding: domain 'box'")
    assert not helpers(virtocid)
    assert refusal(virtocid, "box", "guest-file-flush", handle=handle).endswith("has not been found")
    assert read_file(virtocid, "box", "/etc/hostname").strip() == b"box"


def test_a_helper_that_dies(virtocid: Virtocid) -> None:
    """By the kernel's choice when memory runs out, or of boredom: who asks next does not notice, but for handles."""
    serving(virtocid, "box")
    handle = ask(virtocid, "box", "guest-file-open", path="/bin/busybox")
    (helper,) = helpers(virtocid)
    os.kill(helper, signal.SIGKILL)
    wait_until(lambda: not helpers(virtocid))
    assert ask(virtocid, "box", "guest-get-host-name") == {"host-name": "box"}
    assert refusal(virtocid, "box", "guest-file-read", handle=handle).endswith("has not been found")


def test_a_path_that_is_too_long(virtocid: Virtocid) -> None:
    serving(virtocid, "box")
    handle = ask(virtocid, "box", "guest-file-open", path="/etc/hostname")
    assert "4095 bytes" in refusal(virtocid, "box", "guest-file-open", path="/" + "x" * 100_000)
    assert ask(virtocid, "box", "guest-file-read", handle=handle)["count"] > 0


def test_a_container_at_its_limits(virtocid: Virtocid) -> None:
    """It may have no process more: looking into it takes none of it."""
    command = "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; echo full; wait"
    virtocid.run("box", ("/bin/sh", "-c", command), settings="<covirt:processes limit='9'/>")
    virtocid.wait_for_output("box", "full")
    assert ask(virtocid, "box", "guest-get-host-name") == {"host-name": "box"}
    assert virtocid.state("box") == "running (booted)"
