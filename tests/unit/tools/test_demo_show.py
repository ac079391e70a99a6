# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo prints: aligned steps, commands as typed, one sentence for a failure."""

from pathlib import Path

import pytest

from covirt.common.errors import CommandFailed
from tools.demo.errors import StepFailed
from tools.demo.terminal import Show


def test_one_blank_line_between_parts(capsys: pytest.CaptureFixture[str]) -> None:
    show = Show()
    show.title("Both", "a note")
    show.command(["virsh", "list"], "\n Id  [name]\n\n")
    show.title("Next")
    assert capsys.readouterr().out == "\nBoth\na note\n\n  $ virsh list\n   Id  [name]\n\nNext\n\n"


def test_a_step_tells_its_time_and_its_last_words(capsys: pytest.CaptureFixture[str]) -> None:
    with Show().step("import") as step:
        step.words += " of [it]"
    line = capsys.readouterr().out
    assert line.endswith(" s  import of [it]\n")
    assert float(line.split()[0]) >= 0


def test_a_failed_step_is_one_sentence_and_a_log(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    with pytest.raises(StepFailed) as failure, Show().step("start it", log=log):
        raise CommandFailed(program="virsh", status=1, stderr="error: first\nerror: second")
    assert str(failure.value) == (
        "it failed at the step 'start it': virsh failed with status 1: error: first error: second"
    )
    assert str(failure.value.log).splitlines()[-1] == "line 99"


def test_what_no_step_expects_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), Show().step("count"):
        raise ZeroDivisionError
