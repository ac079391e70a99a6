# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The program ``virtocid-image`` as people and covirt-host call it."""

import contextlib
import json
import os
import pty
import sys
from pathlib import Path

import pytest

from covirt.common.process import Completed, run, spawn
from covirt.common.root import Root
from covirt.oci.image.store import ImageStore
from tests.support.images import write_policy
from tests.support.registry import Registry

_PROGRAM = (sys.executable, "-m", "covirt.oci.image")
_INSTALLED = Path(sys.executable).with_name("virtocid-image")


def _call(*words: str | Path, check: bool = True) -> Completed:
    return run([*_PROGRAM, *words], timeout_seconds=60, check=check)


def test_a_root_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    for program in ("virtocid-image list", "virtocid-exec name true", "virtocid-logs name"):
        name, *words = program.split()
        argv: list[str | Path] = [
            Path(_PROGRAM[0]).with_name(name),
            *words[:1],
            "--root",
            tmp_path / "none",
            *words[1:],
        ]
        refused = run(argv, timeout_seconds=60, check=False)
        assert refused.status != 0
        assert f"Directory '{tmp_path}/none' does not exist" in refused.stderr.decode()
    assert not (tmp_path / "none").exists()


def _failure(*words: str | Path) -> tuple[int, str]:
    """Exit status and the one line on stderr; nothing may be on stdout."""
    completed = _call(*words, check=False)
    assert completed.stdout == b""
    lines = [line for line in completed.stderr.decode().splitlines() if not line.endswith("...")]
    assert len(lines) == 1
    return completed.status, lines[0]


def test_from_import_to_remove(root_dir: Root, busybox_layout: Path) -> None:
    root = ("--root", root_dir.path)
    source = f"oci:{busybox_layout}:busybox"
    imported = json.loads(_call("import", source, "--name", "box", "--format", "json", *root).stdout)
    assert imported["name"] == "box"

    inspected = json.loads(_call("inspect", "box", "--format", "json", *root).stdout)
    for key in ("name", "path", "digest", "architecture", "size_bytes", "volumes", "config"):
        assert inspected[key] == imported[key]
    assert inspected["trusted"] is True
    assert inspected["config"]["environment"] == ["PATH=/bin:/usr/bin"]
    assert inspected["size_bytes"] == Path(inspected["path"]).stat().st_size

    assert [each["name"] for each in json.loads(_call("list", "--format", "json", *root).stdout)] == ["box"]
    assert _call("list", *root).stdout.split(b"\t")[0] == b"box"
    assert b"/bin/sh" in _call("inspect", "box", *root).stdout
    assert json.loads(_call("verify", "box", "--format", "json", *root).stdout)["trusted"] is True
    assert b"whole" in _call("verify", "box", *root).stdout
    assert json.loads(_call("remove", "box", "--format", "json", *root).stdout) == {"removed": "box"}
    assert _call("list", *root).stdout == b""


def test_progress_as_json(root_dir: Root, busybox_layout: Path, open_dir: Path) -> None:
    output = open_dir / "disk.raw"
    words = ("import", f"oci:{busybox_layout}:busybox", "--output", output, "--progress", "json")
    lines = _call(*words, "--root", root_dir.path).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert list(dict.fromkeys(event["step"] for event in events)) == [
        "resolve", "copy", "unpack", "pack", "publish", "done",
    ]  # fmt: skip
    copied = [event for event in events if event["step"] == "copy"]
    assert copied[-1]["percent"] == 100.0
    assert copied[-1]["bytes"] == copied[-1]["total_bytes"] > 0
    assert events[-1]["image"]["path"] == str(output)
    assert events[-1]["image"]["name"] is None


def test_a_bar_on_a_terminal(root_dir: Root, busybox_layout: Path) -> None:
    ours, theirs = pty.openpty()
    argv = [*_PROGRAM, "import", f"oci:{busybox_layout}:busybox", "--root", str(root_dir.path)]
    with spawn(argv, stderr=theirs, environment={"TERM": "xterm"}) as child:
        os.close(theirs)
        shown = _read_terminal(ours)
        assert child.wait(timeout_seconds=60) == 0
    # A quick machine is through with a step before the next frame is drawn: any of them will do.
    assert any(step in shown for step in ("looking the image up", "copying", "unpacking", "packing"))
    assert "\x1b[" in shown


def _read_terminal(descriptor: int) -> str:
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while chunk := os.read(descriptor, 65536):
            shown += chunk
    os.close(descriptor)
    return shown.decode()


def test_wrong_usage_is_status_2(root_dir: Root) -> None:
    for words in (
        ("import",),
        ("import", "oci:x", "--name", "a", "--output", "b"),
        ("nonsense",),
        ("list", "--what"),
    ):
        completed = _call(*words, check=False)
        assert completed.status == 2
        assert b"Usage:" in completed.stderr


class TestFailures:
    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ("ftp://x/y", "the scheme 'ftp' is not known"),
            ("busybox", "write docker://busybox"),
            ("docker.io/library/busybox:1", "write docker://docker.io/library/busybox:1 for an image of a registry"),
            ("UPPER", "the scheme '' is not known"),
            ("docker://UPPER/case", "not a valid source"),
            ("docker://someone:secret@host/x", "credentials do not belong here"),
            ("oci:", "write oci:PATH"),
            ("oci:/no/such/directory", "there is no such file or directory"),
            ("aci:/no/such/file.aci", "there is no such file or directory"),
        ],
    )
    def test_one_line_that_names_the_source(self, root_dir: Root, source: str, words: str) -> None:
        status, line = _failure("import", source, "--root", root_dir.path)
        assert status == 1
        assert words in line
        assert source.replace("someone:secret@", "") in line
        assert "secret" not in line

    def test_a_bad_name(self, root_dir: Root, busybox_layout: Path) -> None:
        words = ("import", f"oci:{busybox_layout}:busybox", "--name", "../x")
        assert _failure(*words, "--root", root_dir.path)[1].startswith(
            "virtocid-image: '../x' is not a container image"
        )

    def test_an_untrusted_signature(self, root_dir: Root, busybox_layout: Path, open_dir: Path) -> None:
        policy = write_policy(open_dir / "policy.json")
        source = f"oci:{busybox_layout}:busybox"
        status, line = _failure("import", source, "--policy", policy, "--root", root_dir.path)
        assert status == 1
        assert f"{source}: the signature policy refuses this image" in line

    def test_a_missing_program(self, root_dir: Root, busybox_layout: Path, open_dir: Path) -> None:
        argv = [*_PROGRAM, "import", f"oci:{busybox_layout}:busybox", "--root", str(root_dir.path)]
        completed = run(argv, timeout_seconds=60, check=False, environment={"PATH": str(open_dir)})
        assert completed.status == 1
        assert b"is not installed" in completed.stderr

    def test_an_image_in_use(self, root_dir: Root, busybox_layout: Path) -> None:
        store = ImageStore(root_dir)
        store.hold(store.import_(f"oci:{busybox_layout}:busybox", name="box"), "0d1a1c1e-0000-4000-8000-000000000001")
        status, line = _failure("remove", "box", "--root", root_dir.path)
        assert status == 1
        assert "0d1a1c1e-0000-4000-8000-000000000001" in line

    def test_a_changed_byte(self, root_dir: Root, busybox_layout: Path) -> None:
        image = ImageStore(root_dir).import_(f"oci:{busybox_layout}:busybox", name="box")
        image.path.chmod(0o600)
        with image.path.open("r+b") as stream:
            stream.seek(50_000)
            stream.write(b"\x5a\xa5")
        status, line = _failure("verify", "box", "--root", root_dir.path)
        assert status == 3
        assert "damaged" in line


def test_a_password_is_nowhere_to_be_seen(
    root_dir: Root, secure_registry: Registry, busybox_layout: Path, open_dir: Path
) -> None:
    """Not in the arguments of any program that runs meanwhile, nor in what is printed."""
    password = secure_registry.password or ""
    reference = secure_registry.push(busybox_layout, "busybox", "box:1")
    authfile = secure_registry.write_authfile(open_dir / "auth.json")
    assert secure_registry.cert_dir is not None
    argv = [*_PROGRAM, "import", reference, "--authfile", str(authfile), "--cert-dir", str(secure_registry.cert_dir),
            "--root", str(root_dir.path)]  # fmt: skip
    seen = b""
    with (open_dir / "log").open("wb") as log, spawn(argv, stdout=log, stderr=log) as child:
        while child.poll() is None:
            seen += _arguments_of_all()
    assert child.poll() == 0
    assert password.encode() not in seen
    assert b"skopeo" in seen
    assert password not in (open_dir / "log").read_text()


def _arguments_of_all() -> bytes:
    found = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_help_loads_no_library_but_click() -> None:
    """Measured on an idle machine: 90 ms, of which click takes 60. What would make it slow is loaded by commands."""
    program = "import sys, covirt.oci.image.cli; print(*sys.modules)"
    loaded = set(run([sys.executable, "-c", program], timeout_seconds=30).stdout.decode().split())
    assert not loaded & {"rich", "subprocess", "json", "hashlib", "ctypes", "covirt.oci.image.store"}
    assert b"import" in run([_INSTALLED, "--help"], timeout_seconds=30).stdout
