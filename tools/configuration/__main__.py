# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.configuration``: write docs/configuration.md and
docs/host-configuration.md anew; with ``--check``, only tell if they are true."""

import sys

from tools.configuration.page import HOST_PAGE, PAGE

if __name__ == "__main__":
    sys.exit(PAGE.main() or HOST_PAGE.main())
