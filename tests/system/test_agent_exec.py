# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""guest-exec and guest-exec-status, with the stock virsh, in real containers."""

import base64
from typing import Any

from covirt.virtocid.driver.agent.execution import CAPTURED_BYTES
from tests.support.agent import ask, read_file, refusal, serving
from tests.support.virtocid import SECONDS, Virtocid
from tests.support.waiting import wait_until
from tests.system.test_virsh_lifecycle import each_runtime


def run(virtocid: Virtocid, script: str, **arguments: Any) -> int:
    pid = ask(virtocid, "box", "guest-exec", path="sh", arg=["-c", script], **arguments)["pid"]
    assert isinstance(pid, int)
    return pid


def status(virtocid: Virtocid, pid: int) -> Any:
    """Of the process, once it has ended."""
    answers: list[Any] = []

    def exited() -> bool:
        answers.append(ask(virtocid, "box", "guest-exec-status", pid=pid))
        return bool(answers[-1]["exited"])

    wait_until(exited, timeout_seconds=SECONDS, what=f"the end of process {pid}")
    return answers[-1]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@each_runtime
def test_output_and_exit_code(virtocid: Virtocid, runtime: str) -> None:
    serving(virtocid, "box", runtime=runtime)
    pid = run(virtocid, "cat; echo wrong >&2; echo $A; exit 3",
              env=["A=b c"], **{"capture-output": True, "input-data": b64(b"given\n")})  # fmt: skip
    assert status(virtocid, pid) == {
        "exited": True,
        "exitcode": 3,
        "out-data": b64(b"given\nb c\n"),
        "err-data": b64(b"wrong\n"),
    }
    assert "no such process" in refusal(virtocid, "box", "guest-exec-status", pid=pid)
    assert status(virtocid, run(virtocid, "kill -9 $$")) == {"exited": True, "signal": 9}
    assert status(virtocid, run(virtocid, "echo unheard")) == {"exited": True, "exitcode": 0}


def test_ways_to_capture(virtocid: Virtocid) -> None:
    serving(virtocid, "box")
    both = "echo out; echo err >&2"
    out, err = b64(b"out\n"), b64(b"err\n")
    for mode, data in (
        ("none", {}),
        ("stdout", {"out-data": out}),
        ("stderr", {"err-data": err}),
        ("separated", {"out-data": out, "err-data": err}),
        ("merged", {"out-data": b64(b"out\nerr\n")}),
    ):
        assert status(virtocid, run(virtocid, both, **{"capture-output": mode})) == {
            "exited": True,
            "exitcode": 0,
            **data,
        }
    assert "one of none" in refusal(virtocid, "box", "guest-exec", path="sh", **{"capture-output": "loud"})


def test_who_it_runs_as(virtocid: Virtocid) -> None:
    serving(virtocid, "box", environment={"OWN": "yes"})
    told = status(virtocid, run(virtocid, "id -u; pwd; echo $OWN; grep NoNewPrivs /proc/self/status",
                                **{"capture-output": True}))  # fmt: skip
    assert base64.b64decode(told["out-data"]).split() == [b"0", b"/", b"yes", b"NoNewPrivs:", b"1"]


@each_runtime
def test_nothing_of_the_host_comes_with_it(virtocid: Virtocid, runtime: str) -> None:
    """No descriptor beside its streams, and the rights and cgroups of the container's own process."""
    serving(virtocid, "box", runtime=runtime)
    lines = "grep -E '^(Cap|Seccomp|NoNew|[0-9])' /proc/$p/$f"
    same = f"for f in status cgroup; do for p in 1 self; do {lines} | md5sum; done; done"
    told = status(virtocid, run(virtocid, f"ls /proc/$$/fd; {same}; true", **{"capture-output": "stdout"}))
    words = base64.b64decode(told["out-data"]).decode().replace("-", "").split()
    assert words[:3] == ["0", "1", "2"]
    rights_of_first, rights, cgroups_of_first, cgroups = words[3:]
    assert (rights, cgroups) == (rights_of_first, cgroups_of_first)


def test_more_than_an_answer_holds(virtocid: Virtocid) -> None:
    serving(virtocid, "box")
    told = status(virtocid, run(virtocid, "head -c 20000000 /dev/zero", **{"capture-output": "stdout"}))
    assert told["out-truncated"] is True
    assert len(base64.b64decode(told["out-data"])) == CAPTURED_BYTES
    script = "head -c 9000000 /dev/zero; head -c 9000000 /dev/zero >&2"
    told = status(virtocid, run(virtocid, script, **{"capture-output": True}))
    assert len(base64.b64decode(told["out-data"])) == CAPTURED_BYTES // 2
    assert told["err-truncated"] is True
    assert told["exitcode"] == 0


def test_much_input_and_a_reader_that_does_not_read(virtocid: Virtocid) -> None:
    serving(virtocid, "box")
    pid = ask(virtocid, "box", "guest-exec", path="wc", arg=["-c"],
              **{"capture-output": True, "input-data": b64(b"x" * 80_000)})["pid"]  # fmt: skip
    assert base64.b64decode(status(virtocid, pid)["out-data"]).strip() == b"80000"
    assert status(virtocid, run(virtocid, "exit 4", **{"input-data": b64(b"x" * 80_000)}))["exitcode"] == 4


def test_a_background_process_does_not_hold_the_answer(virtocid: Virtocid) -> None:
    serving(virtocid, "box")
    told = status(virtocid, run(virtocid, "yes & echo first", **{"capture-output": "stdout"}))
    assert told["exitcode"] == 0
    assert b"first" in base64.b64decode(told["out-data"])


def test_mistakes(virtocid: Virtocid) -> None:
    serving(virtocid, "box")
    assert "no program '/no/such'" in refusal(virtocid, "box", "guest-exec", path="/no/such")
    assert "cannot be executed" in refusal(virtocid, "box", "guest-exec", path="/etc/passwd")
    assert "not NAME=VALUE" in refusal(virtocid, "box", "guest-exec", path="sh", env=["A"])
    assert "array of strings" in refusal(virtocid, "box", "guest-exec", path="sh", arg="-c")
    assert "no such process" in refusal(virtocid, "box", "guest-exec-status", pid=1)


def test_processes_end_with_their_container_and_with_the_daemon(virtocid: Virtocid) -> None:
    serving(virtocid, "box")
    pid = run(virtocid, "echo begun > /begun; sleep 1000")
    assert ask(virtocid, "box", "guest-exec-status", pid=pid) == {"exited": False}
    virtocid.virsh("reset", "box")
    assert "no such process" in refusal(virtocid, "box", "guest-exec-status", pid=pid)
    assert read_file(virtocid, "box", "/begun") == b"begun\n"
    pid = run(virtocid, "exec sleep 4321")
    virtocid.restart()
    assert "no such process" in refusal(virtocid, "box", "guest-exec-status", pid=pid)

    def gone() -> bool:
        told = status(virtocid, run(virtocid, "ps", **{"capture-output": True}))
        return b"sleep 4321" not in base64.b64decode(told["out-data"])

    wait_until(gone, timeout_seconds=SECONDS, what="the end of what the killed daemon had started")
