# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.vm_actions``: write docs/engine-vm-actions.md anew; ``--check`` only tells whether it is true."""

import sys

from tools.vm_actions.page import PAGE

if __name__ == "__main__":
    sys.exit(PAGE.main())
