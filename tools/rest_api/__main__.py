# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.rest_api``: write docs/rest-api.md anew; with ``--check``, only tell whether it is true."""

import sys

from tools.rest_api.page import PAGE

if __name__ == "__main__":
    sys.exit(PAGE.main())
