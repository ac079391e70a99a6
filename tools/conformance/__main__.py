# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.conformance``: write docs/conformance.md anew; with ``--check``, only tell whether it is true."""

import argparse
import sys

from tools.conformance.page import COMMAND, PAGE, page, stale


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the page is not true")
    options = parser.parse_args()
    if not options.check:
        PAGE.write_text(page())
        return 0
    complaint = stale()
    print(complaint, file=sys.stderr)
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main())
