# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""HostVms as a process of its own, to be killed: ``python -m tests.support.host_vms_program ROOT OCI_URI KILL_AT``.

A call is a line of JSON on stdin, ``["VM.pause", {"vmID": "…"}]``; its answer a line on stdout. After its KILL_AT-th
record, or removal of one, it kills itself; 0 is never.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from covirt.common.root import Root
from covirt.host.virt import records
from covirt.hostapi.errors import CallRefused
from tests.support.host_vms import HostVms


def kill_after(number: int) -> None:
    left = number

    def counted(change: Callable[..., None]) -> Callable[..., None]:
        def count(*arguments: Any) -> None:
            nonlocal left
            change(*arguments)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        return count

    for name in ("save", "remove"):
        setattr(records.Records, name, counted(getattr(records.Records, name)))


def main() -> None:
    root, oci_uri, kill_at = sys.argv[1:]
    kill_after(int(kill_at))
    host = HostVms(Root(root), oci_uri=oci_uri)
    host.part.start()
    for line in sys.stdin:
        method, params = json.loads(line)
        try:
            answer = host.call(method, **params)
        except CallRefused as refused:
            answer = {"refused": refused.message}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    host.part.stop()


if __name__ == "__main__":
    main()
