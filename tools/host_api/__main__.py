# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.host_api``: write docs/host-api.md anew; with ``--check``, only tell if it is true."""

import sys

from tools.host_api.page import PAGE

if __name__ == "__main__":
    sys.exit(PAGE.main())
