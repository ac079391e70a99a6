# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.conformance``: write docs/conformance.md anew; with ``--check``, only tell whether it is true."""

import sys

from tools.conformance.page import PAGE

if __name__ == "__main__":
    sys.exit(PAGE.main())
