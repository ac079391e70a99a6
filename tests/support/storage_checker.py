# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Judges a local storage domain by the format's description, sharing no code with what wrote it."""

import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import Final

_OWNER: Final = (36, 36)
_BLANK: Final = "00000000-0000-0000-0000-000000000000"
_DOMAIN_KEYS: Final = {
    "ALIGNMENT", "BLOCK_SIZE", "CLASS", "DESCRIPTION", "IOOPTIMEOUTSEC", "LEASERETRIES", "LEASETIMESEC", "LOCKPOLICY",
    "LOCKRENEWALINTERVALSEC", "POOL_UUID", "REMOTE_PATH", "ROLE", "SDUUID", "TYPE", "VERSION", "_SHA_CKSUM",
}  # fmt: skip
_MASTER_KEYS: Final = {"MASTER_VERSION", "POOL_DESCRIPTION", "POOL_DOMAINS", "POOL_SPM_ID", "POOL_SPM_LVER"}
_VOLUME_KEYS: Final = [
    "CAP", "CTIME", "DESCRIPTION", "DISKTYPE", "DOMAIN", "FORMAT", "GEN", "IMAGE", "LEGALITY", "PUUID", "SEQ", "TYPE",
    "VOLTYPE",
]  # fmt: skip


def check_domain(directory: Path) -> dict[str, str]:
    """Assert that the whole domain is as the format says; gives its metadata."""
    assert sorted(os.listdir(directory)) in (["dom_md", "images"], ["dom_md", "images", "master"])
    for path in (directory, *directory.rglob("*")):
        _check_owner(path)
    inner = directory / "dom_md"
    assert sorted(os.listdir(inner)) == ["ids", "inbox", "leases", "metadata", "outbox"]
    sizes = {"ids": 0, "leases": 0, "inbox": 16 << 20, "outbox": 16 << 20}
    for name, size in sizes.items():
        status = os.lstat(inner / name)
        assert (status.st_size, stat.S_IMODE(status.st_mode)) == (size, 0o660)
    metadata = _domain_metadata((inner / "metadata").read_bytes())
    assert metadata["SDUUID"] == directory.name
    is_master = metadata["ROLE"] == "Master"
    assert set(metadata) - _MASTER_KEYS == _DOMAIN_KEYS
    assert not is_master or set(metadata) >= _MASTER_KEYS
    if is_master:
        assert sorted(os.listdir(directory / "master")) == ["tasks", "vms"]
    for image in (directory / "images").iterdir():
        _check_image(image, directory.name)
    return metadata


def _domain_metadata(data: bytes) -> dict[str, str]:
    lines = data.decode().split("\n")
    assert lines.pop() == ""
    seal = lines.pop()
    assert lines == sorted(lines)
    digest = hashlib.sha1("".join(lines).encode("ascii", "xmlcharrefreplace"), usedforsecurity=False)
    assert seal == f"_SHA_CKSUM={digest.hexdigest()}"
    return dict(line.split("=", 1) for line in [*lines, seal])


def _check_image(directory: Path, domain_id: str) -> None:
    assert len(directory.name) == 36, f"{directory} is no image"
    names = set(os.listdir(directory))
    volumes = {name for name in names if not name.endswith(".meta")}
    assert names == volumes | {f"{name}.meta" for name in volumes}
    found = {name: volume_metadata(directory / f"{name}.meta") for name in volumes}
    for name, values in found.items():
        assert values["DOMAIN"] == domain_id
        shared = values["VOLTYPE"] == "SHARED"
        assert values["IMAGE"] == directory.name or shared
        parent = values["PUUID"]
        assert parent == _BLANK or parent in volumes
        has_children = any(other["PUUID"] == name for other in found.values())
        assert values["VOLTYPE"] == ("SHARED" if shared else "INTERNAL" if has_children else "LEAF")
        _check_content(directory / name, values)


def volume_metadata(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    assert len(data) <= 512
    lines = data.decode().split("\n")
    assert lines[-2:] == ["EOF", ""]
    pairs = [line.split("=", 1) for line in lines[:-2]]
    assert [key for key, _ in pairs] == _VOLUME_KEYS
    return {pair[0]: pair[1] for pair in pairs}


def _check_content(path: Path, values: dict[str, str]) -> None:
    status = os.lstat(path)
    assert stat.S_IMODE(status.st_mode) == 0o660
    capacity = int(values["CAP"])
    assert capacity % 4096 == 0
    if values["FORMAT"] == "RAW":
        assert status.st_size == capacity
        assert status.st_blocks * 512 >= (capacity if values["TYPE"] == "PREALLOCATED" else 4096)
        return
    shown = subprocess.run(
        ["/usr/bin/qemu-img", "info", "-f", "qcow2", path], check=True, capture_output=True, text=True, timeout=30
    ).stdout
    assert "compat: 1.1" in shown
    assert f"({capacity} bytes)" in shown
    backing = None if values["PUUID"] == _BLANK else values["PUUID"]
    assert (f"backing file: {backing}" in shown) if backing else ("backing file" not in shown)


def _check_owner(path: Path) -> None:
    status = os.lstat(path)
    assert (status.st_uid, status.st_gid) == _OWNER, path
    assert not path.is_symlink()
