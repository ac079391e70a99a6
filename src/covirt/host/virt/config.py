# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What an administrator may set about guests."""

from dataclasses import dataclass

from covirt.common.config import Between, setting
from covirt.common.listening import check_address


def _absolute(directories: tuple[str, ...]) -> None:
    for directory in directories:
        if not directory.startswith("/"):
            raise ValueError(f"{directory!r} is no absolute path")


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtConfig:
    """Virtual machines and containers."""

    # libvirt's connection for virtual machines. Empty: libvirtd's socket below the root.
    qemu_uri: str = ""
    # libvirt's connection for containers. Empty: virtocid's socket below the root.
    oci_uri: str = ""
    # Seconds between two samples of all guests' statistics; an engine asks about as often.
    sample_seconds: int = setting(15, check=Between(1, 300))
    # Where displays of virtual machines listen. Whoever connects there needs the ticket of VM.setTicket; what follows
    # with VNC is not encrypted, so choose an address that only engines' proxies reach. An IP address or a host name.
    display_address: str = setting("127.0.0.1", check=check_address)
    # Directories whose files engines may name for guests although they are in no storage domain: a kernel to boot, an
    # image of a container, a log. libvirtd and virtocid open them with root's rights.
    host_files: tuple[str, ...] = setting((), check=_absolute)
