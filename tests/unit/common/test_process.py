# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Programs get a closed stdin, a small environment and a time limit; their failures become sentences."""

import logging
import os
import signal
from pathlib import Path

import pytest

from covirt.common.errors import CommandFailed
from covirt.common.process import (
    PIPE,
    CommandMissing,
    CommandTimeout,
    Secret,
    base_environment,
    run,
    shell_text,
    spawn,
)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program ``fake`` on PATH; the test writes its script."""
    path = tmp_path / "fake"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_output_and_status(fake: Path) -> None:
    fake.write_text('#!/bin/sh\ncat; echo "$1"; echo oops >&2; exit 3\n')
    completed = run(["fake", "a b"], timeout_seconds=30, stdin_data=b"in ", check=False)
    assert (completed.status, completed.stdout, completed.complaint) == (3, b"in a b\n", "oops")


def test_stdin_is_closed_unless_asked_for(fake: Path) -> None:
    fake.write_text("#!/bin/sh\ncat\n")
    assert run(["fake"], timeout_seconds=30).stdout == b""


def test_the_environment_is_ours(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD_LIKE", "bad")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    fake.write_text("#!/bin/sh\nenv\n")
    shown = run(["fake"], timeout_seconds=30, environment={"ADDED": "1"}).stdout.decode().split()
    names = {line.partition("=")[0] for line in shown}
    assert "LC_ALL=C.UTF-8" in shown
    assert "ADDED=1" in shown
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"ADDED", *base_environment()}


def test_a_path_is_there_even_when_we_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    assert "/usr/sbin" in base_environment()["PATH"]


def test_failure_names_the_program_and_its_words(fake: Path) -> None:
    fake.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 5\n")
    with pytest.raises(CommandFailed, match=r"^fake failed with status 5: no space left$") as caught:
        run([fake, "--flag"], timeout_seconds=30)
    assert caught.value.status == 5


def test_death_by_a_signal_is_a_negative_status(fake: Path) -> None:
    fake.write_text("#!/bin/sh\nkill -9 $$\n")
    assert run(["fake"], timeout_seconds=30, check=False).status == -signal.SIGKILL


def test_time_is_limited_and_the_whole_family_ends(fake: Path) -> None:
    fake.write_text("#!/bin/sh\nsleep 1000 &\nwait\n")
    with pytest.raises(CommandTimeout, match="did not finish within"):
        run(["fake"], timeout_seconds=0.5)  # the leak check sees a sleep that lives on


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_program_that_cannot_run_is_missing(tmp_path: Path, mode: int | None) -> None:
    path = tmp_path / "nothing"
    if mode is not None:
        path.write_text("#!/bin/sh\n")
        path.chmod(mode)
    with pytest.raises(CommandMissing, match="is not installed or not executable"):
        run([path], timeout_seconds=30)


def test_secrets_are_shown_nowhere(fake: Path, caplog: pytest.LogCaptureFixture) -> None:
    fake.write_text('#!/bin/sh\ntest "$1" = swordfish && exit 4\n')
    with caplog.at_level(logging.DEBUG), pytest.raises(CommandFailed, match="status 4") as caught:
        run(["fake", Secret("swordfish")], timeout_seconds=30)
    assert "swordfish" not in caplog.text + str(caught.value) + repr(Secret("swordfish"))
    assert shell_text(["fake", "a b", Secret("swordfish")]) == "fake 'a b' ***"


def test_leaving_the_block_ends_the_program() -> None:
    with spawn(["sleep", "1000"]) as child:
        assert child.poll() is None
    assert child.poll() == -signal.SIGTERM


def test_a_program_that_ignores_sigterm_is_killed(fake: Path) -> None:
    fake.write_text("#!/bin/sh\ntrap '' TERM\necho ready\nwhile :; do sleep 0.1; done\n")
    child = spawn(["fake"], stdout=PIPE, own_group=True)
    assert child.stdout.readline() == b"ready\n"
    assert child.stop(grace_seconds=0.2) == -signal.SIGKILL


def test_signalling_what_has_ended_is_fine() -> None:
    child = spawn(["true"])
    assert child.wait(timeout_seconds=30) == 0
    child.signal(signal.SIGTERM)
    assert child.stop() == 0


def test_waiting_is_limited_and_the_program_goes_on() -> None:
    with spawn(["sleep", "1000"]) as child:
        with pytest.raises(CommandTimeout):
            child.wait(timeout_seconds=0.05)
        assert child.poll() is None


def test_a_descriptor_is_passed_on(fake: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        fake.write_text(f"#!/bin/bash\necho through >&{writing}\n")
        run(["fake"], timeout_seconds=30, pass_descriptors=[writing])
        os.close(writing)
        assert stream.read() == b"through\n"
