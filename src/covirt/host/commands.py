# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt-host enrol, check and end-transfers, on a terminal."""

import getpass
import socket
import sys
from pathlib import Path
from typing import Final

from covirt.common.daemon_lock import acquire_daemon_lock
from covirt.common.exit_status import exit_status
from covirt.common.root import Root
from covirt.host.config import load_host_config
from covirt.host.enrolment.engine import Engine
from covirt.host.enrolment.enrol import Token, enrol
from covirt.host.enrolment.errors import NoTokenFile
from covirt.host.examination import examine
from covirt.host.findings import Verdict
from covirt.host.storage.images import end_transfers

_PROGRAM: Final = "covirt-host"
_MARKS: Final = {Verdict.GOOD: "ok", Verdict.NOTE: "note", Verdict.MISSING: "MISSING"}


def run_enrol(root_path: str, *, engine: str, token: str | None, token_file: str | None, name: str | None) -> int:
    """Get a certificate; the exit status."""

    def work() -> None:
        root = Root(root_path)
        pki = root.path / load_host_config(root).rpc.pki_dir
        text = token if token is not None else _read(token_file or "-")
        enrol(
            root, pki, engine=Engine(engine), token=Token.parse(text), name=socket.getfqdn() if name is None else name
        )
        sys.stdout.write(f"enrolled at {engine}; start or restart covirt-host\n")

    return exit_status(_PROGRAM, work)


def run_check(root_path: str) -> int:
    """Print what this machine has and lacks; 1 when something is missing."""

    def work() -> bool:
        root = Root(root_path)
        missing = False
        for finding in examine(root, load_host_config(root)):
            sys.stdout.write(f"{_MARKS[finding.verdict]:8} {finding.what}: {finding.fact}\n")
            if finding.remedy:
                sys.stdout.write(f"{'':8} -> {finding.remedy}\n")
            missing = missing or finding.verdict is Verdict.MISSING
        return missing

    return exit_status(_PROGRAM, work)


def run_end_transfers(root_path: str) -> int:
    """End the programs that go on after the agent; refused while it runs."""

    def work() -> None:
        root = Root(root_path)
        config = load_host_config(root)
        with acquire_daemon_lock(root, _PROGRAM):
            end_transfers(root, config.images)

    return exit_status(_PROGRAM, work)


def _read(path: str) -> str:
    if path == "-" and sys.stdin.isatty():
        return getpass.getpass("Token: ")  # who looks over a shoulder reads nothing
    try:
        return sys.stdin.readline() if path == "-" else Path(path).read_text()
    except UnicodeDecodeError as error:
        raise NoTokenFile(path=path, reason="it is no text") from error
    except OSError as error:
        raise NoTokenFile(path=path, reason=error.strerror) from error
