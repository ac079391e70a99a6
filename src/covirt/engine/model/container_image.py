# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a container image beside its disk: where it came from, and what is in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerImage:
    """``id`` is its disk's. ``reference`` is what was imported, as in docker://registry/repository:tag; ``volumes``
    are the paths that the image declares; ``config`` is OCI's, as JSON."""

    id: str
    reference: str
    digest: str
    architecture: str = ""
    volumes: tuple[str, ...] = ()
    config: str = "{}"
