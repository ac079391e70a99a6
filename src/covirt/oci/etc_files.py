# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The three files that every container gets from its run directory: resolv.conf, hosts and hostname.

They are read-only inside: a container that could write them could fill the host's /run.
"""

import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from covirt.oci.spec import Mount

_INSIDE: Final = {"resolv.conf": "/etc/resolv.conf", "hosts": "/etc/hosts", "hostname": "/etc/hostname"}
_OPTIONS: Final = ("bind", "ro", "nosuid", "noexec", "nodev")


def resolv_conf_text(nameservers: Iterable[str], search: Iterable[str] = (), options: Iterable[str] = ()) -> str:
    """resolv.conf(5)."""
    lines = [f"nameserver {address}\n" for address in nameservers]
    for keyword, words in (("search", " ".join(search)), ("options", " ".join(options))):
        if words:
            lines.insert(0, f"{keyword} {words}\n")
    return "".join(lines)


def hosts_text(hostname: str, addresses: Iterable[str]) -> str:
    """hosts(5); ``addresses`` with or without a prefix length."""
    own = [address.partition("/")[0] for address in addresses] or ["127.0.1.1"]
    first = hostname.partition(".")[0]
    names = hostname if first == hostname else f"{hostname} {first}"
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", *(f"{each} {names}" for each in own)]
    return "\n".join(lines) + "\n"


def usable_nameservers(resolv_conf: str) -> tuple[str, ...]:
    """The nameservers of the host's resolv.conf that a container can reach: not those on the host's loopback."""
    found = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                loopback = ipaddress.ip_address(words[1].partition("%")[0]).is_loopback
            except ValueError:
                continue
            if not loopback:
                found.append(words[1])
    return tuple(found)


def write_etc_files(directory: Path, texts: dict[str, str]) -> tuple[Mount, ...]:
    """Write the files (keys: names in ``directory``) and return the mounts that show them in /etc."""
    for name, text in texts.items():
        update_etc_file(directory, name, text)
    return tuple(Mount(source=str(directory / name), destination=_INSIDE[name], options=_OPTIONS) for name in texts)


def update_etc_file(directory: Path, name: str, text: str) -> None:
    """Rewrite one file in place, also while a container runs: its mount shows this very file, not a successor."""
    data = text.encode()
    descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.fchmod(descriptor, 0o644)
        # Written over and then cut, in this order: a reader in between finds names that are resolved, not none.
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)
