# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that leave a process behind: adopted, told of, and ended."""

import os
import queue
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.adopter import Adopted, Adopter, AdopterLost, NothingAdopted
from covirt.common.process import CommandTimeout
from tests.support.waiting import wait_until

SECONDS = 60.0


class Nursery:
    """An adopter, and the ends it told."""

    def __init__(self, directory: Path) -> None:
        self.adopter = Adopter()
        self.ends: queue.Queue[int | None] = queue.Queue()
        self._pid_file = directory / "pid"
        self._streams = os.pipe()

    def start(self, script: str, *, seconds: float = SECONDS) -> Adopted:
        """``script`` is run by a shell, which knows where the pid belongs as $F."""
        self._pid_file.unlink(missing_ok=True)
        reader, writer = self._streams
        return self.adopter.start(
            ["/bin/sh", "-c", f"F={shlex.quote(str(self._pid_file))}; {script}"],
            pid_file=self._pid_file,
            streams=(reader, writer, writer),
            on_end=self.ends.put,
            timeout_seconds=seconds,
        )

    def close(self) -> None:
        self.adopter.close()
        for descriptor in self._streams:
            os.close(descriptor)


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    made = Nursery(tmp_path)
    yield made
    made.close()


def ending(status: int) -> str:
    """Leave a process behind that ends as soon as its program has: a shell reaps those that end before."""
    return f"(while kill -0 $$; do :; done 2>/dev/null; exit {status}) & echo $! >$F"


def test_the_true_end_is_told(nursery: Nursery) -> None:
    nursery.start(ending(7))
    assert nursery.ends.get(timeout=SECONDS) == 7
    left = nursery.start("sleep 1000 & echo $! >$F")
    os.kill(left.pid, signal.SIGTERM)
    assert nursery.ends.get(timeout=SECONDS) == -signal.SIGTERM


def test_one_that_ends_before_its_program(nursery: Nursery) -> None:
    """As a zombie it is handed on."""
    program = (
        "import os, sys; pid = os.fork() or os._exit(5); "
        "os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT); open(sys.argv[1], 'w').write(str(pid))"
    )
    nursery.start(f'exec {sys.executable} -I -S -c "{program}" $F')
    assert nursery.ends.get(timeout=SECONDS) == 5


def test_many_at_once(nursery: Nursery) -> None:
    for number in range(20):
        nursery.start(ending(number))
    assert sorted(nursery.ends.get(timeout=SECONDS) or 0 for _ in range(20)) == list(range(20))


def test_kill_ends_the_whole_session(nursery: Nursery) -> None:
    left = nursery.start("setsid sh -c 'sleep 1000 & (sleep 1000 &) ; wait' & echo $! >$F")
    left.kill()
    assert nursery.ends.get(timeout=SECONDS) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("script", "status"), [("exit 3", 3), ("exit 0", 0), ("echo 1 >$F", 0), ("echo x >$F", 0), ("kill -9 $$", -9)]
)
def test_nothing_left_behind(nursery: Nursery, script: str, status: int) -> None:
    with pytest.raises(NothingAdopted) as caught:
        nursery.start(script)
    assert caught.value.fields["status"] == status
    assert nursery.ends.empty()


def test_a_program_that_hangs_is_ended(nursery: Nursery) -> None:
    with pytest.raises(CommandTimeout):
        nursery.start("sleep 1000 & echo $! >$F; sleep 1000", seconds=0.3)
    nursery.start(ending(1))
    assert nursery.ends.get(timeout=SECONDS) == 1


def test_a_helper_that_is_killed_is_replaced(nursery: Nursery) -> None:
    left = nursery.start("sleep 1000 & echo $! >$F")
    helper = int(Path(f"/proc/{left.pid}/stat").read_text().rpartition(") ")[2].split()[1])
    os.kill(helper, signal.SIGKILL)
    assert nursery.ends.get(timeout=SECONDS) is None
    os.kill(left.pid, signal.SIGKILL)  # nobody else does any more
    wait_until(lambda: _lost(nursery), what="a helper that works")


def _lost(nursery: Nursery) -> bool:
    try:
        nursery.start(ending(1))
    except AdopterLost:
        return False
    return nursery.ends.get(timeout=SECONDS) == 1


def test_close_ends_everything(nursery: Nursery) -> None:
    left = nursery.start("trap '' TERM HUP; sleep 1000 & echo $! >$F")
    nursery.adopter.close()
    assert nursery.ends.get(timeout=SECONDS) in (None, -signal.SIGKILL)
    assert not os.path.exists(f"/proc/{left.pid}")
    with pytest.raises(AdopterLost):
        nursery.start("true")


@pytest.fixture
def quit_ignored() -> Iterator[None]:
    """As in what a shell starts in the background."""
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGQUIT, before)


def test_streams_and_signals_are_as_a_program_expects(quit_ignored: None, nursery: Nursery) -> None:
    reader, writer = os.pipe()
    nursery._streams = (nursery._streams[0], writer)
    with pytest.raises(NothingAdopted):
        nursery.start("grep SigIgn /proc/self/status; ls /proc/self/fd | wc -l")
    # The fourth descriptor is ls's own, of the directory.
    assert os.read(reader, 4096).split() == [b"SigIgn:", b"0000000000000000", b"4"]
    os.close(reader)
