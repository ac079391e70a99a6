# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The sentence in what runtimes write."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covirt.oci.runtimes.messages import runtime_message

RUNC_TEXT = (
    'time="2026-11-22T10:00:00Z" level=warning msg="lstat /x: harmless"\n'
    'time="2026-11-22T10:00:00Z" level=error msg="exec: \\"/bin/absent\\": no such file"\n'
)
RUNC_JSON = (
    '{"level":"debug","msg":"nsexec started","time":"..."}\n'
    '{"level":"error","msg":"runc create failed: unable to start","time":"..."}\n'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RUNC_TEXT, 'exec: "/bin/absent": no such file'),
        (RUNC_JSON, "runc create failed: unable to start"),
        ("2026-11-22T10:00:00Z: cannot open x: No such file\n", "2026-11-22T10:00:00Z: cannot open x: No such file"),
        ("", ""),
        ('{"broken\n', '{"broken'),
        ("time=x level=warning msg=only\nplain words\n", "plain words"),
    ],
)
def test_the_last_error_is_the_message(text: str, message: str) -> None:
    assert runtime_message(text) == message


@given(st.text())
def test_anything_can_be_read(text: str) -> None:
    assert len(runtime_message(text)) <= 2000


@given(st.text().map(str.strip).filter(bool))
def test_a_json_record_keeps_its_words(message: str) -> None:
    assert runtime_message(json.dumps({"level": "error", "msg": message})) == message[-2000:].strip()
