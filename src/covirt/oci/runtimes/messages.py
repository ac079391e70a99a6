# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a runtime said, reduced to the sentence a person wants: its log lines come in three dialects."""

import json
import re
from typing import Final

_LIMIT: Final = 2000  # characters
# logrus' text form, as runc writes it by default: time="..." level=error msg="..."
_LOGRUS: Final = re.compile(r'level=(?P<level>\w+) msg=(?P<message>"(?:[^"\\]|\\.)*"|\S+)')
_SERIOUS: Final = frozenset({"error", "fatal", "panic"})


def runtime_message(text: str) -> str:
    """The last error in a runtime's log or stderr; the whole text, trimmed, when no line looks like a log line."""
    plain: list[str] = []
    errors: list[str] = []
    for line in text.splitlines():
        parsed = _parse(line.strip())
        if parsed is None:
            plain.append(line)
        elif parsed[0] in _SERIOUS:
            errors.append(parsed[1])
    message = errors[-1] if errors else "\n".join(plain)
    return message.strip()[-_LIMIT:]


def _parse(line: str) -> tuple[str, str] | None:
    """(level, message) of a log line, or None."""
    if line.startswith("{"):
        try:
            record = json.loads(line)
        except ValueError:
            return None
        if isinstance(record, dict) and isinstance(record.get("msg"), str):
            return str(record.get("level", "error")), record["msg"]
        return None
    match = _LOGRUS.search(line)
    if match is None:
        return None
    message = match["message"]
    if message.startswith('"'):
        message = message[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
    return match["level"], message
