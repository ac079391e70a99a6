# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What all daemons refuse alike, and what they all have."""

import sys
from pathlib import Path

import pytest

from covirt.common.daemon_arguments import daemon_parser
from covirt.common.listening import check_address
from covirt.common.process import run

# In a process of its own: limits, signals and the log are a process's.
_DAEMON = """
import ctypes, resource, sys
from covirt.common.daemon import run_daemon
from covirt.virtocid.config import VirtocidConfig
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
tell = lambda *_: print(*resource.getrlimit(resource.RLIMIT_NOFILE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
sys.exit(run_daemon("covirt-tester", sys.argv[1], None, load=lambda root: VirtocidConfig(), serve=tell))
"""


def test_a_daemon_may_open_many_files_and_dumps_no_core(tmp_path: Path) -> None:
    told = run([sys.executable, "-c", _DAEMON, tmp_path], timeout_seconds=60).stdout.split()
    soft, hard, dumpable = map(int, told)
    assert soft == (min(hard, 65536) if hard >= 0 else 65536)
    assert not dumpable


@pytest.mark.parametrize(("name", "reason"), [("file", "Not a directory"), ("no/such", "No such file or directory")])
def test_a_root_is_a_directory_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        daemon_parser("covirt-tester", description="").parse_args(["--root", f"{tmp_path}/{name}"])
    assert f"'{tmp_path}/{name}': {reason}; make this directory first" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "text", ["::", "127.0.0.1", "fe80::1%eth0", "localhost", "node-1.example.com", "3com.example"]
)
def test_addresses(text: str) -> None:
    check_address(text)


@pytest.mark.parametrize(
    "text", ["", "300.1.1.1", "1.2.3", "not an address", "-a", "a..b", "a/b", "[::1]", "1.2.3.4:80", "x" * 64, "é"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="must be an IP address or a host name"):
        check_address(text)
