# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.cli_page``: write docs/cli.md anew; ``--check`` only tells whether it is true."""

import sys

from tools.cli_page.page import PAGE

if __name__ == "__main__":
    sys.exit(PAGE.main())
