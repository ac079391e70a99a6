# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.configuration``: write docs/configuration.md,
docs/host-configuration.md and docs/engine-configuration.md anew; with ``--check``, only tell if they are true."""

import sys

from tools.configuration.page import ENGINE_PAGE, HOST_PAGE, PAGE

if __name__ == "__main__":
    sys.exit(PAGE.main() or HOST_PAGE.main() or ENGINE_PAGE.main())
