# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A container that does what a test tells it, with devices that come and go. The domain is always ``web``."""

import json
from pathlib import Path
from typing import Any

from covirt.common.process import run
from tests.support.virtocid import Virtocid
from tests.support.waiting import wait_until

# It does what stands in the file /do, and says what came of it.
OBEDIENT = (
    "/bin/sh",
    "-c",
    """trap 'exit 0' TERM; echo serving
    while :; do
        if [ -e /do ]; then mv -f /do /doing; sh /doing > /said 2>&1; mv -f /said /done; else sleep 0.02; fi
    done""",
)


def attach(virtocid: Virtocid, xml: str, *flags: str) -> None:
    with virtocid.xml_file(xml) as path:
        virtocid.virsh("attach-device", "web", str(path), *flags)


def detach(virtocid: Virtocid, xml: str, *flags: str) -> None:
    with virtocid.xml_file(xml) as path:
        virtocid.virsh("detach-device", "web", str(path), *flags)


def refusal(virtocid: Virtocid, command: str, xml: str, *flags: str) -> str:
    with virtocid.xml_file(xml) as path:
        return virtocid.refusal(command, "web", str(path), *flags)


def container_pid(virtocid: Virtocid, name: str) -> int:
    uuid = virtocid.tell("domuuid", name)
    return int((virtocid.root.run_dir / "virtocid/runs" / uuid / "monitor/pid").read_text())


def root_of(virtocid: Virtocid) -> Path:
    return Path(f"/proc/{container_pid(virtocid, 'web')}/root")


def inside(virtocid: Virtocid, script: str) -> str:
    """Let the container run a script; what it said."""
    root = root_of(virtocid)
    (root / "do.new").write_text(script)
    (root / "do.new").rename(root / "do")
    wait_until((root / "done").exists, timeout_seconds=30, what=f"the container's {script!r}")
    said = (root / "done").read_text()
    (root / "done").unlink()
    return said.strip()


def mounts_inside(virtocid: Virtocid) -> list[dict[str, Any]]:
    words = [
        "findmnt",
        "--json",
        "--list",
        "--task",
        str(container_pid(virtocid, "web")),
        "-o",
        "TARGET,OPTIONS,PROPAGATION",
    ]
    found: list[dict[str, Any]] = json.loads(run(words, timeout_seconds=10).stdout)["filesystems"]
    return found


def targets(virtocid: Virtocid) -> set[str]:
    return {entry["target"] for entry in mounts_inside(virtocid)}
