# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m covirt.cli.up.launch RECORD -- COMMAND…``: write down who I am, then become the command."""

import os
import sys
from pathlib import Path

from covirt.cli.up.records import write_own_record


def main() -> None:
    record, separator, *command = sys.argv[1:]
    if separator != "--" or not command:
        raise SystemExit(__doc__)
    write_own_record(Path(record))
    os.execvp(command[0], command)  # noqa: S606 - the command is the supervisor's


if __name__ == "__main__":
    main()
