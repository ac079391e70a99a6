# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How a program ends that cannot do its work: with one sentence, and never with a traceback for what is expected."""

import sys
from collections.abc import Callable

from covirt.common.errors import Denied, Error


class NotPermitted(Denied):
    template = "{path}: {reason}; {program} needs root, or a --root that its user may write to"


def exit_status(program: str, work: Callable[[], int | None]) -> int:
    """What ``work`` returns, 0 for None; 1 when it fails as can be expected, after saying why on stderr."""
    try:
        return int(work() or 0)
    except Error as error:
        refusal = error
    except PermissionError as error:
        path = error.filename if error.filename is not None else "something it needs"
        refusal = NotPermitted(path=path, reason=error.strerror or "not permitted", program=program)
    sys.stderr.write(f"{program}: {refusal}\n")
    return 1
