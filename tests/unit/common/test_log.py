# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of a flow carry its id, in the threads that work for it and in no other."""

import sys

from covirt.common.process import run

_PROGRAM = """
import logging, threading
from covirt.common.log import carrying_flow, configure, in_flow
configure("info")
log = logging.getLogger("test")
log.info("before")
with in_flow("flow-7"):
    log.info("inside")
    for target in (carrying_flow(log.info), log.info):
        thread = threading.Thread(target=target, args=("thread",), name="other")
        thread.start()
        thread.join()
    with in_flow(""):
        log.info("nested")
log.info("after")
"""


def test_lines_of_a_flow() -> None:
    lines = run([sys.executable, "-c", _PROGRAM], timeout_seconds=30).stderr.decode().splitlines()
    words = [line.partition("test ")[2] for line in lines]
    assert words == [
        "[MainThread] before",
        "[MainThread] flow=flow-7 inside",
        "[other] flow=flow-7 thread",
        "[other] thread",
        "[MainThread] nested",
        "[MainThread] after",
    ]


_WORDS = """
import logging
from covirt.common.log import configure
configure("info")
log = logging.getLogger("test")
log.info("said=%s", "a\\nINFO    covirt a lie\\x1b[2Jé\\ud800")
log.info("said=%s", "x" * 100_000)
try:
    raise ValueError("of two\\nlines")
except ValueError:
    log.exception("A bug")
"""


def test_nobody_s_words_make_a_line_of_their_own() -> None:
    lines = run([sys.executable, "-c", _WORDS], timeout_seconds=30).stderr.decode().splitlines()
    words = [line.partition("test [MainThread] ")[2] for line in lines]
    assert words[0] == r"said=a\nINFO    covirt a lie\x1b[2Jé\ud800"
    assert len(words[1]) < 10_000
    assert words[1].endswith(" characters)")
    assert words[2] == "A bug"
    assert lines[3] == "Traceback (most recent call last):"
