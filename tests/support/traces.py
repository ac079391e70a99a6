# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the runs of one installation have on the machine: mounts, interfaces, filters, cgroups, processes, files."""

import json
import os
from pathlib import Path

from covirt.common.process import run
from covirt.common.root import Root
from tests.support import cgroups
from tests.support.mounts import mount_below


def traces_of_runs(root: Root) -> list[str]:
    """A line for each thing; nothing when nothing runs and everything was cleaned up."""
    return [*_mounts(root), *_links(), *_filter(root), *_groups(root), *_processes(root), *_files(root)]


def _mounts(root: Root) -> list[str]:
    return [f"mount {entry}" for entry in mount_below(root.path) if entry.target != root.path]


def _links() -> list[str]:
    """Every veth: the network is the test's own."""
    links = json.loads(run(["ip", "-json", "link", "show", "type", "veth"], timeout_seconds=20).stdout or b"[]")
    return [f"interface {link['ifname']}" for link in links if link]


def _filter(root: Root) -> list[str]:
    listed = run(["nft", "-j", "list", "ruleset"], timeout_seconds=20).stdout
    sets = [item["set"] for item in json.loads(listed)["nftables"] if "set" in item]
    ours = [one for one in sets if one["table"] == f"covirt-{root.id}"]
    return [f"filter {one['name']} {element}" for one in ours for element in one.get("elem", [])]


def _groups(root: Root) -> list[str]:
    return [
        f"cgroup {group}"
        for slice_group in cgroups.CGROUP_MOUNT.glob(f"**/covirt-{root.id}")
        for group in cgroups.groups_below(slice_group)
    ]


def _processes(root: Root) -> list[str]:
    """conmon, runtimes and their children name the root's directory among their arguments."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            words = _arguments(int(name))
            if any(str(root.run_dir) in word for word in words):
                found.append(f"process {name} {' '.join(words)}")
    return found


def _arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _files(root: Root) -> list[str]:
    places = [root.run_dir / "virtocid/runs", root.run_dir / "images", *(root.run_dir / "runtimes").glob("*")]
    return [f"file {entry}" for place in places if place.is_dir() for entry in place.iterdir()]
