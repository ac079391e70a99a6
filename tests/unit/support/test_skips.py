# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""In ./dev ci a skip that is not in the table fails the run, with its reason."""

import sys
from pathlib import Path

import pytest

from covirt.common.process import Completed, run

_REPOSITORY = Path(__file__).parents[3]


def pytest_run(directory: Path, text: str, **environment: str) -> Completed:
    file = directory / "test_it.py"
    file.write_text(text)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        str(file),
    ]
    outside = {"COVIRT_TEST_WORLD": "off:a test of the tests", **environment}
    return run(argv, timeout_seconds=60, directory=_REPOSITORY, environment=outside, check=False)


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("import pytest\ndef test_it(): pytest.skip('no such thing')\n", "1 failed"),
        ("import pytest\npytest.skip('no such thing', allow_module_level=True)\n", "1 error"),
        ("import pytest\n@pytest.mark.skipif(True, reason='no such thing')\ndef test_it(): pass\n", "1 error"),
    ],
)
def test_an_unexpected_skip_is_a_failure(tmp_path: Path, text: str, summary: str) -> None:
    allowed = pytest_run(tmp_path, text).stdout.decode()
    assert "1 skipped" in allowed
    refused = pytest_run(tmp_path, text, COVIRT_CI="1")
    assert refused.status != 0
    assert summary in refused.stdout.decode()
    assert "unexpected skip: no such thing" in refused.stdout.decode()


@pytest.mark.parametrize(
    "text",
    [
        "import pytest\ndef test_it(): pytest.skip('this kernel has no erofs')\n",
        "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n",
    ],
)
def test_what_no_set_up_can_change_may_skip(tmp_path: Path, text: str) -> None:
    assert pytest_run(tmp_path, text, COVIRT_CI="1").status == 0
