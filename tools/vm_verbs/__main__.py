# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.vm_verbs``: write docs/host-vm-verbs.md anew; with ``--check``, only tell whether it is true."""

import sys

from tools.vm_verbs.page import PAGE

if __name__ == "__main__":
    sys.exit(PAGE.main())
