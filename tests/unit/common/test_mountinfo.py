# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Facts from the mount table."""

from pathlib import Path

from covirt.common.mountinfo import in_memory, mounts


def test_what_is_in_memory() -> None:
    kinds = {Path(entry.target): entry.filesystem for entry in mounts()}  # the last one of a place is what shows
    memory = [path for path, kind in kinds.items() if kind == "tmpfs" and Path("/dev") in (path, path.parent)]
    assert memory, "every machine has a tmpfs at /dev or /dev/shm"
    assert all(in_memory(path) for path in memory)
    assert not in_memory(Path("/proc"))
