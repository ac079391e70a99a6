# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The section [images] of covirt-host's configuration: long work, transfers of disks, container images."""

from dataclasses import dataclass
from pathlib import Path

from covirt.common.config import Between, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesConfig:
    """Disk images and container images."""

    # How many tasks, and as many jobs, of one storage domain run at a time; others of that domain wait. Copies are
    # bound by disks, not by processors.
    workers: int = setting(10, check=Between(1, 100))
    # How long an ended job is told of. An engine asks every few seconds.
    job_keep_seconds: int = setting(3600, check=Between(60, 7 * 86400))
    # oVirt's daemon for uploads and downloads: a name looked up in PATH and beside covirt-host, or an absolute path.
    # It is started with the first ticket, as the owner of storage files, and goes on when covirt-host ends meanwhile.
    imageio_program: str = "ovirt-imageio"
    # The port that clients send disks to; oVirt's engine expects this one. 0: any free one, for tests.
    imageio_port: int = setting(54322, check=Between(0, 65534))
    # The control socket of a daemon that somebody else starts (oVirt's own unit has it at /run/ovirt-imageio/sock).
    # Absent: covirt-host starts one of its own.
    imageio_socket: Path | None = None
    # The program that imports and reads container images.
    container_image_program: str = "virtocid-image"
    # The signature policy (containers-policy.json(5)) that decides which container images may be imported.
    container_image_policy: Path = Path("/etc/containers/policy.json")
    # Certificates to reach registries with: DIRECTORY/HOST[:PORT]/*.crt, as skopeo and podman keep them.
    registry_certificates: Path = Path("/etc/containers/certs.d")
