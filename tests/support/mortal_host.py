# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""covirt-host that is killed at its N-th record of a Vm: ``python -m tests.support.mortal_host N ARGUMENTS``."""

import sys

from covirt.host.main import main
from tests.support.host_vms_program import kill_after

if __name__ == "__main__":
    kill_after(int(sys.argv.pop(1)))
    main()
