# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container's life by the command line, from an image that is not there yet to its end, and a virtual machine's."""

import json
import os
from pathlib import Path

import pytest

from covirt.common.process import run, spawn
from tests.support.discs import read_disc
from tests.support.waiting import wait_until
from tests.system.cli.conftest import PROGRAM, Terminal

pytestmark = [pytest.mark.qemu, pytest.mark.runc]

_HELLO = "echo hello; echo $WORD; exec sleep 1000"


def test_a_container(terminal: Terminal, open_dir: Path) -> None:
    """One test, since its parts need each other and an installation is dear."""
    reference = terminal.reference
    refused = terminal.refused("container", "run", reference, "--no-tls-verify", "--name", "web", status=2)
    assert "the image keeps data there; add --volume /data:1GiB" in refused
    assert terminal.data("container", "list") == []

    words = ["--name", "web", "--net", "ovirtmgmt", "--volume", "kept:/data:16MiB", "--env", "WORD=a;b"]
    assert terminal.say("container", "run", reference, *words, "--", "sh", "-c", _HELLO) == "web\n"
    (told,) = terminal.data("container", "list")
    assert (told["name"], told["status"]) == ("web", "up")
    assert reference in terminal.say("container", "list")
    assert terminal.say("container", "logs", "web").split() == ["hello", "a;b"]
    assert terminal.say("container", "exec", "-i", "web", "cat", stdin=b"through\n") == "through\n"
    terminal.type("container", "exec", "web", "sh", "-c", "echo kept >/data/file; exit 7", status=7)
    terminal.type("container", "exec", "web", "--", "sh", "-c", "exit 8", status=8)
    assert "COMMAND is missing" in terminal.refused("container", "exec", "web", "--", status=2)
    assert "has no program 'nonsense'" in terminal.refused("container", "exec", "web", "nonsense", status=127)
    assert "web" in terminal.say("container", "stats")
    assert "web is a container; use covirt container" in terminal.refused("vm", "stop", "web", status=3)

    (open_dir / "in").mkdir()
    (open_dir / "in/page").write_text("a page")
    terminal.say("container", "cp", str(open_dir / "in"), "web:/data/site")
    assert terminal.say("container", "exec", "web", "cat", "/data/site/page") == "a page"
    terminal.say("container", "cp", "web:/data/site", str(open_dir / "out"))
    assert (open_dir / "out/page").read_text() == "a page"
    assert "is not copied" in terminal.refused("container", "cp", "web:/nothing", str(open_dir), status=5)

    assert "VM is running" in terminal.refused("container", "remove", "web", status=5)
    second = ["container", "create", reference, "--name", "web", "--volume", "/data:discard"]
    assert "name is already in use" in terminal.refused(*second, status=5)
    terminal.say("container", "remove", "--force", "web")
    (disk,) = [each for each in terminal.data("disk", "list") if each["name"] == "kept"]
    assert disk["used_by"] == []

    larger = terminal.refused("container", "run", reference, "--volume", "kept:/data:32MiB", status=2)
    assert "--volume 'kept': the disk is there already and has only 16.0 MiB" in larger
    again = ["--volume", "kept:/data:16MiB", "--attach", "--rm", "--", "cat", "/data/file"]
    assert terminal.say("container", "run", reference, *again).split() == ["kept"]
    unnamed = ["--volume", "/data:16MiB", "--root-disk", "16MiB", "--attach", "--rm", "--", "true"]
    terminal.say("container", "run", reference, *unnamed)
    assert [each["id"] for each in terminal.data("disk", "list") if each["content_type"] == "data"] == [disk["id"]]
    terminal.say("disk", "remove", "kept")
    assert terminal.data("container", "list") == []
    discarding = ["--volume", "/data:discard", "--attach", "--name", "three", "--", "sh", "-c", "exit 3"]
    terminal.type("container", "run", reference, *discarding, status=3)
    assert "three" in terminal.say("container", "list", "--filter", "status=down", "--filter", "exit=3")
    assert "sh -c 'exit 3'" in terminal.say("container", "show", "three")
    terminal.say("container", "remove", "three")
    _its_log_is_there_afterwards(terminal)
    assert "busy:1 would be removed" in terminal.refused("image", "prune", status=2)
    assert "busy:1" in terminal.say("image", "prune", "--yes")
    assert terminal.data("image", "list") == []


def _its_log_is_there_afterwards(terminal: Terminal) -> None:
    """However quickly it ended, and however it was ended; until its next start."""
    words = ["--name", "once", "--volume", "mine:/data:8MiB"]
    for _ in range(3):
        said = terminal.say("container", "run", terminal.reference, *words, "--attach", "--", "echo", "quick")
        assert said.split() == ["quick"]
        assert terminal.say("container", "logs", "once").split() == ["quick"]
        terminal.say("container", "remove", "once")
    script = "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    terminal.say("container", "run", terminal.reference, *words, "--", "sh", "-c", script)
    terminal.say("container", "stop", "once")
    assert terminal.say("container", "logs", "once").split() == ["ready", "asked"]
    terminal.say("container", "start", "once")
    assert terminal.say("container", "logs", "once").split() == ["ready"]
    terminal.say("container", "stop", "--force", "once")
    assert terminal.say("container", "logs", "once").split()[0] == "ready"
    terminal.say("host", "maintenance", "testhost")  # nothing of the ended one holds it up
    assert "it is not active" in terminal.refused("container", "logs", "once", status=6)
    terminal.say("host", "activate", "testhost")
    wait_until(lambda: terminal.data("host", "show", "testhost")["status"] == "up", timeout_seconds=60)
    assert terminal.say("container", "logs", "once").split()[0] == "ready"
    terminal.say("container", "remove", "once")
    terminal.say("disk", "remove", "mine")


def test_what_fails_leaves_nothing(terminal: Terminal) -> None:
    """The second of its disks has a name that cannot be; the first one and the machine are gone again."""
    broken = ["--disk", "8MiB", "--disk", f"{'x' * 300}:8MiB"]
    terminal.refused("vm", "create", "half", *broken, status=2)
    assert terminal.data("vm", "list") == []
    assert "half" not in terminal.say("disk", "list")
    terminal.refused("vm", "create", "half", "--disk", "8MiB", "--memory", "900GiB", "--start", status=5)
    terminal.refused("vm", "create", "half", "--disk", "8MiB", "--storage", "nowhere", status=3)
    assert terminal.data("vm", "list") == []
    terminal.say("disk", "create", "there", "16MiB")
    volumes = ["--volume", "there:/data", "--volume", "/more:8MiB", "--volume", "named:/named:8MiB"]
    unknown = terminal.refused(
        "container",
        "run",
        terminal.reference,
        "--no-tls-verify",
        *volumes,
        "--name",
        "half",
        "--",
        "/nothing",
        status=5,
    )
    assert "no such file" in unknown
    assert terminal.data("container", "list") == []
    data = [each["name"] for each in terminal.data("disk", "list") if each["content_type"] == "data"]
    assert data == ["there"]
    terminal.say("disk", "remove", "there")
    terminal.say("image", "prune", "--yes")


def _snapshots(terminal: Terminal) -> None:
    made = terminal.say("snapshot", "create", "db", "before the update").strip()
    terminal.say("snapshot", "create", "db", "after it")
    told = terminal.say("snapshot", "list", "db")
    assert "before the update" in told
    assert "Active VM" not in told
    assert terminal.data("snapshot", "show", "db", "before the update")["id"] == made
    (disk,) = [each["name"] for each in terminal.data("disk", "list") if each["name"].startswith("db")]
    terminal.say("snapshot", "create", "db", "of one", "--disk", disk)
    terminal.say("snapshot", "remove", "db", "of one")
    terminal.say("snapshot", "preview", "db", "before the update")
    assert "in_preview" in terminal.say("snapshot", "list", "db")
    assert "is previewing a Snapshot" in terminal.refused("snapshot", "create", "db", "never", status=5)
    terminal.say("snapshot", "undo", "db")
    assert "is not previewing one" in terminal.refused("snapshot", "commit", "db", status=5)
    assert len(terminal.data("snapshot", "list", "db")) == 2
    terminal.say("snapshot", "restore", "db", "before the update")
    assert [each["id"] for each in terminal.data("snapshot", "list", "db")] == [made]
    terminal.say("snapshot", "remove", "db", "before the update")
    assert terminal.data("snapshot", "list", "db") == []
    assert "no snapshot nothing" in terminal.refused("snapshot", "show", "db", "nothing", status=3)


def _first_settings_are_on_a_disc(terminal: Terminal, open_dir: Path) -> None:
    (open_dir / "key").write_text("ssh-ed25519 AAAA cook\n")
    (open_dir / "password").write_text("peas and soup\n")
    (open_dir / "more").write_text("packages: [vim]\n")
    files = ["--ssh-key", str(open_dir / "key"), "--password-file", str(open_dir / "password")]
    words = ["--hostname", "first", "--user", "cook", *files, "--cloud-init", str(open_dir / "more")]
    terminal.say("vm", "create", "first", "--template", "golden", *words, "--start")
    told = terminal.data("vm", "show", "first")["initialization"]
    assert (told["host_name"], told["authorized_ssh_keys"]) == ("first", "ssh-ed25519 AAAA cook")
    assert "peas" not in str(told)
    (disc,) = (terminal.machine.root.run_dir / "host/payload").iterdir()
    written = read_disc(str(disc), way="joliet_path")["openstack/latest/user_data"].decode()
    assert all(each in written for each in ("user: cook", "password: peas and soup", "packages: [vim]"))
    terminal.say("vm", "stop", "--force", "first")
    assert not disc.exists()
    terminal.say("vm", "remove", "first")


def _a_second_version(terminal: Terminal) -> None:
    base = terminal.data("template", "show", "golden")["id"]
    copied = ("template", "create", "golden", "db", "--version-name", "patched", "--storage")
    assert "nowhere" in terminal.refused(*copied, "nowhere", status=3)
    terminal.say(*copied, "local")
    rows = [line.split() for line in terminal.say("template", "list").splitlines()]
    assert sorted(row[:3] for row in rows if row[0] == "golden") == [["golden", "1", "ok"], ["golden", "2", "ok"]]
    assert "several" in terminal.refused("template", "show", "golden", status=5)
    (second,) = (
        each["id"] for each in terminal.data("template", "list") if each["name"] == "golden" and each["id"] != base
    )
    assert "nowhere" in terminal.refused("vm", "create", "x", "--template", second, "--storage", "nowhere", status=3)
    terminal.say("vm", "create", "db-4", "--template", second, "--storage", "local")
    assert terminal.data("vm", "show", "db-4")["original_template"]["id"] == second
    terminal.say("vm", "remove", "db-4")
    terminal.say("template", "remove", second)


def _it_is_suspended(terminal: Terminal) -> None:
    def disks() -> list[str]:
        return sorted(each["name"] for each in terminal.data("disk", "list"))

    for ended in (("vm", "start", "db"), ("vm", "stop", "--force", "db")):
        assert terminal.say("vm", "suspend", "db") == "db\n"
        assert terminal.data("vm", "show", "db")["status"] == "suspended"
        assert disks() == ["db", "db_hibernation_description", "db_hibernation_memory"]
        assert "goes on from it" in terminal.refused("disk", "remove", "db_hibernation_memory", status=5)
        terminal.say(*ended)
        assert disks() == ["db"]
    assert "VM is not running" in terminal.refused("vm", "suspend", "db", status=5)
    terminal.say("vm", "start", "db")


def test_a_virtual_machine(terminal: Terminal, open_dir: Path) -> None:
    made = terminal.say("vm", "create", "db", "--memory", "64MiB", "--disk", "16MiB", "--net", "ovirtmgmt", "--start")
    (told,) = terminal.data("vm", "list")
    assert (made.strip(), told["name"]) == ("db", "db")
    assert told["status"] in ("up", "powering_up")
    assert "db is a virtual machine; use covirt vm" in terminal.refused("container", "show", "db", status=3)
    _it_is_suspended(terminal)
    terminal.say("disk", "create", "more", "8MiB")
    terminal.say("disk", "resize", "more", "9MiB")
    assert terminal.data("disk", "show", "more")["provisioned_size"] == 9 << 20
    copied = terminal.say("disk", "copy", "more", "again", "--format", "cow").strip()
    assert terminal.data("disk", "show", "again")["id"] == copied
    assert "lies on Storage Domain local already" in terminal.refused("disk", "move", "again", "local", status=5)
    terminal.say("disk", "remove", "again")
    terminal.say("vm", "stop", "--force", "db")
    _snapshots(terminal)
    terminal.say("template", "create", "golden", "db", "--description", "of db")
    assert terminal.data("template", "show", "golden")["status"] == "ok"
    terminal.say("vm", "create", "db-2", "--template", "golden", "--disk", "8MiB")
    terminal.say("vm", "clone", "db-2", "db-3")
    disks = [each["name"] for each in terminal.data("disk", "list")]
    assert len([each for each in disks if each.startswith("db")]) >= 4
    assert terminal.data("vm", "show", "db-2")["memory"] == 64 << 20, "the template's"
    _first_settings_are_on_a_disc(terminal, open_dir)
    _a_second_version(terminal)
    terminal.say("template", "remove", "golden")
    terminal.say("vm", "remove", "db-2", "db-3")
    terminal.say("vm", "remove", "db")
    assert [each["name"] for each in terminal.data("disk", "list")] == ["more"]
    terminal.say("disk", "remove", "more")


def test_nouns_are_told(terminal: Terminal) -> None:
    for noun in (
        "host",
        "cluster",
        "storage",
        "network",
        "template",
        "user",
        "role",
        "event",
        "job",
        "disk",
        "image",
    ):
        lines = terminal.say(noun, "list", "--output", "wide").splitlines()
        assert lines[0].isupper(), noun
        terminal.data(noun, "list")
    assert terminal.data("host", "show", "testhost")["status"] == "up"
    assert "free:" in terminal.say("storage", "show", "local")
    terminal.say("host", "maintenance", "testhost")
    assert "maintenance" in terminal.say("host", "list", "--filter", "status=main*")
    terminal.say("host", "activate", "testhost")
    assert "names here are: name," in terminal.refused("vm", "list", "--filter", "colour=red", status=2)
    assert "there is no vm nothing" in terminal.refused("vm", "show", "nothing", status=3)
    job = terminal.data("job", "list")[0]["id"]
    assert "STEP" in terminal.say("job", "show", job)


def test_names_are_completed(terminal: Terminal) -> None:
    def completed(*words: str) -> list[str]:
        asked = {"COMP_WORDS": " ".join(("covirt", *words)), "COMP_CWORD": str(len(words))}
        environment = {**terminal.environment, **asked, "_COVIRT_COMPLETE": "bash_complete"}
        return run([PROGRAM], environment=environment, timeout_seconds=60).stdout.decode().split()

    assert completed("host", "show", "test") == ["plain,testhost"]
    assert completed("permission", "add", "UserVmM") == ["plain,UserVmManager"]
    assert completed("container", "run", "busy", "--net", "ov") == ["plain,ovirtmgmt"]
    assert completed("container", "show", "none") == []
    assert "plain,permission" in completed("perm")


def test_events_as_they_come(terminal: Terminal) -> None:
    reading, writing = os.pipe()
    command = [str(PROGRAM), "event", "list", "--follow", "--limit", "1", "--output", "json"]
    with spawn(command, environment=terminal.environment, stdout=writing), os.fdopen(reading, "rb") as lines:
        os.close(writing)
        json.loads(lines.readline())
        terminal.say("disk", "create", "follow", "1MiB")
        while "'follow' was successfully added" not in json.loads(lines.readline())["description"]:
            pass
    terminal.say("disk", "remove", "follow")


def test_logins(terminal: Terminal, open_dir: Path) -> None:
    """By a user who is not root on that machine: no file of it is his."""
    engine = terminal.machine.status
    url = engine["url"].removesuffix("/ovirt-engine/api")
    home = {**terminal.environment, "HOME": str(open_dir), "COVIRT_ROOT": str(open_dir)}

    def type_(*words: str, stdin: bytes = b"", **more: str) -> tuple[int, str]:
        done = run([PROGRAM, *words], stdin_data=stdin, environment=home | more, timeout_seconds=60, check=False)
        return done.status, (done.stdout + done.stderr).decode()

    assert type_("vm", "list") == (4, "covirt: you are not logged in: covirt login URL\n")
    login = ("login", url, "--ca-file", engine["ca_file"], "--password-file", "-")
    status, told = type_(*login, stdin=b"wrong\n")
    assert status == 4, told
    password = Path(engine["password_file"]).read_text().strip()
    status, told = type_(*login, stdin=f"{password}\n".encode())
    assert (status, told) == (0, f"logged in to {url} as admin@internal\n")
    kept = open_dir / ".config/covirt/login.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert password not in kept.read_text()
    assert type_("vm", "list")[0] == 0
    status, told = type_("host", "add", "node2")
    assert status == 0, told
    assert f"covirt-host enrol --engine {url} --name node2" in told
    assert type_("logout") == (0, f"logged out of {url}\n")
    assert type_("vm", "list")[0] == 4
    status, told = type_("vm", "list", COVIRT_URL="https://127.0.0.1:1", COVIRT_TOKEN="x")  # noqa: S106 - it is none
    assert status == 6
    assert "does not answer at https://127.0.0.1:1" in told


def test_secrets(terminal: Terminal) -> None:
    """Their values are neither arguments nor in what any command prints."""
    made = terminal.say("secret", "create", "door", "-", "--user", "tom", stdin=b"open sesame")
    (told,) = terminal.data("secret", "list")
    assert (made.strip(), told["name"], told["username"]) == ("door", "door", "tom")
    assert terminal.say("secret", "set", "door", "-", stdin=b"\0\xff") == "door\n"
    assert "tom" in terminal.say("secret", "show", "door")
    assert (
        "called door already" in terminal.type("secret", "create", "door", "-", stdin=b"x", status=5).stderr.decode()
    )
    assert "no terminal" in terminal.refused("secret", "create", "gate", status=2)
    assert "sesame" not in terminal.say("secret", "list", "--output", "json")
    terminal.say("secret", "share", "door", "admin@internal")
    assert "admin@internal (SecretUser)" in terminal.say("secret", "show", "door")
    terminal.say("secret", "unshare", "door", "admin@internal")
    assert "SecretUser" not in terminal.say("secret", "show", "door")
    assert "is not shared with" in terminal.refused("secret", "unshare", "door", "admin@internal", status=3)
    terminal.say("secret", "remove", "door")
    assert terminal.data("secret", "list") == []
