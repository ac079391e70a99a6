# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""An installation of ``covirt up``, and its command line as a user types it."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from ovirtsdk4 import types

from covirt.common.process import Completed, run
from tests.support.covirt_up import Machine, new_machine
from tests.support.libvirtd import Libvirtd
from tests.support.oci_layout import busybox_image, layer, link_entry, write_layout
from tests.support.registry import Registry
from tests.support.roots import new_directory

PROGRAM: Final = Path(sys.executable).parent / "covirt"
_SECONDS: Final = 110.0
TAG: Final = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """``reference``: of an image with the volume /data in a registry without TLS; ``root``: that its user has files
    of, where it is not the machine's."""

    machine: Machine
    home: Path
    reference: str
    root: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "COVIRT_ROOT": str(self.root or self.machine.root.path),
            "COLUMNS": "120",
        }

    def type(self, *words: str, stdin: bytes = b"", status: int = 0) -> Completed:
        """Asserts how it ends."""
        done = run(
            [PROGRAM, *words], stdin_data=stdin, environment=self.environment, timeout_seconds=_SECONDS, check=False
        )
        assert done.status == status, f"{words}: {done.status}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        return done

    def say(self, *words: str, stdin: bytes = b"") -> str:
        """What it prints."""
        return self.type(*words, stdin=stdin).stdout.decode()

    def refused(self, *words: str, status: int) -> str:
        """What it complains of."""
        return self.type(*words, status=status).stderr.decode()

    def data(self, *words: str) -> Any:
        return json.loads(self.say(*words, "--output", "json"))


@pytest.fixture(scope="module", name="terminal")
def terminal_fixture(libvirtd: Libvirtd, registry: Registry) -> Iterator[Terminal]:
    assert libvirtd.uri  # the test's own, which covirt up then uses
    with new_directory() as directory, new_machine() as machine:
        # So that a test sees what a log would tell at its most talkative.
        for daemon in ("engine", "host", "virtocid"):
            drop_in = machine.root.config_dir / f"{daemon}.d/60-log.toml"
            drop_in.parent.mkdir(parents=True, exist_ok=True)
            drop_in.write_text('log_level = "debug"\n')
        machine.up()
        os.makedirs(directory / "home", mode=0o700)
        tools = layer(link_entry("bin/tar", "busybox"), link_entry("bin/test", "busybox"))
        image = busybox_image(more_layers=[tools], Cmd=["sleep", "1000"], Volumes={"/data": {}})
        reference = registry.push(write_layout(directory / "layout", {TAG: image}), TAG, "tools/busy:1")
        terminal = Terminal(machine=machine, home=directory / "home", reference=reference.removeprefix("docker://"))
        storage = terminal.data("storage", "list")[0]["id"]
        with machine.connection() as connection:
            domains = connection.system_service().storage_domains_service()
            domains.storage_domain_service(storage).update(types.StorageDomain(critical_space_action_blocker=0))
        try:
            yield terminal
        finally:
            machine.down("--guests")
